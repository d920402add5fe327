"""What a user's own replay buffer keeps is kept, as with several envs in Stable-Baselines3."""

import pickle
from collections import deque
from typing import NamedTuple

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3 import TD3
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.type_aliases import ReplayBufferSamples

from sb3_pr import TD3PR
from sb3_pr.replay.buffers import as_agent_major

SETTINGS = {"policy_kwargs": {"net_arch": [8]}, "learning_starts": 60, "seed": 0, "batch_size": 16}


class Batch(NamedTuple):
    observations: th.Tensor
    actions: th.Tensor
    next_observations: th.Tensor
    dones: th.Tensor
    rewards: th.Tensor
    discounts: th.Tensor | None
    weights: np.ndarray


class Prioritised(ReplayBuffer):
    """Draws by priorities per row and env, anneals beta, remembers what it drew."""

    beta, draws, added = 0.4, 0, 0
    rows = columns = None

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.priorities = np.zeros((self.buffer_size, self.n_envs))
        self.counts = {"sample": 0}
        self.rng = np.random.default_rng(0)

    def add(self, obs, next_obs, action, reward, done, infos):
        self.priorities[self.pos] = 1.0
        self.added += 1
        super().add(obs, next_obs, action, reward, done, infos)

    def sample(self, batch_size, env=None):
        self.draws += 1
        self.counts["sample"] += 1
        self.beta = min(1.0, self.beta + 0.01)
        weights = self.priorities[: self.size()]
        pairs = self.rng.choice(weights.size, size=batch_size, p=weights.ravel() / weights.sum())
        self.rows, self.columns = np.divmod(pairs, self.n_envs)
        return self._get_samples(self.rows, env)

    def _get_samples(self, batch_inds, env=None):
        where = (batch_inds, self.columns)
        arrays = (self.observations, self.actions, self.next_observations, self.dones, self.rewards)
        parts = [self.to_torch(array[where].reshape(len(batch_inds), -1)) for array in arrays]
        return Batch(*parts, None, self.priorities[where])

    def update_priorities(self, priorities):
        self.priorities[self.rows, self.columns] = priorities


@pytest.mark.parametrize("algorithm, n", [(TD3, 3), (TD3PR, 1), (TD3PR, 3)])
def test_one_update_is_one_sample(algorithm, n):
    model = algorithm("MlpPolicy", make_vec_env("Pendulum-v1", n), replay_buffer_class=Prioritised, **SETTINGS)
    model.learn(60 * n + 60)
    buffer = model.replay_buffer
    assert isinstance(buffer, Prioritised)
    assert buffer.draws == model._n_updates > 5
    assert buffer.beta == pytest.approx(min(1.0, 0.4 + 0.01 * buffer.draws))
    assert buffer.added == model.num_timesteps // n
    assert buffer.counts["sample"] >= buffer.draws


def test_rows_that_were_drawn_can_be_reweighted_from_outside():
    model = TD3PR("MlpPolicy", "Pendulum-v1", n_agents=3, replay_buffer_class=Prioritised, **SETTINGS).learn(150)
    buffer = model.replay_buffer
    batch = buffer.sample(16)
    assert batch.weights.shape == (48,)
    assert buffer.columns.tolist() == np.repeat([0, 1, 2], 16).tolist()
    drawn = buffer.observations[buffer.rows, buffer.columns]
    np.testing.assert_array_equal(batch.observations.numpy(), drawn)
    before = buffer.priorities.copy()
    buffer.update_priorities(np.arange(48) + 2.0)
    assert (buffer.priorities != before).any(axis=0).all()
    assert buffer.priorities[buffer.rows[-1], 2] == 49
    copied = pickle.loads(pickle.dumps(buffer))
    assert isinstance(copied, Prioritised)
    assert (copied.beta, copied.draws) == (buffer.beta, buffer.draws)
    np.testing.assert_array_equal(copied.priorities, buffer.priorities)


@pytest.mark.parametrize("shared_replay", [False, True])
def test_what_is_assigned_anew_is_whole_again(shared_replay):
    class Fading(ReplayBuffer):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.age = np.zeros((self.buffer_size, self.n_envs))

        def sample(self, batch_size, env=None):
            self.age = self.age + 1
            return super().sample(batch_size, env)

    options = {"replay_buffer_class": Fading, "shared_replay": shared_replay, "buffer_size": 300}
    model = TD3PR("MlpPolicy", "Pendulum-v1", n_agents=3, **options, **SETTINGS).learn(150)
    assert model.replay_buffer.age.shape == (100, 3)
    assert (model.replay_buffer.age == model._n_updates).all()


def test_an_array_whose_entries_have_no_owner_is_refused():
    class Flat(ReplayBuffer):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.priorities = np.zeros(self.buffer_size * self.n_envs)

    with pytest.raises(ValueError, match=r"Flat.priorities has 300 entries.*\(buffer_size, n_envs\) = \(100, 3\)"):
        TD3PR("MlpPolicy", "Pendulum-v1", n_agents=3, replay_buffer_class=Flat, buffer_size=300)
    TD3PR("MlpPolicy", "Pendulum-v1", replay_buffer_class=Flat, buffer_size=300)


def test_a_sample_set_on_the_buffer_itself_is_what_training_draws():
    model, drawn = TD3PR("MlpPolicy", "Pendulum-v1", n_agents=3, buffer_size=300, **SETTINGS), []
    upstream = model.replay_buffer.sample

    def recorded(batch_size, env=None):
        drawn.append(upstream(batch_size, env))
        return drawn[-1]

    model.replay_buffer.sample = recorded
    model.learn(150)
    assert len(drawn) == model._n_updates > 5
    assert drawn[0].rewards.shape == (48, 1)


class Storing(ReplayBuffer):
    """Transitions in containers of its own: one for each env, or one for all."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.stores = self.containers()

    def containers(self):
        return [deque(maxlen=100) for _ in range(self.n_envs)]

    def add(self, obs, next_obs, action, reward, done, infos):
        for env in range(self.n_envs):
            row = (obs[env], action[env], next_obs[env], [done[env]], [reward[env]])
            self.stores[env % len(self.stores)].append(tuple(np.array(part, np.float32) for part in row))
        super().add(obs, next_obs, action, reward, done, infos)

    def sample(self, batch_size, env=None):
        stores = [self.stores[k % len(self.stores)] for k in np.random.randint(self.n_envs, size=batch_size)]  # noqa: NPY002
        rows = [store[np.random.randint(len(store))] for store in stores]  # noqa: NPY002
        self.last = ReplayBufferSamples(*(self.to_torch(np.stack(field)) for field in zip(*rows, strict=True)))
        return self.last


class ByNumber(Storing):
    def containers(self):
        return {env: deque() for env in reversed(range(self.n_envs))}


class OneForAll(Storing):
    def containers(self):
        return (deque(),)


class Scales(ReplayBuffer):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.scales = [10.0**env for env in range(self.n_envs)]


def filled(kind):
    space = spaces.Box(-1, 1, (2,))
    buffer, rng = as_agent_major(kind(300, space, space, n_envs=3), False), np.random.default_rng(0)
    for _ in range(20):
        buffer.add(*rng.normal(size=(3, 3, 2)), np.arange(3.0), np.zeros(3, bool), [{}] * 3)
    return buffer


@pytest.mark.parametrize("kind", [Storing, ByNumber])
def test_a_container_of_each_env_is_its_agents(kind):
    buffer = filled(kind)
    for _ in range(2):
        assert buffer.sample(8).rewards.flatten().tolist() == np.repeat([0.0, 1.0, 2.0], 8).tolist()
        buffer = pickle.loads(pickle.dumps(buffer))
    assert buffer.last.rewards.shape == (24, 1)
    assert [len(buffer.stores[env]) for env in range(3)] == [20] * 3


def test_rows_of_other_agents_are_refused_and_numbers_of_each_env_in_a_list_are_asked_about():
    with pytest.raises(ValueError, match=r"OneForAll\.sample drew a transition of another agent for agent 0"):
        filled(OneForAll).sample(32)
    with pytest.warns(UserWarning, match=r"Scales\.scales=\[1\.0, 10\.0, 100\.0\] has 3 entries.*np\.array"):
        filled(Scales)


class Running(ReplayBuffer):
    """A running mean of the rewards that it drew."""

    mean = 0.0

    def sample(self, batch_size, env=None):
        batch = super().sample(batch_size, env)
        self.mean = 0.5 * self.mean + 0.5 * float(batch.rewards.mean())
        return batch


class Clocked(ReplayBuffer):
    """What people keep of their draws: a time, where they were, a generator."""

    seconds = 0.0

    def sample(self, batch_size, env=None):
        batch = super().sample(batch_size, env)
        self.seconds += 0.25
        self.drawn, self.noted = (batch.rewards.numpy(), "rewards"), {"rewards": batch.rewards.numpy()}
        self.rng = np.random.default_rng(0)
        return batch


class RunningEach(Running):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.mean = np.zeros(self.n_envs)


def test_a_statistic_of_draws_is_that_of_all_rows_or_kept_for_each():
    for kind, mean in ((Running, 0.75), (RunningEach, [0, 0.75, 1.5])):  # 0.75: as of one draw of 24 rows
        buffer = filled(kind)
        buffer.sample(8)
        buffer.sample(8)
        assert np.array_equal(buffer.mean, mean)


def test_what_is_kept_of_draws_is_whole():
    buffer = filled(Clocked)
    buffer.sample(8)
    buffer.sample(8)
    assert buffer.seconds == 0.5
    assert buffer.drawn[0].shape == buffer.noted["rewards"].shape == (24, 1)
    assert buffer.drawn[1] == "rewards"
