"""Models that an earlier version saved still load, answer as they did and go on learning."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch as th
from stable_baselines3.common.env_util import make_vec_env

from sb3_pr import DDPGPR, SACPR, TD3PR

GOLDEN = Path(__file__).parent / "golden"
"""Written by ``python -m tests.sb3.test_golden NAME`` when its class was new; never written again."""
COMMON = {"policy_kwargs": {"net_arch": [8, 8]}, "learning_starts": 20, "buffer_size": 120, "batch_size": 8, "seed": 0}
MASKS = [[True, True, False], [True, True, True]]
MODELS = {
    "td3pr": (TD3PR, {"adjacency": "noise", "sync_interval": 3, "peers": "ring", "observation_masks": MASKS}),
    "td3pr_own_critics": (TD3PR, {"own_critics": True}),
    "td3pr_one_agent": (TD3PR, {"n_agents": 1}),
    "ddpgpr": (DDPGPR, {"adjacency": "resample", "estimator": "sampled", "shared_replay": True}),
    "sacpr": (SACPR, {"sync_interval": 3, "ent_coef": "auto_0.5"}),
}


def questions(n_agents):
    """Observations and actions, four rows per agent, agent-major."""
    rng = np.random.default_rng(3)
    obs = rng.normal(size=(4 * n_agents, 3)).astype(np.float32)
    return obs, th.as_tensor(rng.uniform(-1, 1, size=(4 * n_agents, 1)), dtype=th.float32)


def answers(model):
    """What the saved model said: proposals of its actor, values of its critics and of its target critics."""
    obs, actions = questions(model.n_agents)
    states = th.as_tensor(obs)
    with th.no_grad():
        return {
            "predict": model.predict(obs[: model.n_agents], deterministic=True)[0],
            "actor": (model.actor(states, True) if isinstance(model, SACPR) else model.actor(states)).numpy(),
            "critic": th.cat(model.policy.critic(states, actions), 1).numpy(),
            "critic_target": th.cat(model.policy.critic_target(states, actions), 1).numpy(),
            "target": th.cat(model.critic_target(states, actions), 1).numpy(),  # Z*, eq. 12
        }


def make(names):
    for name in names:
        cls, options = MODELS[name]
        options = {"n_agents": 2, **COMMON, **options}
        model = cls("MlpPolicy", "Pendulum-v1", **options).learn(100)
        model.save(GOLDEN / f"{name}.zip")
        model.save_replay_buffer(GOLDEN / f"{name}.pkl")
        np.savez(GOLDEN / f"{name}.npz", **answers(cls.load(GOLDEN / f"{name}.zip")))


@pytest.mark.parametrize("name", MODELS)
def test_a_saved_model_answers_as_it_did(name):
    cls, options = MODELS[name]
    model = cls.load(GOLDEN / f"{name}.zip")
    assert (model.n_agents, model.num_timesteps) == (options.get("n_agents", 2), 100)
    assert all(getattr(model.pr, key) == value for key, value in options.items() if hasattr(model.pr, key))
    with np.load(GOLDEN / f"{name}.npz") as expected:
        for key, value in answers(model).items():
            np.testing.assert_allclose(value, expected[key], rtol=1e-4, atol=1e-5, err_msg=key)


@pytest.mark.parametrize("name", MODELS)
def test_a_saved_model_goes_on(name):
    cls, options = MODELS[name]
    n = options.get("n_agents", 2)
    model = cls.load(GOLDEN / f"{name}.zip", env=make_vec_env("Pendulum-v1", n, seed=0))
    model.load_replay_buffer(GOLDEN / f"{name}.pkl")
    before = {key: value.clone() for key, value in model.policy.state_dict().items()}
    updates = model._n_updates
    model.learn(20 * n, reset_num_timesteps=False)
    assert (model.num_timesteps, model.replay_buffer.pos) == (100 + 20 * n, (100 // n + 20) % (120 // n))
    assert model._n_updates > updates > 0
    assert all(
        not th.equal(value, before[key]) for key, value in model.policy.state_dict().items() if "0.weight" in key
    )


if __name__ == "__main__":
    make(sys.argv[1:])
