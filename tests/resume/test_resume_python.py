"""``CheckpointCallback`` and ``load_checkpoint``: every part of a model goes on, in this process and after a kill."""

import shutil

import numpy as np
import pytest
from stable_baselines3.common.callbacks import BaseCallback, StopTrainingOnNoModelImprovement
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import configure
from stable_baselines3.common.noise import NormalActionNoise as Normal
from stable_baselines3.common.noise import OrnsteinUhlenbeckActionNoise as OU
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecNormalize
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from marl_pr_common.checkpoint import checkpoints
from sb3_pr import DDPGPR, SACPR, TD3PR, AgentEvalCallback, CheckpointCallback, load_checkpoint
from tests.resume.models import Anneal, pendulum, settings, small
from tests.resume.tools import assert_equal, done, hashes, kill, run, script


def noise(kind):
    return kind(np.zeros(1), np.full(1, 0.1))


MODELS = {
    "TD3PR": lambda: small(TD3PR, pendulum(3), seed=0, trust="td", adjacency="resample", action_noise=noise(Normal)),
    "one agent": lambda: small(TD3PR, pendulum(1), seed=0, action_noise=noise(OU)),
    "DDPGPR": lambda: small(DDPGPR, pendulum(2), seed=0, peers="random", sync_interval=5, n_steps=3),
    "SACPR": lambda: small(SACPR, pendulum(2), seed=0, peers="random", sync_interval=3, gradient_steps=2),
    "Ornstein-Uhlenbeck": lambda: small(TD3PR, pendulum(2), seed=0, action_noise=noise(OU)),
    "VecNormalize": lambda: small(TD3PR, VecNormalize(pendulum(2)), seed=0, estimator="sampled", adjacency="noise"),
    "schedule": lambda: small(
        TD3PR, pendulum(2), seed=0, estimator="one_voice", learning_rate=LinearSchedule(1e-3, 1e-5, 1.0)
    ),
    "memory-optimised": lambda: small(
        TD3PR,
        pendulum(2),
        seed=0,
        optimize_memory_usage=True,
        replay_buffer_kwargs={"handle_timeout_termination": False},
    ),
    "train_freq": lambda: small(
        TD3PR, pendulum(2), seed=0, train_freq=7, gradient_steps=-1, fast=True, in_actor=True, consensus=0.1
    ),
}


def callbacks(folder, normalized):
    env = make_vec_env("Pendulum-v1", 1, seed=1)
    evaluation = AgentEvalCallback(
        VecNormalize(env, training=False) if normalized else env,
        callback_after_eval=StopTrainingOnNoModelImprovement(100),
        n_eval_episodes=1,
        eval_freq=60,
        log_path=str(folder),
        verbose=0,
    )
    return [evaluation, Anneal(), CheckpointCallback(60, folder / "checkpoints")]


def begin(name, folder):
    model = settings(MODELS[name]())
    model.set_logger(configure(str(folder), ["csv", "log"]))
    return model, callbacks(folder, model.get_vec_normalize_env() is not None)


LONG = ("DDPGPR", "SACPR", "Ornstein-Uhlenbeck", "schedule", "memory-optimised", "train_freq")
"""What others have a part in, too."""


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in MODELS])
@pytest.mark.few(1)
def test_every_part_goes_on(name, tmp_path):
    """2 N steps at once, and N steps, then a new model, evaluation, logger and callbacks, then N steps."""
    whole, half = tmp_path / "whole", tmp_path / "half"
    model, called = begin(name, whole)
    steps = model.n_envs * 200
    model.learn(steps, callback=called)

    model, called = begin(name, half)
    model.learn(steps, callback=[*called, Stop(at=100)])
    model.logger.close()
    shutil.rmtree(checkpoints(half / "checkpoints")[-1])  # of the end: the run was not killed, it ended
    model, called = begin(name, half)
    called.append(Stop(at=10**9))
    found = load_checkpoint(half / "checkpoints", model, called)
    assert found.manifest.exact, found.manifest.reason
    assert model.num_timesteps < steps / 2 + 8 * model.n_envs
    model.learn(steps - model.num_timesteps, callback=called, reset_num_timesteps=False)
    one, other = hashes(whole / "checkpoints"), hashes(half / "checkpoints")
    assert_equal(without_stop(one), without_stop(other))
    with np.load(whole / "evaluations.npz") as one, np.load(half / "evaluations.npz") as other:
        assert all(np.array_equal(one[key], other[key]) for key in one)


def without_stop(found):
    """The callback that the whole run did not have, and the human-readable log with its times."""
    return {key: value for key, value in found.items() if "/callbacks/4" not in key and "log.txt" not in key}


class Stop(BaseCallback):
    """Ends training, and what it was given to forget with it."""

    def __init__(self, at):
        super().__init__()
        self.at = at

    def _on_step(self):
        return self.n_calls < self.at


def test_tensorboard_hides_what_came_after_the_checkpoint(tmp_path):
    model = TD3PR("MlpPolicy", pendulum(2), seed=0, tensorboard_log=str(tmp_path))
    model.learn(40, callback=CheckpointCallback(10, tmp_path / "checkpoints"))
    write(model, 30, 1.0)
    write(model, 50, 2.0)  # after the checkpoint, before the kill
    again = TD3PR("MlpPolicy", pendulum(2))
    again.set_logger(configure(model.logger.dir, ["tensorboard"]))
    load_checkpoint(tmp_path / "checkpoints", again)
    write(again, 50, 3.0)
    curve = EventAccumulator(model.logger.dir).Reload().Scalars("x")
    assert [(event.step, event.value) for event in curve] == [(30, 1.0), (50, 3.0)]


def write(model, step, value):
    model.logger.record("x", value)
    model.logger.dump(step)


SCRIPT = """
import sys
from stable_baselines3.common.callbacks import EvalCallback
from sb3_pr import TD3PR, CheckpointCallback, load_checkpoint
from stable_baselines3.common.env_util import make_vec_env
root = sys.argv[1]
model = TD3PR("MlpPolicy", "Hopper-v5", n_agents=2, policy_kwargs={"net_arch": [16]}, learning_starts=100, seed=0)
evaluation = EvalCallback(make_vec_env("Hopper-v5", 1, seed=1), eval_freq=100, n_eval_episodes=1, verbose=0)
callbacks = [evaluation, CheckpointCallback(50, root)]
if sys.argv[2] == "resume":
    load_checkpoint(root, model, callbacks)
model.learn(1_000 - model.num_timesteps, callback=callbacks, reset_num_timesteps=False)
"""


@pytest.mark.slow
def test_killed_and_loaded_is_the_same_run(tmp_path):
    done(run(script(SCRIPT, tmp_path / "whole", "new")))
    kill(script(SCRIPT, tmp_path / "killed", "new"), tmp_path / "halted", before_save=4)
    done(run(script(SCRIPT, tmp_path / "killed", "resume")))
    assert_equal(hashes(tmp_path / "whole"), hashes(tmp_path / "killed"))
