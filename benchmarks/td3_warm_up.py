"""Stable-Baselines3's TD3 alone on InvertedDoublePendulum-v5, updated after the warm-up or from the first episode on.

    OMP_NUM_THREADS=1 python benchmarks/td3_warm_up.py --seeds 54 55 57
    OMP_NUM_THREADS=1 python benchmarks/td3_warm_up.py --seeds 54 55 57 --authors

The code that the authors published with their curves (sfujim/TD3 of 2018-02-22) acts at random for 1,000 steps,
too, but makes as many updates as an episode had steps after every episode, those of the warm-up included
(``--authors``). Upstream's ``learning_starts`` puts both off. Prints the mean of five episodes after every 2,000 steps.
"""

from __future__ import annotations

import argparse
from typing import Any

import gymnasium as gym
import numpy as np
import torch as th
from stable_baselines3 import TD3
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.noise import NormalActionNoise

ENV, WARM_UP = "InvertedDoublePendulum-v5", 1000


class UpdatedFromTheFirstEpisode(TD3):
    """Random actions for the warm-up, whatever ``learning_starts`` says of updates."""

    def _sample_action(self, learning_starts: int, action_noise: Any = None, n_envs: int = 1) -> Any:
        return super()._sample_action(WARM_UP, action_noise, n_envs)


def made(seed: int, authors: bool) -> TD3:
    """TD3 with its authors' settings."""
    options: dict[str, Any] = {
        "learning_rate": 1e-3,
        "batch_size": 100,
        "buffer_size": 20_000,
        "policy_kwargs": {"net_arch": [400, 300]},
        "action_noise": NormalActionNoise(np.zeros(1), np.full(1, 0.1)),
        "seed": seed,
        "device": "cpu",
    }
    if authors:
        return UpdatedFromTheFirstEpisode(
            "MlpPolicy", ENV, learning_starts=0, train_freq=(1, "episode"), gradient_steps=-1, **options
        )
    return TD3("MlpPolicy", ENV, learning_starts=WARM_UP, **options)


def main() -> None:
    """One line for each seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(50, 60)))
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--authors", action="store_true", help="updates from the first episode on")
    given = parser.parse_args()
    th.set_num_threads(1)
    env = Monitor(gym.make(ENV))
    for seed in given.seeds:
        model, returns = made(seed, given.authors), []
        for _ in range(given.steps // 2000):
            model.learn(2000, reset_num_timesteps=False)
            returns.append(f"{evaluate_policy(model, env, 5)[0]:.0f}")
        print(f"seed {seed}: {', '.join(returns)}", flush=True)


if __name__ == "__main__":
    main()
