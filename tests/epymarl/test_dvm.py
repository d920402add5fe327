"""DVM on EPyMARL's MADDPG: when it distils, what it distils, what the team does afterwards."""

from __future__ import annotations

import copy
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch as th

from tests.epymarl import hosts
from tests.epymarl.test_identical import same

N = hosts.N_AGENTS


@pytest.fixture
def rollouts(checkout: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """DVM on cooperative navigation: decided teachers of different opinions, and what they really did."""
    env = gymnasium.make("epymarl_pr:spread-3-v0", disable_env_checker=True)
    obs_dim = env.observation_space[0].shape[0]
    for key, value in {"OBS_DIM": obs_dim, "STATE_DIM": N * obs_dim, "LIMIT": 25, "EPISODES": 40}.items():
        monkeypatch.setattr(hosts, key, value)
    made = hosts.learner(checkout, "dvm", n_actions=5, hidden_dim=48, dvm_minibatches=700, dvm_batch_size=256, lr=2e-3)
    with th.no_grad():
        for agent in made.mac.agent.agents:
            agent.fc2.weight *= 8
        for critic in made.critic.critics:
            critic.fc3.weight *= 4
    buffer = made.test_buffer
    for episode in range(hosts.EPISODES):
        seen, _ = env.reset(seed=episode)
        for t in range(hosts.LIMIT + 1):
            data = {"state": [np.concatenate(seen)], "obs": [np.stack(seen)], "avail_actions": [np.ones((N, 5), int)]}
            buffer.update(data, bs=episode, ts=t)
            made.mac.init_hidden(1)
            actions = made.mac.select_actions(buffer[episode : episode + 1], t_ep=t)
            buffer.update({"actions": actions}, bs=episode, ts=t)
            if t == hosts.LIMIT:
                break
            seen, rewards, *_ = env.step(actions[0].tolist())
            buffer.update({"reward": [(sum(rewards),)], "terminated": [(False,)]}, bs=episode, ts=t)
    buffer.episodes_in_buffer = hosts.EPISODES
    return made


@pytest.mark.slow
def test_a_distilled_team_behaves_as_its_teachers(rollouts: Any) -> None:
    """Teachers that disagree can't all be followed: the best that one policy can do is their mean."""
    made = rollouts
    made.train(made.test_buffer[:4], 0, 0)
    assert made.agent_optimiser.state
    assert made.critic_optimiser.state
    teachers, valued = copy.deepcopy(made.mac.agent.agents), [copy.deepcopy(critic) for critic in made.critic.critics]
    state = th.get_rng_state()
    found = made.distil()
    assert th.equal(state, th.get_rng_state())
    obs = made.test_buffer["obs"][:, :25].flatten(0, 1)

    def policies(agents: Any) -> th.Tensor:
        with th.no_grad():
            return th.stack([a(obs[:, i], a.init_hidden())[0].log_softmax(-1) for i, a in enumerate(agents)])

    before, after = policies(teachers), policies(made.mac.agent.agents)
    kl = (before.exp() * (before - after)).sum(-1).mean()
    with th.no_grad():
        everyone = th.stack([[a(obs[:, i], a.init_hidden())[0] for a in teachers][i] for i in range(N)])
        mean = th.stack(
            [th.stack([a(obs[:, i], a.init_hidden())[0].softmax(-1) for a in teachers]).mean(0).log() for i in range(N)]
        )
    assert th.equal(everyone.log_softmax(-1), before)
    best = (before.exp() * (before - mean)).sum(-1).mean()
    fresh = found["policy_loss_first"] / N
    assert kl < best + 0.1 * (fresh - best)
    assert found["value_loss"] < 0.2 * found["value_loss_first"]
    everybody_alike(made)
    inputs = made._build_inputs(made.test_buffer)[:, :25]
    actions = made.test_buffer["actions_onehot"][:, :25].float().flatten(2)
    x = th.cat([inputs[:, :, 0], actions], -1)
    with th.no_grad():
        errors = [((new(x) - old(x)) ** 2).mean() for new, old in zip(made.critic.critics, valued, strict=True)]
    assert sum(errors) < 0.3 * found["value_loss_first"]


def everybody_alike(made: Any) -> None:
    """One actor for all; critics that are one function of self-first inputs; targets too; optimisers anew."""
    first = made.mac.agent.agents[0].state_dict()
    for mac in (made.mac, made.target_mac):
        assert all(same(dict(agent.state_dict()), dict(first)) for agent in mac.agent.agents)
    obs = th.randn(20, N, hosts.OBS_DIM)
    acts = th.randn(20, N, 5)
    for critic in (made.critic, made.target_critic.wrapped):
        with th.no_grad():
            values = [
                critic.critics[i](th.cat([obs.roll(i, 1).flatten(1), acts.roll(i, 1).flatten(1)], 1)) for i in range(N)
            ]
        assert all((value - values[0]).abs().max() < 1e-4 for value in values)
        assert (critic.critics[1](th.cat([obs.flatten(1), acts.flatten(1)], 1)) - values[0]).abs().max() > 1e-3
    assert not made.agent_optimiser.state
    assert not made.critic_optimiser.state


def test_distillations_come_every_k_episodes(checkout: Any) -> None:
    made = hosts.learner(checkout, "dvm_pr", dvm_episodes=3, dvm_minibatches=2, dvm_batch_size=8, pr_sync_interval=2)
    sample = hosts.batch(made)
    seen = []
    for episode in range(9):
        made.train(sample, episode, episode)
        seen.append(made.pr_dvm.rounds)
    assert seen == [0, 0, 1, 1, 1, 2, 2, 2, 3]
    assert [value for _, value in made.logger.stats["dvm_distillations"]] == [1, 2, 3]
    assert {"dvm_policy_loss", "dvm_policy_loss_first", "dvm_value_loss", "dvm_value_loss_first"} <= set(
        made.logger.stats
    )


def test_what_is_known_of_peers_is_distilled_too(checkout: Any) -> None:
    """With pr_sync_interval=2 peers are read from a snapshot, which the distillation must not leave behind."""
    made = hosts.learner(
        checkout, "dvm_pr", dvm_episodes=3, dvm_minibatches=2, dvm_batch_size=8, pr_sync_interval=2, lr=0.05
    )
    sample = hosts.batch(made)
    made.train(sample, 0, 0)
    snapshot = copy.deepcopy(made.pr_peers)
    made.distil()
    live = made.target_critic.wrapped
    assert made.pr_peers is not live
    for peer, own, before in zip(made.pr_peers.critics, live.critics, snapshot.critics, strict=True):
        assert same(dict(peer.state_dict()), dict(own.state_dict()))
        assert not same(dict(peer.state_dict()), dict(before.state_dict()))


def test_the_temperature_is_the_teachers_alone(checkout: Any) -> None:
    from epymarl_pr.transfer.dvm import Source

    made = hosts.learner(checkout, "dvm", dvm_temperature=2.0, dvm_batch_size=30)
    hosts.batch(made)
    source = Source(made, made.test_buffer)
    found = source.draw(np.random.default_rng(5))
    steps = source.steps(source.index[th.from_numpy(np.random.default_rng(5).integers(len(source.index), size=30))])
    for i, agent in enumerate(made.mac.agent.agents):
        obs, gone = steps["obs"][:, 1, i], steps["avail_actions"][:, 1, i] == 0
        for network, temperature, logs in ((agent, 2, found.teachers), (made.pr_dvm.actor, 1, found.students)):
            with th.no_grad():
                scores = network(obs, network.init_hidden())[0].masked_fill(gone, -1e10)
                expected = (scores / temperature).log_softmax(-1)
                other = (scores / (3 - temperature)).log_softmax(-1)
            assert (logs[i].exp() - expected.exp()).abs().max() < 1e-5
            assert (logs[i].exp() - other.exp()).abs().max() > 1e-4


def test_steps_in_which_nobody_acted_are_not_distilled(checkout: Any) -> None:
    from epymarl_pr.transfer.dvm import Source

    made = hosts.learner(checkout, "dvm")
    hosts.batch(made)
    buffer = made.test_buffer
    lengths = [int(filled.sum()) - 1 for filled in buffer["filled"]]
    assert len(set(lengths)) > 2
    expected = [episode * (hosts.LIMIT + 1) + t for episode, length in enumerate(lengths) for t in range(length)]
    assert Source(made, buffer).index.tolist() == expected


def test_networks_that_are_not_finite_are_not_given_to_the_agents(
    checkout: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = hosts.learner(checkout, "dvm", dvm_minibatches=2)
    hosts.batch(made)
    before = copy.deepcopy(made.mac.agent.state_dict())

    def diverges(draw: Any) -> dict[str, float]:
        with th.no_grad():
            made.pr_dvm.critic.fc1.weight[0, 0] = np.nan
        return {}

    monkeypatch.setattr(made.pr_dvm, "run", diverges)
    with pytest.raises(Exception, match="not finite; the agents keep theirs"):
        made.distil()
    assert same(dict(made.mac.agent.state_dict()), dict(before))


def test_a_step_is_given_to_the_host_as_it_was(checkout: Any) -> None:
    from epymarl_pr.transfer.dvm import Source

    made = hosts.learner(checkout, "dvm", obs_individual_obs=True, obs_last_action=True)
    hosts.batch(made)
    source = Source(made, made.test_buffer)
    steps, n = source.steps(source.index), len(source.index)
    assert n > 20
    every = made._build_inputs(made.test_buffer).flatten(0, 1)[source.index]
    assert th.equal(made._build_inputs(steps, 1)[:, 0], every)
    assert th.equal(steps["joint"], made.test_buffer["actions_onehot"].flatten(0, 1)[source.index].flatten(1).float())
    for i in range(N):
        made.mac.init_hidden(n)
        expected = made.mac._build_inputs(steps, 1).view(n, N, -1)[:, i]
        last = [
            made.mac._build_inputs(made.test_buffer, int(k) % 7).view(8, N, -1)[int(k) // 7, i] for k in source.index
        ]
        assert th.equal(expected, th.stack(last))
