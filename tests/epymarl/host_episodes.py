"""EPyMARL's own runners on our environments, in a process of their own: its module names (envs, utils) are generic.

python host_episodes.py '{"checkout": ..., "start_method": ..., "cases": [...]}' prints one JSON line: per case the
rewards (episodes, steps), which steps were stored as terminal and as filled, and the statistics that were logged.
"""

import json
import multiprocessing
import sys
import types
from types import SimpleNamespace

REQUEST = json.loads(sys.argv[1])
sys.path.insert(0, f"{REQUEST['checkout']}/src")
try:
    import smaclite  # noqa: F401
except Exception:  # not installed, or broken by an old Rtree
    sys.modules["smaclite"] = types.ModuleType("smaclite")

import torch as th  # noqa: E402

from marl_pr_common.envs.grids.reference import chase  # noqa: E402


class Chasers:
    """A controller in EPyMARL's shape: every predator runs straight at the prey."""

    action_selector = object()

    def init_hidden(self, batch_size):
        pass

    def select_actions(self, batch, t_ep, t_env, bs=slice(None), test_mode=False):
        observations = batch["obs"][bs, t_ep].numpy()
        return th.tensor([list(chase(dict(enumerate(team))).values()) for team in observations])


class Log:
    def __init__(self):
        self.stats = {}

    def log_stat(self, name, value, step):
        self.stats[name] = float(value)


def play(case):
    from runners import REGISTRY

    workers = case.get("workers", 1)
    env_args = {"seed": case["seed"], "pretrained_wrapper": None, **case["env_args"]}
    args = SimpleNamespace(env="gymma", env_args=env_args, batch_size_run=workers, render=False, device="cpu")
    args.common_reward, args.reward_scalarisation = True, "mean"
    args.runner_log_interval, args.test_nepisode = 1, 1
    log = Log()
    runner = REGISTRY["parallel" if workers > 1 else "episode"](args, log)
    info = runner.get_env_info()
    scheme = {
        "state": {"vshape": info["state_shape"]},
        "obs": {"vshape": info["obs_shape"], "group": "agents"},
        "actions": {"vshape": (1,), "group": "agents", "dtype": th.long},
        "avail_actions": {"vshape": (info["n_actions"],), "group": "agents", "dtype": th.int},
        "terminated": {"vshape": (1,), "dtype": th.uint8},
        "reward": {"vshape": (1,)},
    }
    runner.setup(scheme, {"agents": info["n_agents"]}, None, Chasers())
    episodes = [runner.run() for _ in range(case["episodes"])]
    runner.close_env()
    columns = {key: [e[key][:, :, 0].tolist() for e in episodes] for key in ("reward", "terminated", "filled")}
    return {"info": info, "stats": log.stats, **columns}


if __name__ == "__main__":
    multiprocessing.set_start_method(REQUEST["start_method"])
    sys.stdout.write(json.dumps([play(case) for case in REQUEST["cases"]]) + "\n")
