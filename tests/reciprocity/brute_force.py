"""Eq. 12 as three plain loops over agents, peers and adjacent states: the oracle of every faster version."""

import math


def reciprocal_value(own, peer_value, graph, distances, config):
    """
    :param own: own[i][b] = Z_i(s, a), minimum over critics taken already
    :param peer_value: function (i, j, a, b) -> Z_j(s#_a of agent i's row b, agent i's action)
    :param graph: graph[i][j], unnormalised weights
    :param distances: distances[i][b] = list of rho_s# over adjacent states
    """
    result = []
    for i in range(len(own)):
        row = []
        for b in range(len(own[i])):
            total, weight_sum = 0.0, 0.0
            levels = distances[i][b]
            if config.weights == "uniform":
                raw = [1.0 for _ in levels]
            else:
                raw = [math.exp(-level / config.temperature) for level in levels]
            z = sum(raw)
            for j in range(len(own)):
                if graph[i][j] == 0:
                    continue
                for a in range(len(levels)):
                    value = peer_value(i, j, a, b)
                    if not math.isfinite(value):
                        continue
                    weight = graph[i][j] * raw[a] / z
                    if config.normalize == "sum":
                        weight *= len(levels)
                    total += weight * value
                    weight_sum += weight
            if sum(graph[i]) == 0 or (weight_sum == 0 and config.normalize == "mean"):
                row.append(own[i][b])
            elif config.normalize == "mean":
                row.append((1 - config.kappa) * own[i][b] + config.kappa * total / weight_sum)
            else:
                row.append((1 - config.kappa) * own[i][b] + config.kappa * total)
        result.append(row)
    return result
