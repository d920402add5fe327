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


def trusted(graph, errors, i, power):
    """What agent i's candidates, itself among them, have of a weight of 1: a list of n_agents numbers."""
    n = len(graph)
    heard = [j for j in range(n) if graph[i][j] > 0]
    if not heard:
        return [0.0] * n
    weights = {j: graph[i][j] for j in heard}
    weights.setdefault(i, sum(weights.values()) / len(weights))

    def error(j):
        if math.isinf(errors[i][j]):
            return math.inf
        if math.isnan(errors[i][i]):
            return 1.0
        return errors[i][i] if math.isnan(errors[i][j]) else errors[i][j]

    best = min(error(j) for j in weights)
    if math.isinf(best):  # nobody says anything: it keeps to itself
        return [float(j == i) for j in range(n)]
    left = {
        j: weight if error(j) == best else 0.0 if best == 0 else weight * (best / error(j)) ** power
        for j, weight in weights.items()
    }
    return [left.get(j, 0.0) / sum(left.values()) for j in range(n)]


def trusting_value(own, peer_value, graph, errors, distances, config):
    """Eq. 12 with trust; arguments as in :func:`reciprocal_value`, all values finite."""
    result = []
    for i in range(len(own)):
        weights = trusted(graph, errors, i, config.trust_power)
        row = []
        for b in range(len(own[i])):
            states = state_weights(distances[i][b], config)
            total = 0.0
            for j, weight in enumerate(weights):
                kept = j == i and graph[i][i] == 0
                for a, share in enumerate(states):
                    total += weight * share * (own[i][b] if kept else peer_value(i, j, a, b)) if weight else 0.0
            alone = sum(weights) == 0
            row.append(own[i][b] if alone else (1 - config.kappa) * own[i][b] + config.kappa * total)
        result.append(row)
    return result
