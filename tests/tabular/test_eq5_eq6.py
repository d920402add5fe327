"""One update equals eq. 5 and 6 written out by hand; IQL and QD-learning are exact special cases."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from marl_pr_common.envs import ObsSpace
from marl_pr_common.envs.jit import HAS_NUMBA
from marl_pr_common.reciprocity import peers
from marl_pr_common.tabular import kernels
from marl_pr_common.tabular.config import TabularConfig, iql
from marl_pr_common.tabular.learner import TabularPR
from marl_pr_common.tabular.schedules import Constant, Power, Shrink, TheoryWarning
from tests.tabular.vectorised import Vectorised

LINE = ObsSpace((3,), ordinal=(True,))
BACKENDS = ["numpy", pytest.param("numba", marks=pytest.mark.skipif(not HAS_NUMBA, reason="needs the extra fast"))]


def learner(config: TabularConfig, n_agents: int, n_actions: int, backend: str, graph: object = None) -> TabularPR:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TheoryWarning)
        return TabularPR(config.reciprocity([LINE] * n_agents, graph), n_actions, config, 0.9, backend=backend)


def set_q(agent: TabularPR, q: np.ndarray) -> None:
    """Start from given tables, (N, S, A): with weighting "mean" the class sums are those of q."""
    agent.tables.q[0] = q
    agent.tables.pool[0, :, :, 1] = q.sum(axis=0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_update_by_hand(backend: str) -> None:
    """N = 2 agents, 3 states on a line, 2 actions; weights exp(-rho) of eq. 4; all numbers written out."""
    kappa, alpha, beta, gamma = 0.5, 0.3, 0.4, 0.9
    config = TabularConfig(
        mode="faithful", alpha=Constant(alpha), beta=Constant(beta), kappa=kappa, weighting="mean", temperature=1.0
    )
    q = np.array([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [[-1.0, 0.5], [0.0, 7.0], [2.0, -3.0]]])
    agent = learner(config, 2, 2, backend)
    set_q(agent, q)
    # agent 0: (s=1, a=0) -> s'=2 with r=1; agent 1: (s=0, a=1) -> s'=1 with r=-2
    agent.update(
        np.array([[1, 0]]),
        np.array([[0, 1]]),
        np.array([[1.0, -2.0]]),
        np.array([[2, 1]]),
        np.zeros((1, 2), dtype=bool),
    )
    e = math.exp(-1.0)
    sharp_0 = (e * 1.0 + 3.0 + e * 5.0) / (1 + 2 * e)  # eq. 4: S#(1) = {0, 1, 2}, table of agent 0, action 0
    sharp_1 = (e * -1.0 + 0.0 + e * 2.0) / (1 + 2 * e)
    star_0 = kappa / 2 * (3.0 + 0.0) + (1 - kappa) / 2 * (sharp_0 + sharp_1)  # eq. 6
    expected_0 = (1 - alpha) * 3.0 + alpha * (1.0 + gamma * 6.0) + beta * (star_0 - 3.0)  # eq. 5
    sharp_0 = (2.0 + e * 4.0) / (1 + e)  # S#(0) = {0, 1}, action 1
    sharp_1 = (0.5 + e * 7.0) / (1 + e)
    star_1 = kappa / 2 * (2.0 + 0.5) + (1 - kappa) / 2 * (sharp_0 + sharp_1)
    expected_1 = (1 - alpha) * 0.5 + alpha * (-2.0 + gamma * 7.0) + beta * (star_1 - 0.5)
    expected = q.copy()
    expected[0, 1, 0], expected[1, 0, 1] = expected_0, expected_1
    np.testing.assert_allclose(agent.q[0], expected, rtol=0, atol=1e-14)


def stream(seed: int, steps: int, n_agents: int, n_actions: int) -> list[tuple[np.ndarray, ...]]:
    rng = np.random.default_rng(seed)
    shape = (1, n_agents)
    return [
        (
            rng.integers(3, size=shape),
            rng.integers(n_actions, size=shape),
            rng.normal(size=shape),
            rng.integers(3, size=shape),
            rng.random(shape) < 0.1,
            rng.random(shape) < 0.8,
        )
        for _ in range(steps)
    ]


@pytest.mark.parametrize("backend", BACKENDS)
def test_beta_zero_is_iql_bit_for_bit(backend: str) -> None:
    pr = learner(TabularConfig(mode="faithful", alpha=Power(0.3, 0.65), kappa=0.5, weighting="mean"), 4, 2, backend)
    plain = learner(iql(Power(0.3, 0.65)), 4, 2, backend)
    by_hand = np.zeros((4, 3, 2))
    visits = np.zeros((4, 3, 2))
    for transition in stream(0, 500, 4, 2):
        pr.update(*transition)
        plain.update(*transition)
        states, actions, rewards, following, terminated, active = (array[0] for array in transition)
        for i in np.flatnonzero(active):
            s, a = states[i], actions[i]
            target = rewards[i] + 0.9 * (0.0 if terminated[i] else by_hand[i, following[i]].max())
            by_hand[i, s, a] += 0.3 * (visits[i, s, a] + 1.0) ** -0.65 * (target - by_hand[i, s, a])
            visits[i, s, a] += 1
    assert np.array_equal(pr.q, plain.q)
    np.testing.assert_allclose(plain.q[0], by_hand, rtol=0, atol=1e-13)


@pytest.mark.parametrize("backend", BACKENDS)
def test_kappa_one_complete_graph_is_qd_learning(backend: str) -> None:
    """QD-learning: Q_i -= (beta / N) sum_j (Q_i - Q_j), the graph Laplacian's form of the consensus term."""
    n_agents, beta = 5, 0.3
    config = TabularConfig(mode="faithful", alpha=Power(0.5, 0.8), beta=Power(beta, 0.2), kappa=1.0, weighting="mean")
    agent = learner(config, n_agents, 2, backend)
    q = np.zeros((n_agents, 3, 2))
    lap = peers.laplacian(peers.complete(n_agents))
    rng = np.random.default_rng(1)
    visits = np.zeros((3, 2))
    for _ in range(400):
        s, a, following, rewards = rng.integers(3), rng.integers(2), rng.integers(3), rng.normal(size=n_agents)
        k = visits[s, a]
        new = q[:, s, a] - beta * (k + 1) ** -0.2 / n_agents * (lap @ q[:, s, a])
        new += 0.5 * (k + 1) ** -0.8 * (rewards + 0.9 * q[:, following].max(axis=-1) - q[:, s, a])
        visits[s, a] += 1
        q[:, s, a] = new
        one = np.ones((1, n_agents), dtype=np.int64)
        agent.update(one * s, one * a, rewards[None], one * following, one < 0)
    np.testing.assert_allclose(agent.q[0], q, rtol=0, atol=1e-12)


@pytest.mark.parametrize("weighting", ["mean", "count"])
@pytest.mark.parametrize("graph", ["complete", "ring"])
def test_q_star_against_triple_loop(weighting: str, graph: str) -> None:
    """eq. 4 and 6 as loops over agents, peers and adjacent states, on agents with different observation matrices."""
    spaces = [ObsSpace((3, 2, 2), keep, (True, True, False)) for keep in [(1, 1, 0), (1, 0, 1), (1, 1, 0), (1, 1, 1)]]
    config = TabularConfig(weighting=weighting, temperature=1.0)
    adjacency_of = peers.complete(4) if graph == "complete" else peers.ring(4)
    reciprocity = config.reciprocity(spaces, adjacency_of)
    rng = np.random.default_rng(2)
    q, n = rng.normal(size=(4, 12, 2)), rng.integers(0, 3, (4, 12, 2))
    w, pull = reciprocity.mix[0], 0.3
    expected = q.copy()
    for i, view in enumerate(spaces):
        for s in range(view.n_states):
            for a in range(2):
                weight = lambda j, x, a=a: 1.0 if weighting == "mean" else float(n[j, x, a])  # noqa: E731
                mates = [j for j in range(4) if spaces[j] == view]
                bottom = sum(w[i, j] * weight(j, s) for j in mates)
                same = sum(w[i, j] * weight(j, s) * q[j, s, a] for j in mates) / bottom if bottom else q[i, s, a]
                top = bottom = 0.0
                for j, other in enumerate(spaces):
                    near = {x: distance(view, s, other, x) for x in range(other.n_states)}
                    near = {x: math.exp(-rho) for x, rho in near.items() if rho <= 1}
                    z = sum(near.values()) if weighting == "mean" else 1.0
                    for x, share in near.items():
                        top += w[i, j] * share / z * weight(j, x) * q[j, x, a]
                        bottom += w[i, j] * share / z * weight(j, x)
                sharp = top / bottom if bottom else same
                expected[i, s, a] = (1 - pull) * same + pull * sharp
    result = reciprocity.q_star(q, pull, n)
    for i, view in enumerate(spaces):
        np.testing.assert_allclose(result[i, : view.n_states], expected[i, : view.n_states], rtol=0, atol=1e-13)


def distance(a: ObsSpace, s: int, b: ObsSpace, x: int) -> float:
    """The ordinal distance over commonly observed features, pair by pair."""
    left, right = a.decode(s), b.decode(x)
    total = 0.0
    for k in range(a.d):
        if left[k] >= 0 and right[k] >= 0 and left[k] != right[k]:
            total += abs(int(left[k]) - int(right[k])) if a.ordinal[k] else math.inf
    return total


CONFIGS = {
    "iql": iql(),
    "faithful": TabularConfig(
        mode="faithful", alpha=Power(0.3, 0.65), beta=Power(0.4, 0.35), kappa=0.5, weighting="mean"
    ),
    "faithful, count, frozen": TabularConfig(
        mode="faithful", alpha=Power(0.3, 0.65), beta=Power(0.4, 0.35), kappa=Shrink(2.0), refresh=7
    ),
    "shared": TabularConfig(mode="faithful", weighting="mean", share=True, kappa=1.0),
    "decision": TabularConfig(),
    "decision, no blend": TabularConfig(trust=None, alpha=Power(1.0, 0.65), kappa=Power(1.0, 0.5), q_init=1.5),
    "decision, mean": TabularConfig(weighting="mean", temperature=1.0, q_init=-2.0, kappa=0.25),
}


@pytest.mark.parametrize("graph", ["complete", "ring", "changing"])
@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.few(4)
def test_kernels_and_vectorised_learner_agree(name: str, graph: str) -> None:
    """Two observation classes, a complete, a fixed and a changing graph, 1500 steps: tables equal to 1e-12."""
    spaces = [ObsSpace((4, 3, 3), keep, (True, True, False)) for keep in [(1, 1, 0), (1, 0, 1), (1, 1, 0), (1, 0, 1)]]
    matrix = {"complete": None, "ring": peers.ring(4), "changing": np.stack([peers.ring(4), peers.complete(4)])}[graph]
    config = CONFIGS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TheoryWarning)
        both = [kind(config.reciprocity(spaces, matrix), 3, config, 0.9, 2) for kind in (Vectorised, TabularPR)]
    rng = np.random.default_rng(3)
    for _ in range(1500):
        states, following, actions = (
            rng.integers(12, size=(2, 4)),
            rng.integers(12, size=(2, 4)),
            rng.integers(3, size=(2, 4)),
        )
        rewards, terminated, active = rng.normal(size=(2, 4)), rng.random((2, 4)) < 0.1, rng.random((2, 4)) < 0.8
        for agent in both:
            agent.update(states, actions, rewards, following, terminated, active)
    scale = np.abs(both[0].q).max()
    assert scale > 0.1
    np.testing.assert_allclose(both[0].q, both[1].q, rtol=0, atol=1e-12 * scale)
    np.testing.assert_allclose(both[0].q_hat(1), both[1].q_hat(1), rtol=0, atol=1e-12 * scale)
    if graph == "complete" and config.mode == "decision":  # the pushed sums are those of the reference
        values = np.empty((4, 3))
        for i in range(4):
            for s in range(12):
                kernels.values_row(both[1].seed_tables(0), both[1].links, both[1].rules, i, s, 0, values[i])
                np.testing.assert_allclose(values[i], both[1].q_hat(0)[i, s], rtol=0, atol=1e-11 * scale)
