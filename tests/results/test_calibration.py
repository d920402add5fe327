"""Calibration on real runs: tabular IQL against itself is declared different in at most 7 % of 300 comparisons.

6,000 runs on Landmarks-2, in pairs of two that share the seed of their evaluation episodes, as arms of a study do, and
nothing else. A comparison has ten seeds.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from marl_pr_common.envs import grid_spec
from marl_pr_common.envs.jit import HAS_NUMBA
from marl_pr_common.report import ReportContext
from marl_pr_common.report.measure import measure
from marl_pr_common.report.wording import differences
from marl_pr_common.results.stats import area_under_curve, paired_difference
from marl_pr_common.tabular import TabularPR, WorldTrainer, iql

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not HAS_NUMBA, reason="thousands of runs need the extra fast"),
]
REPETITIONS, SEEDS, ALLOWED = 300, 10, 0.07
STEPS = np.arange(0, 601, 200)
EPISODES = 3


def run(seeds: range, replica: int) -> np.ndarray:
    """Greedy returns of one run per seed, mean over agents and episodes: (n_seeds, n_evaluations)."""
    spec, config = grid_spec("Landmarks-2"), iql()
    learner = TabularPR(config.reciprocity(spec.spaces), spec.n_actions, config, spec.gamma, len(seeds))
    trainer = WorldTrainer(spec, learner, [np.random.default_rng([seed, replica, 0]) for seed in seeds])
    evaluations = [np.random.default_rng([seed, 1]) for seed in seeds]
    curves = [trainer.evaluate(EPISODES, evaluations).mean(axis=(1, 2))]
    for steps in np.diff(STEPS):
        trainer.train(int(steps))
        curves.append(trainer.evaluate(EPISODES, evaluations).mean(axis=(1, 2)))
    return np.stack(curves, axis=1)


@pytest.fixture(scope="module")
def arms() -> tuple[np.ndarray, np.ndarray]:
    """The same algorithm twice: (REPETITIONS, SEEDS, n_evaluations) each."""
    n = REPETITIONS * SEEDS
    chunks = [range(start, start + 500) for start in range(0, n, 500)]
    first, second = (np.concatenate([run(seeds, replica) for seeds in chunks]) for replica in (0, 1))
    shape = (REPETITIONS, SEEDS, len(STEPS))
    return first.reshape(shape), second.reshape(shape)


def told(found: int, what: str, capsys: pytest.CaptureFixture[str]) -> float:
    with capsys.disabled():
        print(f"\n{what}: {found} of {REPETITIONS} ({found / REPETITIONS:.1%})", end=" ")  # noqa: T201
    return found / REPETITIONS


@pytest.mark.parametrize("score", ["final", "area"])
@pytest.mark.parametrize("pairing", ["shared seeds", "independent"])
def test_iql_is_not_different_from_itself(arms, pairing, score, capsys):
    first, second = arms
    if pairing == "independent":  # every run against one of another seed
        second = np.roll(second, 1, axis=0)
    one, other = (
        curves[..., -1] if score == "final" else area_under_curve(STEPS, curves) for curves in (first, second)
    )
    assert np.std(one) > 0.02  # seeds do differ: these are no ties
    rng = np.random.default_rng(0)
    found = sum(paired_difference(one[k], other[k], rng).different for k in range(REPETITIONS))
    rate = told(found, f"IQL different from itself, {pairing}, {score}", capsys)
    assert rate <= ALLOWED


def table(first: np.ndarray, second: np.ndarray) -> pd.DataFrame:
    """Two arms in the results schema, (SEEDS, n_evaluations) each."""
    parts = [
        pd.DataFrame(
            {
                "run": f"{arm}-seed{seed}",
                "arm": arm,
                "seed": seed,
                "agent": -1,
                "env_steps_per_agent": STEPS,
                "total_env_steps": 2 * STEPS,
                "value": curve,
            }
        )
        for arm, curves in (("iql", first), ("iql_again", second))
        for seed, curve in enumerate(curves)
    ]
    constant = {"task": "Landmarks-2", "engine": "marl-pr", "evaluation": "3 episodes", "metric": "eval/return"}
    zero = {"updates": 0, "wall_time": 0.0, "cpu_time": 0.0}
    return pd.concat(parts, ignore_index=True).assign(**constant, **zero)


def test_the_report_hardly_ever_says_that_iql_is_higher_or_lower_than_itself(arms, capsys):
    found = 0
    for first, second in zip(*arms, strict=True):
        context = ReportContext(thresholds={"Landmarks-2": float(np.median(first[:, -1]))})
        text = "\n".join(differences(measure(table(first, second), context)))
        assert "10 seeds" in text
        found += bool(re.search(r"\b(higher|lower|better|worse)\b", text))
    rate = told(found, "reports that say higher or lower, of final return, area or steps", capsys)
    assert rate <= ALLOWED
