"""Environments of every form that EPyMARL takes answer through the guard as they do themselves."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from epymarl_pr.envs.guarded import GuardedFactory, Uses
from tests.epymarl import odd_envs
from tests.epymarl.test_guarded_env import PLACE, make, message

__all__ = ["make"]


def test_truncations_of_each_agent_end_the_episode_when_all_are(make: Any) -> None:
    env = make("Lists")
    env.reset()
    ends = [env.step([0, 0])[2:4] for _ in range(8)]
    assert ends == [(False, False)] * 7 + [(False, True)]


def test_opponents_are_no_peers(make: Any) -> None:
    said = message(make, "Teams", Uses(all_are_peers=True))
    assert "adversary_0, agent_0 play against one another" in said
    assert "pr_peers=matrix pr_peer_matrix=[[0,0],[0,0]]" in said
    make("Teams")
    make("Friends", Uses(all_are_peers=True))


def test_opponents_of_pettingzoo(make: Any) -> None:
    pytest.importorskip("mpe2")
    said = message(make, "pz-mpe-simple-tag-v3", Uses(all_are_peers=True))
    assert "pr_peer_matrix=[[0,1,1,0],[1,0,1,0],[1,1,0,0],[0,0,0,0]]" in said


def test_agents_of_different_kinds_share_no_experience(make: Any) -> None:
    shares = Uses(share_experience=True)
    assert "adversary_0, agent_0 play against one another" in message(make, "Teams", shares)
    said = message(make, "Sizes", shares)
    assert "different observations ((3,), (4,)) and actions (3, 2); EPyMARL pads them" in said
    assert said.endswith("with pr_shared_experience=True each would learn from the others' rows. Use False.")
    make("Sizes", Uses(all_are_peers=True))
    make("Friends", shares)


def test_a_side_that_is_played_by_the_environment_is_no_opponent(make: Any) -> None:
    pytest.importorskip("mpe2")
    both = Uses(all_are_peers=True, share_experience=True)
    assert make("pz-mpe-simple-tag-v3", both, pretrained_wrapper="FrozenTag").n_agents == 3
    said = message(make, "pz-mpe-simple-tag-v3", Uses(share_experience=True))
    assert "adversary_0, adversary_1, adversary_2, agent_0 play against one another" in said


def test_pettingzoo_is_drawn(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mpe2")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    env = make("pz-mpe-simple-spread-v3", Uses(render=True), render_mode="rgb_array")
    env.reset()
    env.render()
    assert make("pz-mpe-simple-spread-v3", Uses(render=True))._env.unwrapped._env.render_mode == "human"


def test_a_right_environment_answers_as_it_does_itself(make: Any, checkout: Any) -> None:
    from envs import gymma_fn

    ours = make("Plain")
    arguments = {"key": f"{PLACE}:Plain-v0", "time_limit": 10, "pretrained_wrapper": None, "seed": 1}
    theirs = gymma_fn(**arguments, common_reward=True, reward_scalarisation="sum")
    for env in (ours, theirs):
        env.reset()
    for _ in range(8):
        left, right = ours.step([0, 1]), theirs.step([0, 1])
        assert np.array_equal(left[0], right[0])
        assert left[1:] == right[1:]
        assert np.array_equal(ours.get_state(), theirs.get_state())
    assert ours.get_env_info() == theirs.get_env_info()


def test_one_environment_is_made_for_each_that_is_asked_for(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(odd_envs.Once, "made", 0)
    make("Once")
    assert odd_envs.Once.made == 1
    assert "RuntimeError: started already (odd_envs.py:" in message(make, "Once")


def test_the_mixers_that_need_one_reward_are_upstreams(checkout: Any) -> None:
    """The rule that is written down here for learners of other names is EPyMARL's."""
    from utils.general_reward_support import test_alg_config_supports_reward as supports

    from epymarl_pr.launch import checks
    from epymarl_pr.launch.errors import UsageError

    for learner in ("q_learner", "ppo_learner", "maddpg_learner", "coma_learner", "qtran_learner"):
        for mixer in (None, "vdn", "qmix"):
            config = {"common_reward": False, "learner": learner, "mixer": mixer, "name": "x"}
            if supports(SimpleNamespace(**config)):
                checks.rewards(config)
            else:
                with pytest.raises(UsageError, match="common_reward=False with --config=x"):
                    checks.rewards(config)


class Noisy:
    """A ``MultiAgentEnv`` as PyMARL's: observations are drawn when they are asked for, step() gives none."""

    n_agents = 2

    def __init__(self) -> None:
        self.asked = 0

    def reset(self, **_: Any) -> Any:
        return self.get_obs(), self.get_state()

    def step(self, actions: Any) -> Any:
        return None, 1.0, False, False, {}

    def get_obs(self) -> Any:
        self.asked += 1
        return [np.zeros(3), np.zeros(3)]

    def get_state(self) -> Any:
        self.asked += 1
        return np.zeros(6)

    def get_state_size(self) -> int:
        return 6


def test_an_environment_of_pymarls_own_form_is_asked_what_the_runner_asks() -> None:
    inner = Noisy()
    env = GuardedFactory(lambda **_: inner, Uses())(key="x")
    env.reset()
    assert inner.asked == 2
    env.get_obs()
    env.get_state()
    assert env.step([0, 0])[0] is None
    assert inner.asked == 4


def test_ends_as_arrays_and_by_name(make: Any) -> None:
    env = make("CutAsArray")
    env.reset()
    ends = [env.step([0, 0])[2:4] for _ in range(8)]
    assert ends[-1] in [(False, True), (True, True), (True, False)]
    assert not any(any(end) for end in ends[:-1])
    env = make("CutByName")
    env.reset()
    assert "truncated={'agent_0': False, 'agent_1': False}: expected True or False" in message(env.step, [0, 0])
