"""MAPTF and DVM on EPyMARL's learners: off is off, who gets which gradient, what a distilled team does."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th

from marl_pr_common.transfer.losses import transfer_weight
from tests.epymarl import hosts
from tests.epymarl.test_identical import parts, same, trained

N = hosts.N_AGENTS
BASES = {"maptf": "maddpg_ns", "maptf_mappo": "mappo_ns", "dvm": "maddpg_ns"}
NOTHING: dict[str, Any] = {"maptf_options": "self"}
UNWEIGHTED: dict[str, Any] = {"maptf_c1": 0.0, "maptf_option_start": 0, "maptf_option_update_every": 3}


def equal(left: tuple[Any, Any], right: tuple[Any, Any], drop: tuple[str, ...] = ()) -> None:
    """Everything that two learners keep is the same, and so are the random states that they leave behind."""
    assert same(left[1], right[1])
    one, other = parts(left[0]), parts(right[0])
    other["stats"] = {key: value for key, value in other["stats"].items() if not key.startswith(drop or ("none",))}
    assert one.keys() == other.keys()
    for key in one:
        assert same(one[key], other[key]), key


def acted(checkout: Any, name: str, **changes: Any) -> tuple[Any, Any]:
    """As ``trained``, but the controller acts in between, as the runner lets it."""
    made = hosts.learner(checkout, name, **changes)
    samples = [hosts.batch(made, seed) for seed in range(4)]
    np.random.seed(7)
    th.manual_seed(7)
    for step, sample in enumerate(samples):
        play(made, step)
        made.train(sample, 10 * (step + 1), step)
    return made, {"torch": th.get_rng_state(), "numpy": np.random.get_state()[1:3]}


def play(made: Any, seed: int, length: int = hosts.LIMIT) -> Any:
    """One episode of made-up observations in which the controller chooses, as in the episode runner."""
    buffer, rng, args = made.test_buffer, np.random.default_rng(seed), made.args
    scheme = {key: value for key, value in buffer.scheme.items() if key not in ("filled", "actions_onehot")}
    episode = type(buffer).__mro__[-2](scheme, buffer.groups, 1, hosts.LIMIT + 1, preprocess=buffer.preprocess)
    made.mac.init_hidden(1)
    more = {"t_env": 0} if "maddpg" not in args.mac else {}
    for t in range(length + 1):
        data = {
            "state": [rng.normal(size=hosts.STATE_DIM)],
            "obs": [rng.normal(size=(args.n_agents, hosts.OBS_DIM))],
            "avail_actions": [np.ones((args.n_agents, args.n_actions), int)],
        }
        episode.update(data, ts=t)
        actions = made.mac.select_actions(episode, t_ep=t, test_mode=False, **more)
        episode.update({"actions": actions}, ts=t)
        if t < length:
            paid = rng.normal(size=1 if args.common_reward else args.n_agents)
            episode.update({"reward": [paid], "terminated": [(t == length - 1,)]}, ts=t)
    return episode


@pytest.mark.parametrize("name, off", [("maptf", NOTHING), ("maptf", UNWEIGHTED), ("maptf_mappo", NOTHING),
                                       ("maptf_mappo", UNWEIGHTED), ("dvm", {})])  # fmt: skip
@pytest.mark.parametrize("target", [2, 0.1])
@pytest.mark.few(2)
def test_without_transfer_it_is_its_base(checkout: Any, name: str, off: dict[str, Any], target: float) -> None:
    shared = {"target_update_interval_or_tau": target}
    left, right = acted(checkout, BASES[name], **shared), acted(checkout, name, **shared, **off)
    equal(left, right, drop=("maptf_",))
    if off is UNWEIGHTED:  # options were chosen, learnt and logged all the same
        assert right[0].pr_options_learner.updates == 4 * hosts.LIMIT // 3
        assert right[0].logger.stats["maptf_transfer_loss"][0][1] > 0


ON: dict[str, dict[str, Any]] = {
    "maptf": {"maptf_option_start": 0, "maptf_option_update_every": 5},
    "maptf_mappo": {},
    "dvm": {"dvm_episodes": 3, "dvm_minibatches": 3},
}


@pytest.mark.parametrize("name, on", ON.items())
@pytest.mark.few(1)
def test_kappa_0_is_its_base(checkout: Any, name: str, on: dict[str, Any]) -> None:
    left = acted(checkout, name, **on)
    right = acted(checkout, f"{name}_pr", pr_kappa=0.0, pr_adjacency="resample", **on)
    equal(left, right)
    with pytest.raises(AssertionError):  # and it does something
        equal(acted(checkout, BASES[name]), left)
    other = acted(checkout, f"{name}_pr", pr_kappa=0.5, pr_adjacency="resample", **on)
    assert not same(parts(left[0])["critic_optimiser"], parts(other[0])["critic_optimiser"])


def test_one_agent_has_nobody_to_imitate(checkout: Any) -> None:
    equal(trained(checkout, "maddpg_ns", n_agents=1), trained(checkout, "maptf", n_agents=1))


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("name", ["maptf", "maptf_mappo"])
def test_the_learner_gets_the_gradient_and_the_advisor_none(checkout: Any, name: str, recurrent: bool) -> None:
    made = hosts.learner(checkout, name, use_rnn=recurrent)
    sample = hosts.batch(made)
    sample["options"][..., 0] = th.arange(N)
    sample["options"][:, :, 0, 0] = 2  # agent 0 imitates agent 2, the others nobody
    loss = made.transfer_loss(sample)
    gradients = dict(zip(made.mac.agent.agents, [[]] * N, strict=True))
    for agent in made.mac.agent.agents:
        gradients[agent] = th.autograd.grad(loss, list(agent.parameters()), retain_graph=True, allow_unused=True)
    learner, bystander, advisor = (gradients[agent] for agent in made.mac.agent.agents)
    assert all(g is not None and g.abs().max() > 0 for g in learner[-2:])
    for untouched in (bystander, advisor):
        assert all(g is None or not g.any() for g in untouched)
    assert float(loss.detach()) == pytest.approx(by_loops(made, sample), rel=1e-5)


def by_loops(made: Any, sample: Any) -> float:
    """The transfer loss from the networks themselves, one step at a time."""
    agents, total, count = made.mac.agent.agents, 0.0, 0
    for b in range(sample.batch_size):
        length = int(sample["filled"][b].sum()) - 1
        for i in range(N):
            memories = [agent.init_hidden() for agent in agents]
            for t in range(length):
                obs, possible = sample["obs"][b, t, i][None], sample["avail_actions"][b, t, i].bool()
                logs = []
                for j, agent in enumerate(agents):
                    with th.no_grad():
                        scores, memories[j] = agent(obs, memories[j])
                    logs.append(scores[0][possible].log_softmax(0))
                w, count = int(sample["options"][b, t, i]), count + 1
                if w != i:
                    total -= float((logs[w].exp() * logs[i]).sum())
    return total / count


@pytest.mark.parametrize("name", ["maptf", "maptf_mappo"])
def test_the_host_steps_with_its_gradient_and_the_weighted_one(checkout: Any, name: str) -> None:
    """The last of PPO's epochs begins where the plain learner does not: only one epoch here."""
    one = {"epochs": 1} if name == "maptf_mappo" else {}
    plain, made = (hosts.learner(checkout, found, **one) for found in (BASES[name], name))
    made.pr_maptf = copy.copy(made.pr_maptf)
    object.__setattr__(made.pr_maptf, "c1", 0.7)
    np.random.seed(4)
    sample = hosts.batch(made, 1)
    advice = th.autograd.grad(0.7 * transfer_weight(900, 5e-4) * made.transfer_loss(sample), made.agent_params)
    taken = []
    for learner in (plain, made):
        learner.agent_optimiser.register_step_pre_hook(
            lambda optimiser, *_: taken.append([p.grad.clone() for p in optimiser.param_groups[0]["params"]])
        )
        th.manual_seed(5)
        np.random.seed(4)
        learner.train(hosts.batch(learner, 1), 10, 900)
    for before, after, extra in zip(*taken, advice, strict=True):
        assert (after - before - extra).abs().max() < 1e-6
    assert max(float(extra.abs().max()) for extra in advice) > 1e-4


def test_labels_and_steps_of_a_played_episode(checkout: Any) -> None:
    made = hosts.learner(checkout, "maptf", maptf_option_start=10**6)
    episode = play(made, 3, length=4)
    made._observe()
    rows = made.pr_options_learner.replay.window(0, 4 * N)
    for t in range(4):
        for i in range(N):
            row = t * N + i
            option, action = int(episode["options"][0, t, i]), int(episode["actions"][0, t, i])
            greedy = []
            for agent in made.mac.agent.agents:
                scores, _ = agent(episode["obs"][0, t, i][None], agent.init_hidden())
                greedy.append(int(scores.argmax()))
            assert rows.labels[row].tolist() == [float(w == option or greedy[w] == action) for w in range(N)]
            assert (int(rows.agent[row]), int(rows.option[row])) == (i, option)
            assert th.equal(rows.obs[row], episode["obs"][0, t, i])
            assert th.equal(rows.next_obs[row], episode["obs"][0, t + 1, i])
            assert (float(rows.reward[row]), float(rows.done[row])) == (float(episode["reward"][0, t]), float(t == 3))


def test_teams_whose_episode_is_over_choose_no_more(checkout: Any) -> None:
    """As EPyMARL's parallel runner asks: for all at first, then for those that still play."""
    made = hosts.learner(checkout, "maptf_mappo")
    batch = hosts.batch(made)[:3]
    batch.data.transition_data["options"][:] = 9
    made.mac.init_hidden(3)
    for t, teams in enumerate(([0, 1, 2], [0, 2], [2])):
        before = made.pr_chooser._option.copy()
        made.mac.select_actions(batch, t_ep=t, t_env=0, bs=teams)
        over = [team for team in range(3) if team not in teams]
        assert (batch["options"][over, t] == 9).all()
        assert (batch["options"][teams, t] < N).all()
        assert np.array_equal(before[over], made.pr_chooser._option[over])
    assert made.pr_chooser.counts.sum() == (3 + 2 + 1) * N


def test_ppos_advisors_are_those_before_its_first_epoch(checkout: Any) -> None:
    made = hosts.learner(checkout, "maptf_mappo", epochs=3, lr=0.05)
    sample, seen = hosts.batch(made), []
    made.agent_optimiser.register_step_pre_hook(lambda *_: seen.append(made.pr_advice))
    made.train(sample, 10, 0)
    assert len(seen) == 3
    index, _, advisor = seen[0]
    assert all(th.equal(advisor, found[2]) for found in seen[1:])
    option = sample["options"].flatten(0, 1)[index, :, 0].T
    assert (made.pr_policies.of(sample, index, option) - advisor).abs().max() > 1e-3  # they have moved since


def test_options_have_the_runs_discount(checkout: Any) -> None:
    assert hosts.learner(checkout, "maptf", gamma=0.83).pr_options_learner.gamma == 0.83


def test_what_was_played_last_is_saved_too(checkout: Any, tmp_path: Path) -> None:
    made = hosts.learner(checkout, "maptf", maptf_option_start=10**6)
    play(made, 3, length=4)
    made.save_models(str(tmp_path))
    assert made.pr_options_learner.replay.total == 4 * N


def test_tests_choose_no_options(checkout: Any) -> None:
    made = hosts.learner(checkout, "maptf")
    buffer = made.test_buffer
    episode = hosts.batch(made)[:1]
    made.mac.init_hidden(1)
    made.mac.select_actions(episode, t_ep=0, test_mode=True)
    assert made.pr_chooser.episodes == 0
    assert buffer.scheme.replay is buffer


def test_what_is_logged(checkout: Any) -> None:
    made, _ = acted(checkout, "maptf", maptf_option_start=0, maptf_option_update_every=5)
    names = {key for key in made.logger.stats if key.startswith("maptf_")}
    losses = {f"maptf_{name}_loss" for name in ("termination", "successor", "reward", "transfer")}
    shares = {f"maptf_option_{w}" for w in range(N)}
    assert names == {*losses, *shares, "maptf_option_self", "maptf_termination_rate", "maptf_transfer_weight"}
    weights = [value for _, value in made.logger.stats["maptf_transfer_weight"]]
    assert weights == [transfer_weight(episode, 5e-4) for episode in range(4)]
    assert len(set(weights)) == 4
    for _, total in zip(range(4), zip(*(made.logger.stats[name] for name in shares), strict=True), strict=False):
        assert sum(value for _, value in total) == pytest.approx(1)
