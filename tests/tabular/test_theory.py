"""Theorems 1 to 3 and Corollary 1 where they can be measured: on exact models with known Q*."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from marl_pr_common.envs import FiniteMDP, ObsSpace, digital_mdp, navigation_mdp, optimal_q
from marl_pr_common.envs.jit import HAS_NUMBA
from marl_pr_common.reciprocity import peers
from marl_pr_common.tabular.config import TabularConfig
from marl_pr_common.tabular.digital import DigitalRun
from marl_pr_common.tabular.measures import (
    boundedness,
    consensus_error,
    decay_slope,
    mean_distance,
    process_distance,
)
from marl_pr_common.tabular.schedules import Constant, Power, Schedule, Shrink, TheoryWarning
from marl_pr_common.tabular.theory.convergence import error_curve

pytestmark = pytest.mark.skipif(not HAS_NUMBA, reason="millions of steps need the extra fast")
PAPER = (Power(0.3, 0.65), Power(0.3, 0.35))


def run(
    mdp: FiniteMDP,
    kappa: float | Schedule,
    steps: tuple[Power, Power] = PAPER,
    graph: object = None,
    mixing: str = "metropolis",
    seeds: int = 1,
    refresh: int = 1,
    backend: str = "auto",
) -> DigitalRun:
    config = TabularConfig(weighting="mean", mixing=mixing)
    spaces = [ObsSpace((mdp.n_states,), ordinal=(True,))] * mdp.n_agents
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TheoryWarning)
        reciprocity = config.reciprocity(spaces, graph)
        rngs = [np.random.default_rng(seed) for seed in range(seeds)]
        return DigitalRun(mdp, reciprocity, *steps, kappa, rngs, refresh, backend)


@pytest.fixture(scope="module")
def digital() -> tuple[FiniteMDP, np.ndarray]:
    mdp = digital_mdp(np.random.default_rng(0))
    return mdp, optimal_q(mdp)


def test_optimal_q_is_a_fixed_point(digital: tuple[FiniteMDP, np.ndarray]) -> None:
    mdp, q = digital
    bellman = mdp.reward.mean(axis=0) + mdp.gamma * mdp.transition @ q.max(axis=-1)
    np.testing.assert_allclose(q, bellman, rtol=0, atol=1e-11)


def test_optimal_q_of_navigation() -> None:
    """From a cell at distance d the best return is gamma^(d-1) minus the step costs on the way."""
    mdp = navigation_mdp()
    q = optimal_q(mdp)
    space = ObsSpace((5, 5, 5, 5))
    for start, goal in [((0, 0), (4, 4)), ((2, 2), (2, 3)), ((4, 0), (0, 1))]:
        d = abs(start[0] - goal[0]) + abs(start[1] - goal[1])
        best = 0.99 ** (d - 1) - 0.02 * sum(0.99**t for t in range(d))
        assert q[int(space.encode((*start, *goal)))].max() == pytest.approx(best, abs=1e-10)


@pytest.mark.parametrize("graph", ["complete", "ring", "changing"])
@pytest.mark.parametrize("refresh", [1, 5])
@pytest.mark.slow
def test_numpy_and_compiled_agree(digital: tuple[FiniteMDP, np.ndarray], graph: str, refresh: int) -> None:
    matrix = {"complete": None, "ring": peers.ring(20), "changing": np.stack([peers.ring(20), peers.complete(20)])}[
        graph
    ]
    both = [
        run(digital[0], 0.4, graph=matrix, seeds=3, refresh=refresh, backend=backend) for backend in ("numpy", "numba")
    ]
    for agents in both:
        agents.train(3000)
    scale = np.abs(both[0].q).max()
    np.testing.assert_allclose(both[0].q, both[1].q, rtol=0, atol=1e-12 * scale)


def test_bounded_and_consensus_for_every_kappa(digital: tuple[FiniteMDP, np.ndarray]) -> None:
    """Theorem 1: |Q| <= r_max / (1 - gamma). Theorem 2: the disagreement falls with slope tau_2 - tau_1 = -.30."""
    at = [3 * 10**4, 10**5, 3 * 10**5, 10**6, 3 * 10**6]
    for kappa in (1.0, 0.5, 0.3):
        errors = []
        for _, q in run(digital[0], kappa).snapshots(at):
            assert boundedness(q)[0] <= 4.5 / (1 - 0.8)
            errors.append(consensus_error(q)[0])
        assert decay_slope(at, errors) == pytest.approx(-0.30, abs=0.03)


def test_constant_kappa_misses_q_star(digital: tuple[FiniteMDP, np.ndarray]) -> None:
    """Theorem 3 and Corollary 1 fail for constant kappa < 1; they hold for kappa = 1 and for a vanishing 1 - kappa."""
    mdp, q_star = digital
    value_range = np.ptp(q_star)
    steps = 2 * 10**6
    found = {}
    for name, kappa in {"1": 1.0, "0.5": 0.5, "shrink": Shrink(30.0)}.items():
        agents = run(mdp, kappa)
        agents.train(steps)
        found[name] = agents.q
    error = {name: mean_distance(q, q_star)[0] / value_range for name, q in found.items()}
    assert error["1"] < 0.03
    assert error["shrink"] < 0.03
    assert error["0.5"] > 0.1
    assert process_distance(found["0.5"], found["1"])[0] > 0.1 * value_range
    assert process_distance(found["shrink"], found["1"])[0] < 0.01 * value_range


def flattened_fixed_point(mdp: FiniteMDP, adjacency: np.ndarray, pull: float) -> np.ndarray:
    """Where Qbar settles if (1 - kappa) beta / alpha stays at ``pull`` = lambda: Q = (I + lambda (I - A))^-1 T Q,
    (S, A)."""
    solve = np.linalg.inv(np.eye(mdp.n_states) + pull * (np.eye(mdp.n_states) - adjacency))
    reward, q = mdp.reward.mean(axis=0), np.zeros((mdp.n_states, mdp.n_actions))
    for _ in range(200):
        q = solve @ (reward + mdp.gamma * mdp.transition @ q.max(axis=-1))
    return q


def test_why_it_fails(digital: tuple[FiniteMDP, np.ndarray]) -> None:
    """Qbar follows (I + lambda (I - A))^-1 T Q with lambda = (1 - kappa) beta / alpha of the moment."""
    mdp, q_star = digital
    agents = run(mdp, 0.5)
    agents.train(5 * 10**6)
    k = agents.visits.mean()
    pull = 0.5 * (k + 1) ** (0.65 - 0.35)
    near = agents.reciprocity.adjacency.toarray()
    predicted = flattened_fixed_point(mdp, near, pull)
    assert mean_distance(agents.q, predicted)[0] < 0.15 * mean_distance(agents.q, q_star)[0]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.few(3)
def test_consistent_variant_reaches_q_star(seed: int) -> None:
    """20 random small MDPs: sup over all agents of |Q_i - Q*| < 1e-2 of the range of Q*."""
    assert error_curve(seed, Shrink(1.0), (4_000_000,))[0] < 1e-2


@pytest.mark.slow
def test_degree_weighted_limit_on_a_star_graph(digital: tuple[FiniteMDP, np.ndarray]) -> None:
    """eq. 6 with 1 / |N_i| on a star misses the network mean's optimum; Metropolis weights reach it."""
    mdp, q_star = digital
    star = np.zeros((20, 20))
    star[0, 1:] = star[1:, 0] = 1
    steps = (Power(0.5, 0.75), Power(0.5, 0.1))
    errors = {}
    for mixing in ("eq6", "metropolis"):
        agents = run(mdp, 1.0, steps, star, mixing)
        agents.train(2 * 10**6)
        errors[mixing] = mean_distance(agents.q, q_star)[0]
    assert errors["metropolis"] < 0.1
    assert errors["eq6"] > 5 * errors["metropolis"]


def test_warnings_name_the_condition() -> None:
    mdp = digital_mdp(np.random.default_rng(1), 4, 2, 4)
    spaces = [ObsSpace((4,), ordinal=(True,))] * 4
    rngs = [np.random.default_rng(0)]
    mean = TabularConfig(weighting="mean")

    def build(alpha: Power, beta: Power, kappa: float | Schedule, graph: object = None) -> DigitalRun:
        return DigitalRun(mdp, mean.reciprocity(spaces, graph), alpha, beta, kappa, rngs)

    with pytest.warns(TheoryWarning, match=r"tau_1=0\.4 .*\(1/2, 1\]"):
        build(Power(0.3, 0.4), Power(0.3, 0.1), 1.0)
    with pytest.warns(TheoryWarning, match=r"tau_2=0\.7 .*\(0, 0\.65\)"):
        build(Power(0.3, 0.65), Power(0.3, 0.7), 1.0)
    with pytest.warns(TheoryWarning, match=r"beta_k / alpha_k does not vanish.*Shrink"):
        build(*PAPER, 0.5)
    with pytest.warns(TheoryWarning, match=r"lambda_2=.*disconnected"):
        build(*PAPER, 1.0, np.kron(np.eye(2), np.ones((2, 2))))
    with pytest.warns(TheoryWarning, match="degree"):
        TabularConfig(weighting="mean", mixing="eq6").reciprocity(spaces, np.eye(4, k=1) + np.eye(4, k=-1))
    with pytest.warns(TheoryWarning, match="adjacency space is empty for 4 of 4 states"):
        TabularConfig(level=0, include_self=False).reciprocity(spaces)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build(*PAPER, Shrink(5.0))
        build(*PAPER, Power(1.0, 0.4))
    with pytest.warns(TheoryWarning, match="does not vanish"):
        build(*PAPER, Power(1.0, 0.2))
    with pytest.raises(ValueError, match=r"alpha_0 \+ beta_0 = 0\.7 \+ 0\.4 = 1\.1 > 1"):
        build(Power(0.7, 0.65), Power(0.4, 0.35), 1.0)
    with pytest.raises(ValueError, match=r"kappa=1\.5"):
        build(*PAPER, 1.5)
    with pytest.raises(ValueError, match="does not grow"):
        build(Power(0.3, -0.1), Power(0.3, 0.1), 1.0)
    with pytest.warns(TheoryWarning) as caught:
        DigitalRun(mdp, mean.reciprocity(spaces), Constant(0.1), Constant(0.3), 1.0, rngs)
    assert [str(w.message).split(" ")[0] for w in caught] == ["tau_1=0", "tau_2=0"]
