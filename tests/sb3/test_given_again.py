"""What a model is given after it was made: environments, parameters, options, numbers of agents."""

import gymnasium as gym
import pytest
import torch as th
from stable_baselines3 import SAC, HerReplayBuffer
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.envs import BitFlippingEnv

from sb3_pr import SACPR, TD3PR, AgentEvalCallback, evaluate_agents
from tests.sb3.tools import Odd, assert_same_bits, tensors

ENV = "Pendulum-v1"
RUN = {"learning_starts": 15, "batch_size": 4, "buffer_size": 60, "seed": 0}


def made(cls=TD3PR, n_agents=3, **options):
    group = {} if cls is SAC else {"n_agents": n_agents}
    return cls("MlpPolicy", ENV, **{**RUN, "policy_kwargs": {"net_arch": [8]}, **group, **options})


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "three"
    made(trust="td", estimator="one_voice", consensus=0.01).learn(30).save(path)
    return path


@pytest.mark.parametrize("env", [ENV, lambda: gym.make(ENV)], ids=["id", "function"])
@pytest.mark.parametrize("n_agents", [1, 3])
def test_an_id_or_a_function_is_made_for_every_agent(tmp_path, n_agents, env):
    model = made(n_agents=n_agents).learn(30)
    model.save(tmp_path / "model")
    loaded = TD3PR.load(tmp_path / "model", env, trust=n_agents == 1)
    loaded.learn(6, reset_num_timesteps=False)
    assert (loaded.env.num_envs, loaded.num_timesteps) == (n_agents, 36)
    model.set_env(env)
    assert model.learn(6).env.num_envs == n_agents
    assert [len(returns) for returns in evaluate_agents(model, env, 1, vote=False)] == [1] * n_agents


@pytest.mark.parametrize("n_agents", [1, 3])
def test_a_buffer_that_asks_the_environment_has_one_when_it_is_made(tmp_path, n_agents):
    def env():
        return BitFlippingEnv(continuous=True)

    options = {**RUN, "replay_buffer_class": HerReplayBuffer, "n_agents": n_agents, "policy_kwargs": {"net_arch": [8]}}
    TD3PR("MultiInputPolicy", env, **options).save(tmp_path / "model")
    loaded = TD3PR.load(tmp_path / "model", env, kappa=0.2)
    assert (loaded.env.num_envs, loaded.replay_buffer.env, loaded.kappa) == (n_agents, loaded.env, 0.2)
    assert "_given_env" not in vars(loaded)


def test_a_callback_takes_an_id():
    callback = AgentEvalCallback(ENV, eval_freq=5, n_eval_episodes=1, verbose=0)
    made().learn(15, callback=callback)
    assert callback.agent_returns[0].shape == (3, 1)


@pytest.mark.parametrize("env", [None, 3])
def test_what_is_no_environment_is_named(env):
    model = made()
    with pytest.raises(TypeError, match=f"env={env} is no environment: expected a gymnasium env or id"):
        evaluate_agents(model, env, 1)
    with pytest.raises(TypeError, match=f"env={env} is no environment"):
        model.set_env(env)


@pytest.mark.parametrize(("theirs", "ours"), [(3, 2), (1, 2), (3, 1)])
def test_parameters_of_another_number_of_agents(tmp_path, theirs, ours):
    other, model = made(n_agents=theirs), made(n_agents=ours)
    before = {name: tensor.clone() for name, tensor in tensors(model).items()}
    other.save(tmp_path / "other")
    for given in (other.get_parameters(), tmp_path / "other"):
        with pytest.raises(ValueError, match=rf"are of {theirs} agent\(s\), and the model has n_agents={ours}"):
            model.set_parameters(given)
    assert all(th.equal(tensor, before[name]) for name, tensor in tensors(model).items())
    made(n_agents=theirs).set_parameters(tmp_path / "other")


def test_parameters_of_modules_that_each_agent_has_for_itself(tmp_path):
    options = {"policy_kwargs": {"net_arch": [8], "features_extractor_class": Odd}}
    model = made(**options)
    model.save(tmp_path / "model")
    loaded = TD3PR.load(tmp_path / "model", trust=True)
    loaded.set_parameters(model.get_parameters())
    assert_same_bits(model, loaded)
    with pytest.raises(ValueError, match=r"are of 3 agent\(s\), and the model has n_agents=2"):
        made(n_agents=2, **options).set_parameters(model.get_parameters())


def test_parameters_of_another_number_of_critics(saved):
    with pytest.raises(ValueError, match="have 2 critics per agent, and the model, own_critics=True, has 6"):
        TD3PR.load(saved, own_critics=True, trust="uniform", estimator="full", consensus=0.0)


@pytest.mark.parametrize("how", [{"n_agents": 2}, {"custom_objects": {"n_agents": 2}}, {"n_agents": 2, "trust": True}])
def test_load_keeps_the_number_of_agents(saved, how):
    with pytest.raises(ValueError, match=r"n_agents=2, but .*three holds 3 agent\(s\).*from_agents"):
        TD3PR.load(saved, **how)
    assert TD3PR.load(saved, n_agents=3).n_agents == 3
    with pytest.raises(ValueError, match=r"n_agents=3, but the environment has 2 column\(s\).*from_agents"):
        TD3PR.load(saved, env=make_vec_env(ENV, n_envs=2), **how)


def test_some_agents_of_a_file_make_a_group(saved):
    model = TD3PR.load(saved)
    assert TD3PR.from_agents([model.agent(i) for i in (0, 2)], ENV).learn(6).n_agents == 2


def test_options_of_pr_are_read_and_not_set(saved):
    model = TD3PR.load(saved, custom_objects={"kappa": 0.3, "learning_rate": 0.1})
    assert (model.kappa, model.trust, model.estimator, model.consensus) == (0.3, "td", "one_voice", 0.01)
    for name, keyword in (("consensus", "consensus=0"), ("trust", "pr_trust=0")):
        with pytest.raises(AttributeError, match=rf"{name}=0: .* only kappa may be set.*load\(path, {keyword}\)"):
            setattr(model, name, 0)
    model.kappa = 0.1
    assert model.pr.kappa == 0.1


@pytest.mark.parametrize("ent_coef", ["auto", "auto_0.5"])
@pytest.mark.parametrize("cls", [SAC, SACPR])
def test_a_learnt_temperature_goes_on_as_upstreams_does(tmp_path, cls, ent_coef):
    model = made(cls, ent_coef="auto_0.2").learn(30)
    model.save(tmp_path / "model")
    loaded = cls.load(tmp_path / "model", ent_coef=ent_coef)
    assert th.equal(loaded.log_ent_coef, model.log_ent_coef)
