"""``CheckpointCallback`` and ``load_checkpoint``: every part of a model goes on, in this process and after a kill."""

import logging
import shutil

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback, StopTrainingOnNoModelImprovement
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.envs import BitFlippingEnv
from stable_baselines3.common.logger import configure
from stable_baselines3.common.noise import NormalActionNoise as Normal
from stable_baselines3.common.noise import OrnsteinUhlenbeckActionNoise as OU
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import SubprocVecEnv, VecNormalize
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from marl_pr_common.checkpoint import CheckpointError, checkpoints, load
from sb3_pr import DDPGPR, TD3PR, AgentEvalCallback, CheckpointCallback, load_checkpoint, save_checkpoint
from tests.resume.tools import assert_equal, done, hashes, kill, run, script

SMALL = {"net_arch": [16]}


def pendulum(n):
    return make_vec_env("Pendulum-v1", n, seed=3)


def noise(kind):
    return kind(np.zeros(1), np.full(1, 0.1))


MODELS = {
    "TD3PR": lambda: TD3PR(
        "MlpPolicy", pendulum(3), seed=0, trust="td", adjacency="resample", action_noise=noise(Normal)
    ),
    "one agent": lambda: TD3PR("MlpPolicy", pendulum(1), seed=0, action_noise=noise(OU)),
    "DDPGPR": lambda: DDPGPR("MlpPolicy", pendulum(2), seed=0, peers="random", sync_interval=5, n_steps=3),
    "Ornstein-Uhlenbeck": lambda: TD3PR("MlpPolicy", pendulum(2), seed=0, action_noise=noise(OU)),
    "VecNormalize": lambda: TD3PR(
        "MlpPolicy", VecNormalize(pendulum(2)), seed=0, estimator="sampled", adjacency="noise"
    ),
    "schedule": lambda: TD3PR(
        "MlpPolicy", pendulum(2), seed=0, estimator="one_voice", learning_rate=LinearSchedule(1e-3, 1e-5, 1.0)
    ),
    "memory-optimised": lambda: TD3PR(
        "MlpPolicy",
        pendulum(2),
        seed=0,
        optimize_memory_usage=True,
        replay_buffer_kwargs={"handle_timeout_termination": False},
    ),
    "train_freq": lambda: TD3PR(
        "MlpPolicy", pendulum(2), seed=0, train_freq=7, gradient_steps=-1, fast=True, in_actor=True, consensus=0.1
    ),
}


def settings(model):
    model.learning_starts, model.batch_size = 40, 16
    return model


class Anneal(BaseCallback):
    """Changes kappa, and counts for itself."""

    def __init__(self):
        super().__init__()
        self.history = []

    def _on_step(self):
        if self.n_calls % 50 == 0 and self.model.n_agents > 1:
            self.model.kappa = 0.5 * 0.9 ** (self.n_calls // 50)
            self.history.append(self.model.kappa)
        return True


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


@pytest.mark.parametrize("name", MODELS)
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


def test_an_unknown_environment_is_approximate_and_says_so(tmp_path):
    class Own(gym.Wrapper):
        pass

    def model():
        return TD3PR("MlpPolicy", make_vec_env("Pendulum-v1", 2, wrapper_class=Own), policy_kwargs=SMALL, seed=0)

    first = model().learn(100)
    save_checkpoint(first, tmp_path)
    manifest = load(tmp_path).manifest
    assert not manifest.exact
    assert "Own is not known" in manifest.reason
    assert "state_dict()" in manifest.reason
    second = model()
    with pytest.warns(RuntimeWarning, match="continues approximately.*Own is not known"):
        load_checkpoint(tmp_path, second)
    assert second.num_timesteps == 100
    second.learn(50, reset_num_timesteps=False)
    assert second.num_timesteps == 150


def test_an_environment_with_state_dict_is_exact(tmp_path):
    class Own(gym.Wrapper):
        count = 0

        def step(self, action):
            self.count += 1
            observation, reward, *rest = self.env.step(action)
            return observation, reward + self.count, *rest

        def state_dict(self):
            return {"count": self.count}

        def load_state_dict(self, state):
            self.count = state["count"]

    def model():
        env = make_vec_env("Pendulum-v1", 2, wrapper_class=Own, seed=0)
        return settings(TD3PR("MlpPolicy", env, policy_kwargs=SMALL, seed=0))

    whole = model().learn(400)
    save_checkpoint(model().learn(200), tmp_path / "half")
    half = model()
    assert load_checkpoint(tmp_path / "half", half).manifest.exact
    half._total_timesteps = 400
    half.learn(200, reset_num_timesteps=False)
    assert np.array_equal(whole.replay_buffer.rewards, half.replay_buffer.rewards)


def test_environments_in_other_processes_are_approximate(tmp_path):
    env = make_vec_env("Pendulum-v1", 2, vec_env_cls=SubprocVecEnv)
    model = TD3PR("MlpPolicy", env, policy_kwargs=SMALL).learn(20)
    save_checkpoint(model, tmp_path)
    assert "SubprocVecEnv cannot be reached" in load(tmp_path).manifest.reason
    env.close()


def test_her_keeps_its_episodes(tmp_path):
    def model():
        env = make_vec_env(lambda: BitFlippingEnv(continuous=True, n_bits=4), n_envs=2)
        options = {"replay_buffer_class": HerReplayBuffer, "learning_starts": 100, "buffer_size": 500, "seed": 0}
        return TD3PR("MultiInputPolicy", env, policy_kwargs=SMALL, **options)

    first, second = model().learn(200), model()
    save_checkpoint(first, tmp_path)
    with pytest.warns(RuntimeWarning, match="BitFlippingEnv is not known"):
        load_checkpoint(tmp_path, second)
    for name in ("ep_start", "ep_length", "rewards"):
        assert np.array_equal(getattr(first.replay_buffer, name), getattr(second.replay_buffer, name))
    second.learn(100, reset_num_timesteps=False)


@pytest.mark.parametrize(
    "make_other, message",
    [
        (lambda: DDPGPR("MlpPolicy", pendulum(2)), "checkpoint of TD3PR, expected DDPGPR"),
        (lambda: TD3PR("MlpPolicy", pendulum(3)), "n_agents was 2 and is now 3"),
        (lambda: TD3PR("MlpPolicy", pendulum(2), seed=0, buffer_size=50), "buffer_size was 1000000 and is now 50"),
        (lambda: TD3PR("MlpPolicy", make_vec_env("Hopper-v5", 2)), "observation_space was"),
    ],
)
def test_another_model_is_refused(make_other, message, tmp_path):
    save_checkpoint(TD3PR("MlpPolicy", pendulum(2)).learn(20), tmp_path)
    other = make_other()
    before = other.policy.state_dict()["actor.mu.0.weight"].clone()
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(tmp_path, other)
    assert (other.policy.state_dict()["actor.mu.0.weight"] == before).all()
    assert other.num_timesteps == 0


def test_other_settings_are_named(tmp_path):
    save_checkpoint(TD3PR("MlpPolicy", pendulum(2)).learn(20), tmp_path)
    with pytest.warns(RuntimeWarning, match=r"other settings: gamma was 0\.99 and is now 0\.9"):
        load_checkpoint(tmp_path, TD3PR("MlpPolicy", pendulum(2), seed=0, gamma=0.9))


def test_other_callbacks_are_refused(tmp_path):
    model = TD3PR("MlpPolicy", pendulum(2))
    model.learn(20, callback=CheckpointCallback(5, tmp_path))
    with pytest.raises(CheckpointError, match=r"callbacks are \['Anneal'\], the checkpoint's were \['Checkpoint"):
        load_checkpoint(tmp_path, TD3PR("MlpPolicy", pendulum(2)), Anneal())


def test_a_full_disk_does_not_end_training(tmp_path, caplog, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("marl_pr_common.checkpoint.payload.np.savez", full)
    with caplog.at_level(logging.WARNING):
        TD3PR("MlpPolicy", pendulum(2)).learn(60, callback=CheckpointCallback(10, tmp_path))
    assert "no checkpoint was saved" in caplog.text


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
