"""An environment that was made anew and got a saved state begins the episodes that the one which was saved begins."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from epymarl_pr.resume.workers import KNOWN, environment_state, restore_environment, unknown

KEYS = [
    "lbforaging:Foraging-5x5-3p-1f-v3",
    "lbforaging:Foraging-8x8-3p-2f-coop-v3",
    "pz-mpe-simple-spread-v3",
    "pz-mpe-simple-speaker-listener-v4",
    "epymarl_pr:pp-3-v0",
    "epymarl_pr:spread-3-v0",
    "epymarl_pr:navigation-3-v0",
]


def begins(env: Any, episodes: int) -> list[np.ndarray]:
    """First and fourth observations of episodes of random actions."""
    choose = np.random.default_rng(3)
    found = []
    for _ in range(episodes):
        env.reset()
        found.append(np.concatenate([np.ravel(one) for one in env.get_obs()]))
        for _ in range(3):
            env.step([int(choose.choice(np.flatnonzero(legal))) for legal in env.get_avail_actions()])
        found.append(np.concatenate([np.ravel(one) for one in env.get_obs()]))
    return found


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.usefixtures("checkout")
@pytest.mark.few(3)
def test_a_new_environment_goes_on_where_the_saved_one_was(key: str) -> None:
    from envs import REGISTRY

    def make() -> Any:
        arguments = {"key": key, "time_limit": 25, "pretrained_wrapper": None, "seed": 5}
        return REGISTRY["gymma"](**arguments, common_reward=True, reward_scalarisation="sum")

    env = make()
    begins(env, 2)
    for number in range(40):  # of the starts in 5x5 cells every eighth or so touches where the last episode ended
        state = json.loads(json.dumps(environment_state(env)))
        assert state["class"].startswith(KNOWN)
        assert not unknown([state])
        other = make()
        restore_environment(other, state)
        np.testing.assert_array_equal(begins(other, 1), begins(env, 1), err_msg=f"after {2 + number} episodes")
