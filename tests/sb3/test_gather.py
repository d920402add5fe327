"""One gather for all agents gives the rows that agent by agent are drawn, bit for bit."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3.common.buffers import DictReplayBuffer, ReplayBuffer
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize

from sb3_pr import TD3PR
from sb3_pr.replay import gather
from sb3_pr.replay.buffers import as_agent_major
from sb3_pr.streams import Drawn, Streams
from tests.sb3.tools import SMALL, assert_same_bits

BOX = spaces.Box(-5, 5, (3,), np.float32)
SPACES = {
    "box": BOX,
    "float64": spaces.Box(-5, 5, (2, 2), np.float64),
    "image": spaces.Box(0, 255, (1, 4, 4), np.uint8),
    "discrete": spaces.Discrete(7),
    "nothing": spaces.Box(-1, 1, (0,), np.float32),
    "dict": spaces.Dict({"a": BOX, "b": spaces.Discrete(3)}),
}


def filled(space, rows, n_envs, **options):
    rng = np.random.default_rng(0)
    kind = DictReplayBuffer if isinstance(space, spaces.Dict) else ReplayBuffer
    buffer = kind(50 * n_envs, space, BOX, device="cpu", n_envs=n_envs, **options)
    space.seed(1)

    def observed():
        drawn = [space.sample() for _ in range(n_envs)]
        if isinstance(space, spaces.Dict):
            return {key: np.stack([np.asarray(one[key]) for one in drawn]) for key in drawn[0]}
        return np.stack(drawn)

    for _ in range(rows):
        infos = [{"TimeLimit.truncated": bool(cut)} for cut in rng.integers(0, 2, n_envs)]
        numbers = rng.normal(size=(n_envs, 3)), rng.normal(size=n_envs), rng.integers(0, 2, n_envs)
        buffer.add(observed(), observed(), *numbers, infos)
    return buffer


def one_by_one(monkeypatch):
    monkeypatch.setattr(gather, "possible", lambda *_: False)


@pytest.mark.parametrize("rows", [30, 120], ids=["filling", "full"])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("teams", [1, 3])
@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
@pytest.mark.few(14)
def test_the_rows_are_those_of_each_agents_own_sample(space, teams, shared, rows, monkeypatch):
    def sample():
        np.random.seed(5)  # noqa: NPY002  the generator that SB3 draws rows from
        streams = Streams(range(teams), 2, th.device("cpu"), BOX) if teams > 1 else None
        buffer = as_agent_major(filled(space, rows, 2 * teams), shared, streams)
        drawn = [buffer.sample(8) for _ in range(3)]
        return drawn, np.random.random(), [state.random() for state in streams.numpy] if streams else []  # noqa: NPY002

    together = sample()
    one_by_one(monkeypatch)
    apart = sample()
    assert together[1:] == apart[1:]  # every generator stands where it stood
    for one, other in zip(together[0], apart[0], strict=True):
        assert type(one) is type(other)
        assert (
            isinstance(one.actions, Drawn)
            == isinstance(other.actions, Drawn)
            == (teams > 1 and hasattr(one, "_replace"))
        )
        for mine, theirs in zip(one, other, strict=True):
            pairs = [(mine, theirs)] if not isinstance(mine, dict) else [(mine[key], theirs[key]) for key in mine]
            assert all(a is b is None or (a.dtype == b.dtype and th.equal(a, b)) for a, b in pairs)


@pytest.mark.parametrize("options", [{}, {"shared_replay": True}, {"n_teams": 2}], ids=str)
@pytest.mark.few(1)
def test_a_run_is_the_same_with_scaled_observations(options, monkeypatch):
    def trained():
        kwargs = {"learning_starts": 30, "batch_size": 16, "buffer_size": 400, "seed": 0, "policy_kwargs": SMALL}
        env = "Pendulum-v1" if "n_teams" in options else VecNormalize(make_vec_env("Pendulum-v1", 3, seed=0))
        return TD3PR("MlpPolicy", env, n_agents=3, **options, **kwargs).learn(60 * 3 * options.get("n_teams", 1))

    together = trained()
    one_by_one(monkeypatch)
    assert_same_bits(together, trained())


def test_what_is_not_upstreams_own_goes_agent_by_agent(monkeypatch):
    class Own(ReplayBuffer):
        pass

    kind = Own
    assert not gather.possible(as_agent_major(Own(40, BOX, BOX, n_envs=2), False), kind)
    plain = as_agent_major(filled(BOX, 30, 2), False)
    assert gather.possible(plain, ReplayBuffer)
    assert not gather.possible(as_agent_major(filled(BOX, 30, 1), False), ReplayBuffer)
    frugal = filled(BOX, 30, 2, optimize_memory_usage=True, handle_timeout_termination=False)
    assert not gather.possible(as_agent_major(frugal, False), ReplayBuffer)
    plain._get_samples = lambda rows, env=None: None
    assert not gather.possible(plain, ReplayBuffer)
    del plain._get_samples
    plain.sample = plain.sample  # of the whole: what it calls may be upstream's
    assert gather.possible(plain, ReplayBuffer)
    for rewards in (np.asfortranarray(plain.rewards), th.as_tensor(plain.rewards)):
        plain.rewards, before = rewards, plain.rewards
        assert not gather.possible(plain, ReplayBuffer)
        plain.rewards = before
    monkeypatch.setattr(ReplayBuffer, "_get_samples", lambda self, rows, env=None: rows)
    assert not gather.possible(plain, ReplayBuffer)


class Scaled(np.ndarray):
    """Kept as bytes, read as fractions."""

    def __getitem__(self, key):
        return np.asarray(self)[key].astype(np.float32) / 127


def test_an_array_of_the_users_own_class_reads_as_it_does():
    buffer = filled(BOX, 30, 2)
    buffer.observations = (buffer.observations * 20).astype(np.int8).view(Scaled)
    assert not gather.possible(buffer, ReplayBuffer)
    assert as_agent_major(buffer, False).sample(8).observations.dtype == th.float32


def test_whole_rows_are_taken_by_two_lists_of_indices_alone():
    plain = np.arange(24).reshape(4, 1, 6)
    rows = gather._flat(plain, SimpleNamespace(buffer_size=4, n_envs=1))
    chosen, zeros = np.array([3, 1]), np.array([0, 0])
    for key in ((chosen, zeros), (chosen, zeros, slice(None)), (chosen, zeros, slice(2)), (2, 0), chosen, (chosen, 0)):
        assert np.array_equal(rows[key], plain[key])
        assert type(rows[key]) in (np.ndarray, np.int64)
