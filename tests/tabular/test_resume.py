"""Tabular training goes on bit for bit, after a real SIGKILL too."""

import functools

import numpy as np
import pytest

from marl_pr_common import checkpoint
from marl_pr_common.checkpoint.environments import NotSaveable
from marl_pr_common.envs import digital_mdp, grid_spec, make
from marl_pr_common.envs.spaces import ObsSpace
from marl_pr_common.tabular import (
    Constant,
    DigitalRun,
    ParallelTrainer,
    TabularConfig,
    TabularPR,
    WorldTrainer,
    train_parallel,
)
from tests.resume.tools import assert_equal, done, hashes, kill, run, script
from tests.tabular.line import Line

SCRIPT = """
import sys
from marl_pr_common.envs import make
from marl_pr_common.tabular import train_parallel
train_parallel(lambda: make("Navigation-3"), steps=600, every=50, episodes=3, checkpoints=sys.argv[1], seed=5)
"""


def world(backend):
    spec = grid_spec("Landmarks-2")
    config = TabularConfig(mode="faithful", beta=Constant(0.1), refresh=7)
    learner = TabularPR(config.reciprocity(spec.spaces), spec.n_actions, config, n_seeds=2, backend=backend)
    return WorldTrainer(spec, learner, [np.random.default_rng([9, seed]) for seed in range(2)])


def digital(backend):
    mdp = digital_mdp(np.random.default_rng(0), n_states=5, n_agents=3)
    same = TabularConfig(weighting="mean").reciprocity([ObsSpace((5,), ordinal=(True,))] * 3)
    return DigitalRun(mdp, same, Constant(0.2), Constant(0.1), 0.5, [np.random.default_rng(1)], 3, backend)


def parallel(name, backend):
    return ParallelTrainer(functools.partial(make, name), seed=3)


WORLDS = ("Navigation-3", "Blocker-3", "Digital", "Courier-2", "Cliff-2")
MAKE = {
    "world": world,
    "digital": digital,
    **{name: functools.partial(parallel, name) for name in WORLDS},
}


def step(trainer, steps):
    trainer.train(steps)
    return trainer.evaluate(2).returns if isinstance(trainer, ParallelTrainer) else None


@pytest.mark.filterwarnings("ignore::marl_pr_common.tabular.TheoryWarning")
@pytest.mark.parametrize("backend", ["auto", "numpy"])
@pytest.mark.parametrize("kind", MAKE)
@pytest.mark.few(2)
def test_n_steps_twice_are_2n_steps(kind, backend, tmp_path):
    if backend == "numpy" and kind not in ("world", "digital"):
        pytest.skip("the trainer chooses its backend")
    whole, first, second = (MAKE[kind](backend) for _ in range(3))
    step(whole, 333)
    step(first, 333)
    checkpoint.save(tmp_path / "half", first.state_dict(), step=333)
    second.load_state_dict(checkpoint.load(tmp_path / "half").tree)
    whole_returns, returns = step(whole, 333), step(second, 333)
    checkpoint.save(tmp_path / "whole", whole.state_dict(), step=666)
    checkpoint.save(tmp_path / "halves", second.state_dict(), step=666)
    assert_equal(hashes(tmp_path / "whole"), hashes(tmp_path / "halves"))
    assert whole_returns is None or np.array_equal(whole_returns, returns)


@pytest.mark.slow
def test_killed_and_called_again_is_the_same_training(tmp_path):
    done(run(script(SCRIPT, tmp_path / "whole")))
    kill(script(SCRIPT, tmp_path / "killed"), tmp_path / "halted", before_save=5)
    assert checkpoint.load(tmp_path / "killed").manifest.step < 600
    done(run(script(SCRIPT, tmp_path / "killed")))
    assert_equal(hashes(tmp_path / "whole"), hashes(tmp_path / "killed"))


def test_states_from_before_agents_could_wait_load(tmp_path):
    """They hold the observations of all agents, and no transition is under way."""
    whole, again = parallel("Navigation-3", None), parallel("Navigation-3", None)
    whole.train(30)
    state = whole.state_dict()
    del state["agents"], state["learner"]["tried"]
    state["observations"] = whole.env._observe(whole.env.agents)
    checkpoint.save(tmp_path, state, step=30)
    again.load_state_dict(checkpoint.load(tmp_path).tree)
    for trainer in (whole, again):
        trainer.train(100)
    assert np.array_equal(whole.learner.q, again.learner.q)


def test_what_cannot_be_saved_is_refused_before_the_first_step(tmp_path):
    class Lasting(Line):
        steps = 0

        def step(self, actions):
            Lasting.steps += 1
            return super().step(actions)

    with pytest.raises(NotSaveable, match=r"Lasting is not known.*state_dict"):
        train_parallel(Lasting, checkpoints=tmp_path)
    Lasting.state_dict, Lasting.load_state_dict = lambda self: {"simulator": object()}, lambda self, state: None
    with pytest.raises(TypeError, match="simulator"):
        train_parallel(Lasting, checkpoints=tmp_path)
    assert Lasting.steps == 0


def test_another_trainer_is_refused(tmp_path):
    checkpoint.save(tmp_path, parallel("Navigation-3", None).state_dict(), step=0, kind="tabular")
    tree = checkpoint.load(tmp_path).tree
    with pytest.raises(checkpoint.CheckpointError, match="q is float64 of shape"):
        parallel("Navigation-2", None).load_state_dict(tree)


def test_called_again_after_the_end_changes_nothing(tmp_path):
    def run():
        return train_parallel(lambda: make("Navigation-2"), steps=100, every=50, episodes=2, checkpoints=tmp_path)

    (learner, evaluations), (again, the_same) = run(), run()
    assert np.array_equal(learner.q, again.q)
    assert [one.steps for one in evaluations] == [one.steps for one in the_same] == [0, 50, 100]
