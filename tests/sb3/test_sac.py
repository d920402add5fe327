"""What SAC has beside TD3: temperatures, a stochastic actor, an objective that is the least of all critics."""

import numpy as np
import pytest
import torch as th
from stable_baselines3 import SAC, HerReplayBuffer
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.envs import BitFlippingEnv, FakeImageEnv, SimpleMultiObsEnv
from stable_baselines3.common.noise import NormalActionNoise

from marl_pr_common.reciprocity.guards import NonFiniteError
from sb3_pr import SACPR, TD3PR, evaluate_agents
from sb3_pr.guards import broken_parts
from sb3_pr.networks.extraction import lone_policy
from sb3_pr.networks.stacking import agent_tensors
from tests.sb3.test_optimizers import ClippedAdam
from tests.sb3.tools import assert_same_bits, fill, prepare

N, BATCH = 3, 5


def made(env="Pendulum-v1", policy="MlpPolicy", n_agents=N, **options):
    options = {"policy_kwargs": {"net_arch": [8]}, "learning_starts": 15, "batch_size": 4, "seed": 0, **options}
    return SACPR(policy, env, n_agents=n_agents, **{"buffer_size": 600, **options})


def image():
    return FakeImageEnv(screen_height=36, screen_width=36, discrete=False)


NOISE = NormalActionNoise(np.zeros(1), 0.1 * np.ones(1))
SHARED = {"net_arch": [8], "share_features_extractor": True, "features_extractor_kwargs": {"features_dim": 4}}
RUNS = {
    "fixed": {"ent_coef": 0.2, "action_noise": NOISE, "optimize_memory_usage": False, "n_steps": 3},
    "auto_0.1": {"ent_coef": "auto_0.1", "target_entropy": -0.5, "shared_replay": True},
    "compact": {"optimize_memory_usage": True, "replay_buffer_kwargs": {"handle_timeout_termination": False}},
    "gSDE": {"use_sde": True, "sde_sample_freq": 4, "use_sde_at_warmup": True},
    "own critics": {"own_critics": True, "target_update_interval": 2},
    "snapshot": {"sync_interval": 3, "adjacency": "noise", "in_actor": True, "min_over": "mixture"},
    "masks": {"observation_masks": [[1, 1, 0], [0, 1, 1], [1, 0, 1]], "policy_kwargs": {"net_arch": []}},
    "images": {"env": image, "policy": "CnnPolicy", "policy_kwargs": {**SHARED, "optimizer_class": ClippedAdam}},
    "images, Adam": {"env": image, "policy": "CnnPolicy", "policy_kwargs": SHARED, "n_agents": 2},
    "dictionaries": {"env": lambda: SimpleMultiObsEnv(discrete_actions=False), "policy": "MultiInputPolicy"},
    "HER": {
        "env": lambda: BitFlippingEnv(n_bits=3, continuous=True, max_steps=5),
        "policy": "MultiInputPolicy",
        "replay_buffer_class": HerReplayBuffer,
    },
}


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.few(2)
def test_agents_learn_are_saved_and_become_a_group_again(name, tmp_path):
    model = made(**RUNS[name])
    before = [model.agent(i).policy.state_dict() for i in range(model.n_agents)]
    model.learn(45)
    lone = [model.agent(i) for i in range(model.n_agents)]
    for agent, then in zip(lone, before, strict=True):
        assert type(agent) is SAC
        after = agent.policy.state_dict()
        assert all(th.isfinite(tensor.float()).all() for tensor in after.values())
        assert any(not th.equal(after[key], then[key]) for key in then if key.startswith("actor.mu"))
    model.save(tmp_path / "model")
    loaded = SACPR.load(tmp_path / "model", env=model.get_env() if name == "HER" else None, trust=name == "images")
    assert_same_bits(loaded, model)
    assert loaded.ent_coef == model.ent_coef
    lone[1].save(tmp_path / "lone")
    assert_same_bits(SAC.load(tmp_path / "lone"), lone[1])
    if name not in ("HER", "masks"):  # masks are baked into an agent
        own = RUNS[name].get("own_critics", False)
        assert_same_bits(SACPR.from_agents(lone, own_critics=own), model)


def test_every_agent_moves_its_own_temperature_by_its_own_rows():
    model = prepare(made(kappa=0.4))
    fill(model, 40)
    model.log_ent_coef.data = th.tensor([[-2.0], [0.0], [1.0]])
    log_probs = []
    forward = model.actor.action_log_prob
    model.actor.action_log_prob = lambda obs: log_probs.append(forward(obs)) or log_probs[-1]
    leaf = model.log_ent_coef
    model.train(1, 8)
    assert model.log_ent_coef is leaf
    expected = -(log_probs[0][1].detach().view(N, 8) + model.target_entropy).mean(1, keepdim=True)
    th.testing.assert_close(leaf.grad, expected)
    values = model.logger.name_to_value
    assert values["train/ent_coef"] == pytest.approx(np.exp([-2.0, 0.0, 1.0]).mean(), rel=1e-5)
    assert values["train/agent_2/ent_coef"] == pytest.approx(leaf.exp()[2].item())


@pytest.mark.parametrize(
    "options", [{}, {"in_actor": True}, {"in_actor": True, "min_over": "mixture"}, {"own_critics": 1}]
)
def test_the_actors_gradient(options):
    """Agent i's actor climbs mean_b Z_i(s, a) - alpha_i log pi, as a lone actor would: Z_i the least of its critics,
    with ``in_actor`` that of (1 - kappa) Q_i + kappa mean_j Q'_j. No critic receives any gradient."""
    options = {"own_critics": bool(options.pop("own_critics", False)), **options}
    model = made(kappa=0.4, **options)
    with th.no_grad():
        for parameter in model.policy.critic_target.parameters():
            parameter.add_(th.randn_like(parameter))
    obs, noise = th.randn(N * BATCH, 3), th.randn(N * BATCH, 1)

    def acted(actor, obs, noise):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(th.distributions.normal, "_standard_normal", lambda *_, **__: noise)
            return actor.action_log_prob(obs)

    alphas = th.tensor([0.1, 1.0, 3.0])
    actions, log_prob = acted(model.actor, obs, noise)
    value = th.cat(model.critic(obs, actions), dim=1).min(1, keepdim=True)[0]
    (alphas.repeat_interleave(BATCH) * log_prob - value[:, 0]).mean().backward()
    for part in (model.policy.critic, model.policy.critic_target):
        assert all(parameter.grad is None for parameter in part.parameters())
    lone = [lone_policy(model, i) for i in range(N)]
    for i, (block, draws) in enumerate(zip(obs.chunk(N), noise.chunk(N), strict=True)):
        actions, log_prob = acted(lone[i].actor, block, draws)
        own = th.cat(lone[i].critic(block, actions)[:2], dim=1)
        if options.get("in_actor"):
            others = [th.cat(lone[j].critic_target(block, actions), dim=1) for j in range(N) if j != i]
            if options.get("min_over") != "mixture":
                own, others = own.min(1, keepdim=True)[0], [other.min(1, keepdim=True)[0] for other in others]
            own = 0.6 * own + 0.4 * sum(others) / len(others)
        (alphas[i] * log_prob - own.min(1)[0]).mean().backward()
        mine = {key: part(tensor.grad) for key, tensor, part in agent_tensors(model.policy.actor, i)}
        for key, parameter in lone[i].actor.named_parameters():
            th.testing.assert_close(mine[key], parameter.grad, rtol=1e-4, atol=1e-6)


def test_peers_are_asked_anew_every_sync_interval_within_one_call_of_train():
    """SAC counts its updates after the last of them."""
    model = prepare(made(sync_interval=3))
    fill(model, 40)
    renewed, renew = [], model.reciprocity.redraw_peers
    model.reciprocity.redraw_peers = lambda: (renewed.append(model.critic_target.n_updates), renew())
    model.train(5, 4)
    model.train(5, 4)
    assert renewed == [1, 4, 7, 10]
    assert model.critic_target.n_updates == model._n_updates == 10


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ent_coef": "auto_0"}, "ent_coef='auto_0'"),
        ({"ent_coef": "automatic"}, "ent_coef='automatic'"),
        ({"ent_coef": float("nan")}, "ent_coef=nan"),
        ({"ent_coef": -0.1}, "ent_coef=-0.1"),
        ({"target_entropy": "low"}, "target_entropy='low'"),
        ({"use_sde": True, "observation_masks": [[1, 1, 0]] * 3}, "use_sde=True with observation_masks"),
        ({"policy": TD3PR.policy_aliases["MlpPolicy"]}, r"algorithms\.sac\.MlpPolicy"),
        ({"policy_delay": 2}, "unknown option policy_delay"),
    ],
)
def test_what_cannot_be_is_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        made(**options)


def test_the_temperature_of_a_loaded_model(tmp_path):
    made(ent_coef="auto").learn(45).save(tmp_path / "learnt")
    made(ent_coef=0.3).save(tmp_path / "fixed")
    assert SACPR.load(tmp_path / "fixed").ent_coef_tensor == 0.3
    assert SACPR.load(tmp_path / "fixed", ent_coef=0.5).ent_coef_tensor == 0.5
    for name, given in (("learnt", 0.1), ("fixed", "auto")):
        with pytest.raises(ValueError, match=rf"ent_coef={given!r}, but the parameters.*from_agents"):
            SACPR.load(tmp_path / name, ent_coef=given)
    model = SACPR.load(tmp_path / "learnt", env=make_vec_env("Pendulum-v1", N))
    again = SACPR.from_agents([model.agent(i) for i in range(N)], ent_coef=0.1)
    assert (again.ent_coef_tensor, again.ent_coef_optimizer) == (pytest.approx(0.1), None)
    before = model.log_ent_coef.detach().clone()
    model.learn(45, reset_num_timesteps=False)  # and it is the optimiser's tensor still
    assert (model.log_ent_coef != before).all()
    with pytest.raises(ValueError, match="the environment has 2 column"):
        SACPR.load(tmp_path / "learnt", env=make_vec_env("Pendulum-v1", 2))


@pytest.mark.parametrize("n_agents", [1, 3])
def test_a_temperature_that_is_not_finite_is_named(n_agents):
    model = prepare(made(n_agents=n_agents))
    fill(model, 40)
    model.train(1, 4)
    handle = model.log_ent_coef.register_hook(lambda gradient: gradient * th.tensor(float("nan")))
    before = model.log_ent_coef.detach().clone()
    with pytest.raises(NonFiniteError, match="gradient of agent 0, tensor log_ent_coef, at update 1"):
        model.train(1, 4)
    assert th.equal(model.log_ent_coef, before)
    handle.remove()
    with th.no_grad():
        model.log_ent_coef[-1] = float("nan")
    assert broken_parts(model) == [f"tensor log_ent_coef of agent {n_agents - 1}"]


def test_a_team_whose_agents_have_actions_of_different_sizes(tmp_path):
    pytest.importorskip("pettingzoo", reason="needs the extra mpe: pip install 'marl-pr[mpe]'")
    from mpe2 import simple_speaker_listener_v4

    env = simple_speaker_listener_v4.parallel_env(continuous_actions=True)
    model = made(env, n_agents=None).learn(60)
    wide, narrow = 5.0, 3.0  # the speaker's two padded actions become uniform on [-1, 1]
    assert model.target_entropy == -wide
    assert model.own_target_entropy == pytest.approx([-narrow + 2 * np.log(2), -wide])
    lone = [model.agent(i) for i in range(2)]
    assert [agent.target_entropy for agent in lone] == model.own_target_entropy
    assert SACPR.from_agents(lone, env).own_target_entropy == model.own_target_entropy
    assert made(env, n_agents=None, target_entropy=-1.0).own_target_entropy is None
    model.save(tmp_path / "model")
    assert SACPR.load(tmp_path / "model").own_target_entropy == model.own_target_entropy
    given = SACPR.load(tmp_path / "model", target_entropy=-2.0)
    assert (given.own_target_entropy, given.agent(0).target_entropy) == (None, -2.0)
    assert len(evaluate_agents(model, lambda: simple_speaker_listener_v4.parallel_env(continuous_actions=True), 1)) == 2


def test_each_agent_draws_gsde_noise_of_its_own():
    model = made(use_sde=True)
    model.actor.reset_noise(N)
    first, second, _ = (agent.action_dist.exploration_mat for agent in model.actor.agents)
    assert not th.equal(first, second)
    obs = np.random.default_rng(0).normal(size=(N, 3)).astype(np.float32)
    for i in range(N):
        alone = model.agent(i).predict(obs[i], deterministic=True)[0]
        np.testing.assert_allclose(model.predict(obs, deterministic=True)[0][i], alone, atol=1e-6)
    assert th.equal(model.actor.get_std()[1], model.agent(1).actor.get_std())
    prepare(model).dump_logs()  # upstream's, with the mean of these
