"""A NaN is found in the update in which it comes and named, and no parameter is changed by it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch as th

from tests.epymarl import hosts

NAMES = ["qmix_ns_pr", "mappo_ns_pr", "maddpg_ns_pr", "ia2c_pr"]


def parameters(made: Any) -> list[th.Tensor]:
    found = [group["params"] for value in vars(made).values() if isinstance(value, th.optim.Optimizer)
             for group in value.param_groups]  # fmt: skip
    return [parameter.detach().clone() for group in found for parameter in group]


@pytest.mark.parametrize("key, place", [("reward", (1, 2, 0)), ("state", (1, 0, 3)), ("obs", (1, 2, 1, 4))])
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", NAMES)
def test_what_environments_return(checkout: Any, name: str, key: str, place: tuple[int, ...], value: float) -> None:
    made = hosts.learner(checkout, name)
    made.train(hosts.batch(made), 10, 0)
    before, sample = parameters(made), hosts.batch(made, 1)
    sample[key][place] = value
    named = "agent 1, coordinate 4" if key == "obs" else ""
    with pytest.raises(Exception, match=rf"^epymarl_pr: non-finite {key} .*{named}.*step 20"):
        made.train(sample, 20, 1)
    assert all(map(th.equal, parameters(made), before))


@pytest.mark.parametrize("name", NAMES)
def test_a_gradient(checkout: Any, name: str) -> None:
    made = hosts.learner(checkout, name)
    made.train(hosts.batch(made), 10, 0)
    before = parameters(made)
    victim = next(iter(made.mac.parameters()))
    victim.register_hook(lambda gradient: th.full_like(gradient, th.nan))
    optimiser = "optimiser" if name.startswith("qmix") else "agent_optimiser"
    with pytest.raises(Exception, match=f"^epymarl_pr: non-finite gradient in {optimiser}, update 2"):
        made.train(hosts.batch(made, 1), 20, 1)
    assert all(th.isfinite(parameter).all() for parameter in parameters(made))
    assert th.equal(before[0], parameters(made)[0])


@pytest.mark.parametrize("name", ["qmix_ns_pr", "ippo_ns_pr"])
def test_a_broken_peer_is_masked_and_the_others_go_on(checkout: Any, name: str) -> None:
    """A snapshot of agent 2 is broken, so that only its peers' targets could be harmed."""
    made = hosts.learner(checkout, name, pr_sync_interval=100)
    made.train(hosts.batch(made), 10, 0)
    broken = made.pr_peers.agent.agents[2] if name.startswith("qmix") else made.pr_peers.critics[2]
    for parameter in broken.parameters():
        parameter.data[:] = th.nan
    made.train(hosts.batch(made, 1), 20, 1)
    assert all(th.isfinite(parameter).all() for parameter in parameters(made))
    assert made.reciprocity.masked_peer_values > 0
    assert made.logger.stats["pr_masked_peer_values"][-1][1] > 0


def test_the_alarm_on_diverging_values(checkout: Any, caplog: pytest.LogCaptureFixture) -> None:
    made = hosts.learner(checkout, "ippo_ns_pr", gamma=0.9)
    made.train(hosts.batch(made), 10, 0)
    assert "diverges" not in caplog.text
    for critic in made.target_critic.wrapped.critics:
        critic.fc3.bias.data[:] = 1e4
    for step in range(1, 12):
        made.train(hosts.batch(made, step), 10 + step, step)
    assert "agent 0 diverges" in caplog.text


def test_more_neighbours_than_a_batch_has(checkout: Any) -> None:
    made = hosts.learner(checkout, "ippo_pr", pr_adjacency="neighbours", pr_n_adjacent=500)
    with pytest.raises(Exception, match=r"^epymarl_pr: pr_n_adjacent=500 with pr_adjacency=neighbours"):
        made.train(hosts.batch(made), 10, 0)


@pytest.mark.parametrize("masks", [[[True, False]] * 3, [[True]] * 3, [[True] * 5] * 2, [[True] * 5, [True], [True]]])
def test_masks_of_another_shape(checkout: Any, masks: list[list[bool]]) -> None:
    with pytest.raises(Exception, match=r"^epymarl_pr: pr_observation_masks .* \(n_agents, obs_dim\) = \(3, 5\)"):
        hosts.learner(checkout, "qmix_pr", pr_observation_masks=masks)


def test_snapshots_follow_the_host_to_a_device(checkout: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """There may be no GPU here: what counts is that every network is moved."""
    moved: list[Any] = []
    monkeypatch.setattr(th.nn.Module, "cuda", lambda module, *_, **__: moved.append(module))
    for name in NAMES:
        made = hosts.learner(checkout, name, pr_sync_interval=4)
        moved.clear()
        made.cuda()
        critics = getattr(made.pr_peers, "critics", [made.pr_peers])
        agent = getattr(made.pr_peers, "agent", None)
        wanted = getattr(agent, "agents", [agent]) if agent is not None else critics
        assert all(any(network is found for found in moved) for network in wanted), name
