"""The vote of all agents' critics over all agents' proposals, against loops over upstream models."""

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from stable_baselines3 import TD3
from stable_baselines3.common.evaluation import evaluate_policy

from sb3_pr import DDPGPR, TD3PR, evaluate_agents
from tests.sb3.tools import SMALL

N = 3
OBSERVATIONS = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)


def group(cls=TD3PR, **options):
    model = cls("MlpPolicy", "Pendulum-v1", n_agents=N, policy_kwargs=dict(SMALL), seed=1, **options)
    generator = th.Generator().manual_seed(0)
    with th.no_grad():  # agents that disagree
        for parameter in (*model.policy.actor.parameters(), *model.policy.critic_target.parameters()):
            parameter.add_(0.3 * th.randn(parameter.shape, generator=generator))
    return model


@th.no_grad()
def elected(lone, row, n_sets=1):
    """The action that the upstream models choose, one value at a time."""
    obs = th.as_tensor(row)[None]
    actions = [model.policy.actor(obs) for model in lone]

    def value(model, action):
        values = [float(one) for one in model.critic_target(obs, action)]
        sets = np.array_split(values, n_sets)
        return np.mean([min(one) for one in sets])

    worth = [sum(value(model, action) for model in lone) for action in actions]
    return lone[0].policy.unscale_action(actions[int(np.argmax(worth))].detach().numpy())[0]


@pytest.mark.parametrize("cls", [TD3PR, DDPGPR])
@pytest.mark.parametrize("own_critics", [False, True])
def test_it_is_that_of_upstream_models(cls, own_critics):
    model = group(cls, own_critics=own_critics)
    lone = [model.agent(i) for i in range(N)]
    found, _ = model.predict(OBSERVATIONS, team="vote")
    expected = [elected(lone, row, N if own_critics else 1) for row in OBSERVATIONS]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    one, _ = model.predict(OBSERVATIONS[0], deterministic=True, team="vote")
    np.testing.assert_allclose(one, expected[0], rtol=1e-5, atol=1e-5)
    leader, _ = model.predict(OBSERVATIONS, team="leader")
    assert np.array_equal(leader, model.predict(OBSERVATIONS)[0])
    assert np.array_equal(leader, lone[model.leader].predict(OBSERVATIONS)[0])
    assert not np.array_equal(leader, found)


def test_a_critic_without_a_number_has_no_vote():
    model = group()
    with th.no_grad():
        next(model.policy.critic_target.parameters())[1].fill_(th.nan)
    found, _ = model.predict(OBSERVATIONS, team="vote")
    actions = [model.agent(i).policy.actor for i in range(N)]
    for row, action in zip(OBSERVATIONS, found, strict=True):
        obs = th.as_tensor(row)[None]
        proposals = [actor(obs) for actor in actions]
        worth = [sum(float(min(model.agent(j).critic_target(obs, proposal))) for j in (0, 2)) for proposal in proposals]
        best = proposals[int(np.argmax(worth))].detach().numpy()
        np.testing.assert_allclose(action, model.policy.unscale_action(best)[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("rows", "team", "message"),
    [(N, "vote", f"with {N} observations for {N} agents"), (2, "voet", "Did you mean 'vote'"), (2, None, "team=None")],
)
def test_refused(rows, team, message):
    with pytest.raises(ValueError, match=message):
        group().predict(OBSERVATIONS[:rows], team=team)


def test_agents_of_one_world_have_nothing_to_vote_on(tmp_path):
    pytest.importorskip("pettingzoo", reason="needs the extra mpe: pip install 'marl-pr[mpe]'")
    from tests.sb3.test_pettingzoo_ends import SETTINGS, Pair

    ends = {"a": (3, "end"), "b": (4, "limit")}
    model = TD3PR("MlpPolicy", Pair(ends), **SETTINGS)
    with pytest.raises(ValueError, match="share one world, each with a role of its own"):
        model.predict(model.env.reset()[:1], team="vote")
    found = evaluate_agents(model, Pair(ends), 1)
    assert (len(found), found.leader, found.vote) == (2, None, None)
    model.save(tmp_path / "team")
    with pytest.raises(ValueError, match="share one world"):  # also where nobody gave the world again
        TD3PR.load(tmp_path / "team").predict(model.env.reset()[:1], team="vote")
    later = TD3PR.from_agents([model.agent(i) for i in range(2)])  # or gave it later
    later.set_env(lambda: Pair(ends))
    later.save(tmp_path / "later")
    with pytest.raises(ValueError, match="share one world"):
        TD3PR.load(tmp_path / "later").predict(model.env.reset()[:1], team="vote")


def test_one_agent_answers_as_upstream():
    model = TD3PR("MlpPolicy", "Pendulum-v1", policy_kwargs=dict(SMALL), seed=1)
    upstream = TD3("MlpPolicy", "Pendulum-v1", policy_kwargs=dict(SMALL), seed=1)
    assert np.array_equal(model.predict(OBSERVATIONS, team="vote")[0], upstream.predict(OBSERVATIONS)[0])


def test_evaluations_tell_members_best_member_leader_and_vote():
    model, env = group(leader=1), gym.make("Pendulum-v1")
    found = evaluate_agents(model, env, 2, seed=3)
    assert [len(returns) for returns in (*found, *found.members, found.best_member, found.leader, found.vote)] == [
        2
    ] * 9
    assert np.array_equal(found.leader, found[1])
    assert np.mean(found.best_member) == max(np.mean(returns) for returns in found)

    class Vote:
        predict = staticmethod(lambda obs, **kwargs: model.predict(obs, deterministic=True, team="vote"))

    venv = model.env.__class__([lambda: gym.wrappers.RecordEpisodeStatistics(gym.make("Pendulum-v1"))])
    venv.seed(3)
    expected, _ = evaluate_policy(Vote(), venv, 2, return_episode_rewards=True, warn=False)
    np.testing.assert_allclose(found.vote, expected)
    assert evaluate_agents(model, env, 1, seed=3, vote=False).vote is None
    lone = evaluate_agents(model.agent(0), env, 1, seed=3)
    assert np.array_equal([lone.leader, lone.vote], [lone[0], lone[0]])


def test_as_many_columns_as_agents_are_no_roles_in_an_evaluation():
    model = group()
    one = evaluate_agents(model, gym.make("Pendulum-v1"), 1, seed=3)
    columns = model.env.__class__([lambda: gym.make("Pendulum-v1")] * N)
    assert one.vote[0] == pytest.approx(evaluate_agents(model, columns, N, seed=3).vote[0])
