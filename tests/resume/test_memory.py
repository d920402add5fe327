"""100,000 steps of TD3PR: once the replay is full, resident memory stays."""

import psutil
import pytest
from stable_baselines3.common.callbacks import BaseCallback

from sb3_pr import TD3PR, CheckpointCallback


class Resident(BaseCallback):
    """Resident bytes of this process, every 5,000 steps."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def _on_step(self):
        if self.num_timesteps // 5_000 > len(self.seen):
            self.seen.append(psutil.Process().memory_info().rss)
        return True


@pytest.mark.slow
def test_memory_grows_less_than_one_percent_after_the_replay_is_full(tmp_path):
    resident = Resident()
    options = {"buffer_size": 20_000, "policy_kwargs": {"net_arch": [32, 32]}, "seed": 0}
    model = TD3PR("MlpPolicy", "Pendulum-v1", n_agents=2, **options)
    model.learn(100_000, callback=[resident, CheckpointCallback(10_000, tmp_path)])
    full = resident.seen[6]  # 35,000 steps: the replay is full after 20,000, and checkpoints were saved since
    growth = resident.seen[-1] / full - 1
    print(f"{full / 2**20:.1f} MiB at 35,000 steps, {100 * growth:+.2f} % at 100,000")  # noqa: T201
    assert growth < 0.01
