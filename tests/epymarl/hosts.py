"""Real EPyMARL learners on batches of made-up episodes, built the way EPyMARL's ``run.py`` builds them."""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch as th
import yaml

from epymarl_pr.launch import derive, locate
from epymarl_pr.launch.register import learners
from epymarl_pr.transfer import table as transfer

ALGORITHMS = [
    name + suffix
    for name in ("qmix", "vdn", "iql", "mappo", "ippo", "maa2c", "ia2c", "maddpg")
    for suffix in ("", "_ns")
]
N_AGENTS, N_ACTIONS, OBS_DIM, STATE_DIM, LIMIT, EPISODES = 3, 4, 5, 7, 6, 8


class Logger:
    """What a learner needs of EPyMARL's logger."""

    def __init__(self) -> None:
        self.stats: dict[str, list[tuple[int, float]]] = defaultdict(list)
        self.warnings: list[str] = []
        self.console_logger = SimpleNamespace(warning=self.warnings.append, error=self.warnings.append)

    def log_stat(self, key: str, value: float, t: int) -> None:
        self.stats[key].append((t, value))


def arguments(checkout: locate.Checkout, name: str, **changes: Any) -> SimpleNamespace:
    """EPyMARL's arguments for ``--config=NAME``, small networks, with changes."""
    config = yaml.safe_load((checkout.src / "config" / "default.yaml").read_text())
    derived = derive.algorithm(checkout, name, {key: value for key, value in changes.items() if key in config})
    if derived is None:
        derived = yaml.safe_load((checkout.src / "config" / "algs" / f"{name}.yaml").read_text())
    shapes = {"n_agents": N_AGENTS, "n_actions": N_ACTIONS, "state_shape": STATE_DIM, "seed": 3, "env": "gymma"}
    small = {"hidden_dim": 8, "use_cuda": False, "device": "cpu", "batch_size": 4, "learner_log_interval": 1}
    args = SimpleNamespace(**{**config, **derived, **shapes, **small, **changes})
    if args.learner.endswith("q_learner") and args.mixer == "qmix":
        args.hypernet_embed = 8
    return args


def learner(checkout: locate.Checkout, name: str, **changes: Any) -> Any:
    """A learner of EPyMARL's registry, and in ``.test_scheme`` and so on what a batch for it is made of."""
    args = arguments(checkout, name, **changes)
    learners()
    from components.episode_buffer import ReplayBuffer
    from components.transforms import OneHot
    from controllers import REGISTRY as controllers
    from learners import REGISTRY

    make = ReplayBuffer
    if name.removesuffix(derive.SUFFIX) in transfer.ALGORITHMS:
        from epymarl_pr.transfer.replay import TransferReplay as make

    n, agents = args.n_agents, {"group": "agents"}
    scheme = {
        "state": {"vshape": STATE_DIM},
        "obs": {"vshape": OBS_DIM, **agents},
        "actions": {"vshape": (1,), "dtype": th.long, **agents},
        "avail_actions": {"vshape": (args.n_actions,), "dtype": th.int, **agents},
        "terminated": {"vshape": (1,), "dtype": th.uint8},
        "reward": {"vshape": (1,) if args.common_reward else (n,)},
    }
    preprocess = {"actions": ("actions_onehot", [OneHot(out_dim=args.n_actions)])}
    buffer = make(scheme, {"agents": n}, EPISODES, LIMIT + 1, preprocess=preprocess)
    th.manual_seed(args.seed)
    np.random.seed(args.seed)
    mac = controllers[args.mac](buffer.scheme, {"agents": n}, args)
    made = REGISTRY[args.learner](mac, buffer.scheme, Logger(), args)
    made.test_buffer = buffer
    return made


def batch(made: Any, seed: int = 0, masked: bool = True) -> Any:
    """Eight episodes of different lengths, with values of all kinds; actions are available ones."""
    rng = np.random.default_rng(seed)
    buffer, args = made.test_buffer, made.args
    for episode in range(EPISODES):
        length = LIMIT if episode == 0 else int(rng.integers(2, LIMIT + 1))
        for t in range(length + 1):
            available = np.ones((args.n_agents, args.n_actions), int)
            if masked:
                available[:, 1:] = rng.random((args.n_agents, args.n_actions - 1)) < 0.8
            actions = [int(rng.choice(np.flatnonzero(row))) for row in available]
            data = {
                "state": [rng.normal(size=STATE_DIM)],
                "obs": [rng.normal(size=(args.n_agents, OBS_DIM))],
                "avail_actions": [available],
                "actions": [np.array(actions)[:, None]],
            }
            if t < length:
                data["reward"] = [rng.normal(size=1 if args.common_reward else args.n_agents)]
                data["terminated"] = [(t == length - 1 and episode % 2 == 0,)]
            buffer.update(data, bs=episode, ts=t)
    if "options" in buffer.data.transition_data:
        held = buffer.data.transition_data["options"]
        held[:] = th.from_numpy(np.random.default_rng(seed).integers(args.n_agents, size=held.shape))
    buffer.episodes_in_buffer = EPISODES
    sample = buffer.sample(args.batch_size)
    return sample[:, : sample.max_t_filled()]


def double(made: Any) -> Any:
    """The learner's target networks in float64."""
    for name in ("target_mac", "target_critic", "pr_peers", "critic"):
        network = getattr(made, name, None)
        network = getattr(network, "wrapped", network)
        for module in modules(network):
            module.double()
    return made


def modules(network: Any) -> list[th.nn.Module]:
    """The torch modules of one of EPyMARL's controllers or critics."""
    if network is None:
        return []
    if hasattr(network, "agent"):
        return [network.agent]
    return [network, *getattr(network, "critics", [])]


def double_batch(sample: Any) -> Any:
    """The batch's real numbers in float64."""
    data = sample.data.transition_data
    for key in ("obs", "state", "reward", "actions_onehot"):
        data[key] = data[key].double()
    return sample
