"""Eq. 4 and 12 as plain loops over agents, peers and adjacent states: the oracle of every faster version."""

import math


def reciprocal_value(own, peer_value, graph, distances, config):
    """
    :param own: own[i][b] = Z_i(s, a), minimum over critics taken already
    :param peer_value: function (i, j, a, b) -> Z_j(s#_a of agent i's row b, agent i's action)
    :param graph: graph[i][j], unnormalised weights
    :param distances: distances[i][b] = list of rho_s# over adjacent states
    """

    def one(i, b):
        weights = state_weights(distances[i][b], config)
        return one_row(own[i][b], lambda j, a: peer_value(i, j, a, b), graph[i], weights, config)

    return [[one(i, b) for b in range(len(own[i]))] for i in range(len(own))]


def state_weights(levels, config):
    """Eq. 4 for the distances of one state's adjacent states."""
    raw = [1.0 if config.weights == "uniform" else math.exp(-level / config.temperature) for level in levels]
    return [weight / sum(raw) for weight in raw]


def one_row(own, peer_value, graph, weights, config):
    """
    :param peer_value: function (j, a) -> Z_j(s#_a)
    :param graph: graph[j], weights of the peers
    :param weights: weights[a] of eq. 4
    """
    total, weight_sum = 0.0, 0.0
    for j in range(len(graph)):
        if graph[j] == 0:
            continue
        for a in range(len(weights)):
            value = peer_value(j, a)
            if not abs(value) < math.inf:  # NaN included
                continue
            weight = graph[j] * weights[a]
            if config.normalize == "sum":  # every adjacent state counts 1
                weight *= len(weights)
            total += weight * value
            weight_sum += weight
    if sum(graph) == 0 or (weight_sum == 0 and config.normalize == "mean"):
        return own
    mean = total / weight_sum if config.normalize == "mean" else total
    return (1 - config.kappa) * own + config.kappa * mean
