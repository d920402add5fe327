"""``from_agents``: a group of upstream models, the inverse of ``model.agent(i)``."""

import numpy as np
import pytest
import torch as th
from stable_baselines3 import DDPG, SAC, TD3
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.noise import NormalActionNoise

from sb3_pr import DDPGPR, SACPR, TD3PR
from tests.sb3.test_optimizers import ClippedAdam
from tests.sb3.tools import ALGORITHMS, PAIRS, assert_same_bits

ENV = "Pendulum-v1"


def made(cls, n_agents=1, policy_kwargs=None, **options):
    options = {"learning_starts": 10 * n_agents, "buffer_size": 300 * n_agents, "batch_size": 8, "seed": 0, **options}
    if cls in ALGORITHMS:
        options["n_agents"] = n_agents
    return cls("MlpPolicy", ENV, policy_kwargs={"net_arch": [8, 8], **(policy_kwargs or {})}, **options)


NOISE = NormalActionNoise(np.zeros(1), 0.1 * np.ones(1))
ROUND_TRIPS = [
    (TD3PR, {}),
    (DDPGPR, {"action_noise": NOISE, "n_steps": 3}),
    (TD3PR, {"policy_kwargs": {"optimizer_class": ClippedAdam}}),
    (TD3PR, {"own_critics": True, "policy_kwargs": {"share_features_extractor": True}}),
    (SACPR, {"ent_coef": "auto_0.3"}),
]


@pytest.mark.parametrize(("cls", "options"), ROUND_TRIPS)
@pytest.mark.few(2)
def test_a_group_of_its_agents_goes_on_like_the_group(cls, options):
    model = made(cls, 3, kappa=0.3, **options).learn(60)
    own = options.get("own_critics", False)
    again = cls.from_agents([model.agent(i) for i in range(3)], env=ENV, kappa=0.3, own_critics=own)
    assert_same_bits(model, again)
    for name in ("_n_updates", "num_timesteps", "buffer_size", "learning_starts", "gamma", "n_steps", "kappa"):
        assert getattr(again, name) == getattr(model, name), name
    batches = [model.replay_buffer.sample(8) for _ in range(6)]
    for one in (model, again):
        one._setup_learn(100, reset_num_timesteps=False)
        drawn = iter(batches)
        one.replay_buffer.sample = lambda *_, drawn=drawn, **__: next(drawn)
        th.manual_seed(0)
        one.train(6, 8)
    assert_same_bits(model, again)


@pytest.mark.parametrize(("cls", "upstream"), PAIRS)
def test_one_model_becomes_n_agents(cls, upstream, tmp_path):
    lone = made(upstream).learn(30)
    first = "latent_pi" if cls is SACPR else "mu"
    getattr(lone.actor, first)[0].requires_grad_(False)
    state = th.get_rng_state()
    group = cls.from_agents(lone, n_agents=3, kappa=0.4, adjacency="noise")
    assert th.equal(th.get_rng_state(), state)
    for i in range(3):
        assert_same_bits(group.agent(i), lone)
    assert (group.kappa, group.num_timesteps, group.buffer_size) == (0.4, 90, 900)
    group.set_env(make_vec_env(ENV, n_envs=3))
    still = getattr(group.actor, first)[0].weight.clone()
    group.learn(60, reset_num_timesteps=False)
    assert th.equal(getattr(group.actor, first)[0].weight, still)
    assert not getattr(group.agent(1).actor, first)[0].weight.requires_grad
    group.save(tmp_path / "group")
    assert_same_bits(group, cls.load(tmp_path / "group"))
    assert_same_bits(cls.from_agents([lone], env=ENV), lone)


@pytest.mark.skipif(not hasattr(th.optim, "Adafactor"), reason="torch has no Adafactor yet")
def test_what_an_optimiser_keeps_may_have_another_shape_than_its_parameter():
    networks = {"optimizer_class": th.optim.Adafactor}
    lone = made(TD3, policy_kwargs=networks).learn(30)
    assert_same_bits(TD3PR.from_agents([lone], env=ENV), lone)
    stack = made(TD3PR, policy_kwargs=networks, n_teams=2, learning_starts=20).learn(60)
    for team in range(2):
        assert_same_bits(stack.team(team), stack.team(team).agent(0))


def changed(lone):
    lone.actor.mu[1] = th.nn.ELU()
    return lone


REFUSED = [
    (list, {}, "no agents"),
    (lambda: [SAC("MlpPolicy", ENV, buffer_size=10)], {}, r"agents\[0\] is a SAC, expected a TD3"),
    (lambda: [made(TD3), made(DDPG)], {}, r"agents\[1\] is a DDPG, expected a TD3"),
    (lambda: [made(TD3PR, 2)], {}, r"agents\[0\] is a TD3PR.*model\.agent\(i\)"),
    (lambda: "model.zip", {}, r"agents\[0\] is a str"),
    (lambda: [made(TD3), made(TD3, policy_kwargs={"net_arch": [4]})], {}, r"policy_kwargs of agents\[1\]"),
    (lambda: [made(TD3), made(TD3, gamma=0.9)], {}, r"gamma of agents\[1\] is 0\.9"),
    (lambda: [made(TD3), made(TD3, learning_rate=1e-4)], {}, r"learning_rate of agents\[1\]"),
    (lambda: [made(TD3), made(TD3, action_noise=NOISE)], {}, "some agents have action_noise"),
    (lambda: [made(TD3), made(TD3).learn(20)], {}, r"_n_updates of agents\[1\] is 10.*equally often"),
    (lambda: [changed(made(TD3))] * 2, {}, "was changed after construction"),
    (lambda: [made(TD3)] * 2, {"n_agents": 3}, "n_agents=3, but 2 agents"),
    (lambda: [made(TD3)], {"n_agents": 0}, "n_agents=0"),
    (lambda: [made(TD3)] * 2, {"env": "MountainCarContinuous-v0"}, r"observation_space of agents\[0\]"),
    (lambda: [made(TD3)] * 2, {"kapa": 0.1}, "Did you mean 'kappa'"),
]


@pytest.mark.parametrize(("agents", "options", "message"), REFUSED)
def test_what_cannot_be_one_group_is_refused_by_name(agents, options, message):
    with pytest.raises(ValueError, match=message):
        TD3PR.from_agents(agents(), **options)


def test_a_schedule_is_the_same_if_its_values_are():
    agents = [made(TD3, learning_rate=lambda progress: 1e-3 * progress) for _ in range(2)]
    assert TD3PR.from_agents(agents).lr_schedule(0.5) == 5e-4
    assert TD3PR.from_agents([made(TD3), made(TD3, gamma=0.9)], gamma=0.95).gamma == 0.95
