"""What MAPTF's options and DVM's students are given: whose rewards, finite values, enough room, which seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch as th

from tests.epymarl import hosts
from tests.epymarl.test_transfer import play

N = hosts.N_AGENTS


@pytest.mark.parametrize("key", ["obs", "reward"])
def test_values_that_are_not_finite_never_reach_the_options(checkout: Any, key: str) -> None:
    made = hosts.learner(checkout, "maptf", maptf_option_start=0, maptf_option_update_every=1, common_reward=False)
    batch = played(made)
    batch[key][0, 2, 1] = np.nan
    what = {"obs": "observation", "reward": "reward"}[key]
    with pytest.raises(Exception, match=f"{what} of agent 1 at step 2 is not finite"):
        made._observe()
    assert made.pr_options_learner.replay.total == 0


def test_the_last_observation_is_looked_at_too(checkout: Any) -> None:
    made = hosts.learner(checkout, "maptf")
    played(made)["obs"][0, hosts.LIMIT, 2] = np.inf
    with pytest.raises(Exception, match=f"observation of agent 2 at step {hosts.LIMIT} is not finite"):
        made._observe()


def played(made: Any) -> Any:
    """An episode that waits to be given to the options' learner; every agent has a reward of its own."""
    episode = play(made, 3)
    assert made.pr_episode is episode
    return episode


def test_each_agents_own_reward_reaches_its_rows(checkout: Any) -> None:
    made = hosts.learner(checkout, "maptf", maptf_option_start=10**6, common_reward=False)
    rewards = played(made)["reward"][0, : hosts.LIMIT]
    assert rewards.shape == (hosts.LIMIT, N)
    assert len(rewards.unique()) == rewards.numel()
    made._observe()
    rows = made.pr_options_learner.replay.window(0, hosts.LIMIT * N)
    assert th.equal(rows.reward.view(hosts.LIMIT, N), rewards)
    assert rows.agent.view(hosts.LIMIT, N).tolist() == [list(range(N))] * hosts.LIMIT


def test_a_replay_that_is_too_small_is_named_by_its_key(checkout: Any) -> None:
    made = hosts.learner(checkout, "maptf", maptf_option_replay=12 * N)
    played(made)
    with pytest.raises(Exception, match=f"maptf_option_replay={12 * N}: .*maptf_option_update_every=10"):
        made._observe()


@pytest.mark.parametrize("name", ["maptf", "dvm"])
def test_pr_seed_seeds_what_is_ours(checkout: Any, name: str) -> None:
    def weights(**seeds: int) -> th.Tensor:
        made = hosts.learner(checkout, name, **seeds)
        parts = made.pr_options_learner.network if name == "maptf" else made.pr_dvm.actor
        return th.cat([parameter.detach().flatten() for parameter in parts.parameters()])

    assert th.equal(weights(), weights(pr_seed=3))  # the run's
    assert th.equal(weights(seed=8, pr_seed=3), weights(pr_seed=3))
    assert not th.equal(weights(pr_seed=4), weights())


def test_the_share_of_no_transfer_is_logged(checkout: Any) -> None:
    """One episode is played between two logs: its options are the shares."""
    made = hosts.learner(checkout, "maptf")
    sample = hosts.batch(made)
    options = played(made)["options"][0, : hosts.LIMIT + 1, :, 0]
    made.train(sample, 10, 0)
    ((_, share),) = made.logger.stats["maptf_option_self"]
    assert share == pytest.approx(float((options == th.arange(N)).float().mean()))
    for w in range(N):
        ((_, share),) = made.logger.stats[f"maptf_option_{w}"]
        assert share == pytest.approx(float((options == w).float().mean()))
