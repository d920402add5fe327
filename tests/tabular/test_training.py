"""Training loops: compiled against plain Python, own ParallelEnvs, seeds, and what PR gains and loses on the grids."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import marl_pr_common
from marl_pr_common.envs import grid_spec, make
from marl_pr_common.envs.jit import HAS_NUMBA
from marl_pr_common.tabular import (
    ParallelTrainer,
    Power,
    TabularConfig,
    TabularPR,
    TheoryWarning,
    WorldTrainer,
    decision,
    faithful,
    iql,
    shared_table,
    train_parallel,
)
from marl_pr_common.tabular.cell import Budget
from marl_pr_common.tabular.one_seed import make_trainer


def curve(task: str, config: TabularConfig, seed: int, budget: Budget) -> list[float]:
    """Greedy return before training, every ``eval_every`` steps, and after; mean over agents and episodes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TheoryWarning)
        learner = make_trainer(task, config, budget, seed)
    found = [learner.evaluate(budget.eval_episodes).returns.mean()]
    while learner.steps < budget.steps_per_agent:
        learner.train(budget.eval_every)
        found.append(learner.evaluate(budget.eval_episodes).returns.mean())
    return found


def trainer(name: str, config: TabularConfig, backend: str, seeds: int = 2) -> WorldTrainer:
    spec = grid_spec(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TheoryWarning)
        learner = TabularPR(config.reciprocity(spec.spaces), 5, config, spec.gamma, seeds, backend)
    return WorldTrainer(spec, learner, [np.random.default_rng(seed) for seed in range(seeds)])


@pytest.mark.skipif(not HAS_NUMBA, reason="needs the extra fast")
@pytest.mark.parametrize("name", ["Landmarks-2", "Navigation-3", "Blocker-2"])
@pytest.mark.parametrize("config", [iql(), shared_table(), faithful(), decision(), decision(Power(1.0, 0.65), None)])
def test_compiled_and_plain_runs_agree(name: str, config: TabularConfig) -> None:
    """The same draws give the same trajectory, so the tables agree to 1e-12 after 200 steps and over resets."""
    both = [trainer(name, config, backend) for backend in ("numpy", "numba")]
    for one in both:
        one.train(120)
        one.train(80)
    np.testing.assert_array_equal(both[0].learner.tables.n, both[1].learner.tables.n)
    np.testing.assert_allclose(both[0].learner.q, both[1].learner.q, rtol=0, atol=1e-12)
    rngs = [[np.random.default_rng([seed, 9]) for seed in range(2)] for _ in both]
    np.testing.assert_array_equal(both[0].evaluate(5, rngs[0]), both[1].evaluate(5, rngs[1]))


def test_seeds_are_independent_of_how_many_run() -> None:
    three, one = trainer("Navigation-3", decision(), "auto", 3), trainer("Navigation-3", decision(), "auto", 1)
    three.train(500)
    one.train(500)
    np.testing.assert_array_equal(three.learner.q[0], one.learner.q[0])
    assert not np.array_equal(three.learner.q[0], three.learner.q[1])


@pytest.mark.skipif(not HAS_NUMBA, reason="needs the extra fast")
@pytest.mark.slow
def test_parallel_env_trainer_learns_like_the_compiled_loop() -> None:
    """The same environment through PettingZoo: another stream of draws, the same learning."""
    budget = Budget(3_000, 500, 20)
    quick = np.array([curve("Landmarks-2", decision(), seed, budget)[-1] for seed in range(5)])
    ends = [train_parallel(lambda: make("Landmarks-2"), decision(), 3_000, 500, 20, seed=s)[1][-1] for s in range(5)]
    assert [end.steps for end in ends] == [3_000] * 5
    slow = np.array([end.returns.mean() for end in ends])
    assert abs(slow.mean() - quick.mean()) < 0.1
    assert slow.min() > 0.6
    assert all(3_000 < end.total_steps <= 6_000 for end in ends)


@pytest.mark.skipif(not HAS_NUMBA, reason="needs the extra fast")
@pytest.mark.slow
def test_decision_mode_needs_fewer_steps_on_navigation_10() -> None:
    """5 seeds: the slowest seed of PR decision is faster than the fastest of IQL; eq. 5 does not get there."""
    budget = Budget(24_000, 500, 10)
    data = {
        name: np.array([curve("Navigation-10", config, seed, budget) for seed in range(5)])
        for name, config in {"iql": iql(), "pr": decision(), "eq5": faithful(0.3)}.items()
    }
    level = 0.57
    first = {name: np.where((c >= level).any(axis=1), (c >= level).argmax(axis=1), np.inf) for name, c in data.items()}
    assert first["pr"].max() < first["iql"].min()
    assert np.median(first["eq5"]) == np.inf


class Own:
    """A minimal discrete environment by duck typing; ``spaces`` are replaced to provoke errors."""

    def __init__(self, observation: Any = None, action: Any = None) -> None:
        from gymnasium.spaces import Discrete

        self.possible_agents = ["x", "y"]
        self.agents: list[str] = []
        self.observation = observation or Discrete(4, start=1)
        self.action = action or Discrete(2, start=1)

    def observation_space(self, agent: str) -> Any:
        return self.observation

    def action_space(self, agent: str) -> Any:
        return self.action if agent == "x" or self.action.shape else type(self.action)(2, start=1)

    def reset(self, seed: int | None = None) -> tuple[dict[str, int], dict[str, Any]]:
        self.agents, self.t, self.cell = list(self.possible_agents), 0, {"x": 1, "y": 4}
        return dict(self.cell), {}

    def step(self, actions: dict[str, int]) -> tuple[dict[str, Any], ...]:
        assert all(action in (1, 2) for action in actions.values())
        self.t += 1
        for agent, action in actions.items():
            self.cell[agent] = min(max(self.cell[agent] + 2 * action - 3, 1), 4)
        done = self.t >= 10
        agents, self.agents = self.agents, [] if done else self.agents
        rewards = {agent: float(self.cell[agent] == 3) for agent in agents}
        return dict(self.cell), rewards, dict.fromkeys(agents, False), dict.fromkeys(agents, done), {}


def test_spaces_with_a_start() -> None:
    """Discrete spaces that do not begin at 0; staying around cell 3 is best: it is reached every other step."""
    _, evaluations = train_parallel(Own, TabularConfig(), 2_000, 2_000, 1)
    assert evaluations[-1].returns.mean() >= 4


def test_non_discrete_environments_are_refused() -> None:
    from gymnasium.spaces import Box, Discrete

    with pytest.raises(ValueError, match=r"Box.*needs Discrete or MultiDiscrete.*sb3_pr"):
        ParallelTrainer(lambda: Own(observation=Box(0.0, 1.0, (3,))))
    with pytest.raises(ValueError, match="needs Discrete actions"):
        ParallelTrainer(lambda: Own(action=Box(0.0, 1.0, (3,))))
    with pytest.raises(ValueError, match=r"sizes \[2, 3\]"):
        ParallelTrainer(lambda: Own(action=Discrete(3, start=1)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "fast"}, "mode='fast' is not one of faithful, decision"),
        ({"share": True}, "control for IQL"),
        ({"refresh": 5}, "refresh=5"),
        ({"trust": -1.0}, "trust=-1.0"),
        ({"q_init": float("nan")}, "q_init=nan"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TabularConfig(**options)


def test_bad_learner_arguments() -> None:
    spec = grid_spec("Navigation-1")
    reciprocity = decision().reciprocity(spec.spaces)
    with pytest.raises(ValueError, match=r"gamma=1\.0"):
        TabularPR(reciprocity, 5, gamma=1.0)
    with pytest.raises(ValueError, match="n_actions=0"):
        TabularPR(reciprocity, 0)
    with pytest.raises(ValueError, match="one per seed"):
        WorldTrainer(spec, TabularPR(reciprocity, 5), [])
    with pytest.raises(ValueError, match=r"epsilon=1\.0"):
        WorldTrainer(spec, TabularPR(reciprocity, 5), [np.random.default_rng(0)], epsilon=1.0)


def test_without_numba() -> None:
    """Where numba is not installed the same numbers come from plain Python and NumPy."""
    code = """
import sys
sys.modules["numba"] = None
import numpy as np
from marl_pr_common.envs import grid_spec
from marl_pr_common.tabular import TabularConfig, TabularPR, WorldTrainer
spec, config = grid_spec("Navigation-3"), TabularConfig()
learner = TabularPR(config.reciprocity(spec.spaces), 5, config, spec.gamma, 2)
assert not learner.compiled
WorldTrainer(spec, learner, [np.random.default_rng(seed) for seed in range(2)]).train(100)
print(repr(float(np.abs(learner.q).sum())), int(learner.tables.n.sum()))
try:
    TabularPR(config.reciprocity(spec.spaces), 5, config, backend="numba")
except ImportError as error:
    print(error)
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    here = trainer("Navigation-3", decision(), "auto")
    here.train(100)
    total, visits = result[0].split()
    assert float(total) == pytest.approx(np.abs(here.learner.q).sum(), rel=1e-12)
    assert int(visits) == here.learner.tables.n.sum()
    assert 'pip install "marl-pr[fast]"' in result[1]


@pytest.mark.skipif(not HAS_NUMBA, reason="needs the extra fast")
@pytest.mark.slow
def test_a_changed_kernel_is_compiled_again(tmp_path: Path) -> None:
    """A caller in one file must not keep the cached machine code of a callee in another file."""
    package = tmp_path / "marl_pr_common"
    shutil.copytree(Path(marl_pr_common.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    code = "from marl_pr_common.tabular.caller import call; print(call(2.0))"
    (package / "tabular" / "caller.py").write_text(
        "from marl_pr_common.envs.jit import jit\n"
        "from marl_pr_common.tabular.callee import double\n"
        "@jit\n"
        "def call(x):\n"
        "    return double(x)\n"
    )
    results = []
    for factor in (2, 3):
        body = f"from marl_pr_common.envs.jit import jit\n@jit\ndef double(x):\n    return {factor} * x\n"
        (package / "tabular" / "callee.py").write_text(body)
        run = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
        )
        results.append(float(run.stdout))
    assert results == [4.0, 6.0]
