"""A team is evaluated as a team: from a ParallelEnv, a function, or a VecEnv, the model's own included."""

import numpy as np
import pytest
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.vec_env import VecFrameStack, VecNormalize

pytest.importorskip("pettingzoo", reason="needs the extra mpe: pip install 'marl-pr[mpe]'")
from sb3_pr import TD3PR, AgentEvalCallback, evaluate_agents
from sb3_pr.envs.columns import parallel_to_vec_env
from sb3_pr.envs.parallel import TeamVecEnv
from tests.sb3.test_pettingzoo_ends import SETTINGS, Pair

ENDS = {"a": (3, "end"), "b": (10, "limit")}


class Roles(Pair):
    """a is paid for actions above 0, b for those below."""

    def __init__(self):
        super().__init__(ENDS)

    def step(self, actions):
        observations, _, *rest = super().step(actions)
        paid = {agent: float(actions[agent][0] * (1 if agent == "a" else -1) > 0) for agent in actions}
        return observations, paid, *rest


WRAPPERS = [parallel_to_vec_env, lambda env: VecNormalize(parallel_to_vec_env(env))]
WRAPPERS += [lambda env: VecFrameStack(parallel_to_vec_env(env), 2), lambda env: VecNormalize(TeamVecEnv(env))]


def in_roles(wrap):
    """A model whose agent a always acts above 0 and b below."""
    model = TD3PR("MlpPolicy", wrap(Roles()), **SETTINGS)
    for agent in range(2):
        with_bias = dict(model.policy.actor.mu.named_parameters())
        last = [parameter for name, parameter in with_bias.items() if name.endswith("bias")][-1]
        last.data[agent].fill_(5.0 if agent == 0 else -5.0)
    return model


@pytest.mark.parametrize("wrap", WRAPPERS, ids=["plain", "normalized", "stacked", "unmonitored"])
def test_every_agent_plays_its_own_role(wrap):
    model = in_roles(wrap)
    model.learn(30)  # in the middle of an episode
    seen, steps = model._last_obs.copy(), model.get_env().unwrapped.env.steps
    kinds = [model.get_env()] if wrap is WRAPPERS[2] else [Roles(), Roles, model.get_env()]
    for env in kinds:
        assert [returns.tolist() for returns in evaluate_agents(model, env, 2)] == [[3, 3], [10, 10]]
    assert model.get_env().unwrapped.env.steps == steps  # not played in
    np.testing.assert_array_equal(model._last_obs, seen)


@pytest.mark.parametrize("wrap", WRAPPERS, ids=["plain", "normalized", "stacked", "unmonitored"])
@pytest.mark.few(2)
def test_the_callback_takes_the_same(wrap):
    kinds = [lambda model: wrap(Roles()), lambda model: model.get_env()]
    kinds += [] if wrap is WRAPPERS[2] else [lambda model: Roles(), lambda model: Roles]
    for kind in kinds:
        model = in_roles(wrap)
        callback = AgentEvalCallback(kind(model), eval_freq=10, n_eval_episodes=2, verbose=0)
        model.learn(40, callback=callback)
        assert [returns.tolist() for returns in callback.agent_returns] == [[[3, 3], [10, 10]]] * 2
        assert callback.last_mean_reward == 6.5


def test_what_would_disturb_training_is_refused():
    model = in_roles(parallel_to_vec_env)
    with pytest.raises(ValueError, match="where the agents are trained.*AgentEvalCallback"):
        model.learn(10, callback=[EvalCallback(model.get_env(), verbose=0)])
    model.get_env().unwrapped.env.handle = (step for step in range(3))  # cannot be copied
    with pytest.raises(ValueError, match="cannot be copied.*Pass another one"):
        evaluate_agents(model, model.get_env())


def test_another_number_of_agents_is_refused():
    class Three(Pair):
        possible_agents = ["a", "b", "c"]  # noqa: RUF012

    with pytest.raises(ValueError, match="the model has 2 agents, but the environment has 3"):
        evaluate_agents(in_roles(parallel_to_vec_env), Three({**ENDS, "c": (2, "end")}))
    with pytest.raises(ValueError, match="n_eval_episodes=0: expected at least 1"):
        evaluate_agents(in_roles(parallel_to_vec_env), Pair(ENDS), n_eval_episodes=0)


def test_vec_envs_of_supersuit_are_teams_too():
    supersuit = pytest.importorskip("supersuit", reason="needs the extra mpe: pip install 'marl-pr[mpe]'")

    class Fixed(Roles):
        metadata, render_mode = {}, None

        def __init__(self):
            super().__init__()
            self.ends = dict.fromkeys("ab", (5, "limit"))

        def step(self, actions):
            *result, _ = super().step(actions)
            return *result, {agent: {} for agent in actions}  # SuperSuit writes into them

    def wrap(env):
        markov = supersuit.pettingzoo_env_to_vec_env_v1(env)
        return supersuit.concat_vec_envs_v1(markov, 1, base_class="stable_baselines3")

    model = TD3PR("MlpPolicy", Fixed(), **SETTINGS)
    with pytest.warns(UserWarning, match="SuperSuit's VecEnv does not say which ends are time limits"):
        callback = AgentEvalCallback(wrap(Fixed()), eval_freq=10, n_eval_episodes=2, verbose=0)
    model.learn(20, callback=callback)
    returns = evaluate_agents(model, Fixed(), 2)
    assert np.array_equal(callback.agent_returns, [returns])
    with pytest.warns(UserWarning, match="SuperSuit"):
        assert np.array_equal(evaluate_agents(model, wrap(Fixed()), 2), returns)


def test_a_team_whose_episode_does_not_end_is_an_error():
    never = Pair({"a": (3, "end"), "b": (10**9, "limit")})
    model = TD3PR("MlpPolicy", Roles(), **SETTINGS)
    with pytest.raises(ValueError, match="no agent's episode had ended after 20 steps.*TimeLimit.*max_steps"):
        evaluate_agents(model, never, 1, max_steps=20)
    callback = AgentEvalCallback(never, eval_freq=5, n_eval_episodes=1, max_steps=20)
    with pytest.raises(ValueError, match="an episode had not ended after 20 steps"):
        model.learn(20, callback=callback)
