"""The paper's settings on real MuJoCo, as configs/sb3 carries them: 5,000 steps of each of three agents."""

import dataclasses

import numpy as np
import pytest

from marl_pr_common.config.shipped import load_config
from marl_pr_common.runs.table import read_results
from sb3_pr import DDPGPR, TD3PR
from sb3_pr.study.config import TrainConfig
from sb3_pr.study.run import train


@pytest.mark.slow
@pytest.mark.parametrize("task", ["ant", "halfcheetah", "hopper"])
@pytest.mark.parametrize(("name", "algorithm"), [("td3_pr", TD3PR), ("ddpg_pr", DDPGPR)])
def test_the_papers_settings_train_5000_steps_per_agent(name, algorithm, task, tmp_path):
    config = load_config(TrainConfig, f"sb3/{name}_{task}")
    assert config.n_agents == 3
    assert (config.buffer_size, config.gamma, config.learning_rate, config.batch_size) == (1_000_000, 0.99, 3e-4, 256)
    assert (config.tau, config.pr.kappa) == ((0.008, 0.3) if task == "ant" else (0.005, 0.5))
    config = dataclasses.replace(config, timesteps_per_agent=5000, eval_every=2500, eval_episodes=2)
    train(config, tmp_path / "run")
    results = read_results([tmp_path / "run"])
    assert results["env_steps_per_agent"].max() == 5000
    assert results["total_env_steps"].max() == 15000
    returns = results[results["metric"] == "eval/return"]
    assert set(returns["agent"]) == {0, 1, 2}
    assert np.isfinite(returns["value"]).all()
    model = algorithm.load(tmp_path / "run" / "model.zip")
    assert model.num_timesteps == 15000
    assert all(np.isfinite(tensor.cpu().numpy()).all() for tensor in model.policy.state_dict().values())
