"""The arms of a comparison on Stable-Baselines3: upstream, reciprocity, and the controls that tell why."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace

import pandas as pd

from marl_pr_common.stats.curves import team_size
from sb3_pr.train_config import Algorithm, TrainConfig


@dataclass(frozen=True)
class Arm:
    """What distinguishes an arm from the settings that all arms share."""

    algo: Algorithm
    label: str
    reciprocity: bool = False
    """False sets kappa to 0: the agents never hear of each other's values."""
    shared_replay: bool = False
    own_critics: bool = False
    """Further critics of the agent's own in the place of its peers'."""


ARMS: dict[str, Arm] = {
    "td3": Arm("td3", "TD3"),
    "td3_pr": Arm("td3_pr", "TD3PR", reciprocity=True),
    "td3_independent": Arm("td3_pr", "TD3, independent"),
    "td3_shared_replay": Arm("td3_pr", "TD3, shared replay", shared_replay=True),
    "td3_pr_shared_replay": Arm("td3_pr", "TD3PR, shared replay", reciprocity=True, shared_replay=True),
    "td3_own_critics": Arm("td3_pr", "TD3, own critics", reciprocity=True, own_critics=True),
    "ddpg": Arm("ddpg", "DDPG"),
    "ddpg_pr": Arm("ddpg_pr", "DDPGPR", reciprocity=True),
    "ddpg_independent": Arm("ddpg_pr", "DDPG, independent"),
    "ddpg_shared_replay": Arm("ddpg_pr", "DDPG, shared replay", shared_replay=True),
    "ddpg_pr_shared_replay": Arm("ddpg_pr", "DDPGPR, shared replay", reciprocity=True, shared_replay=True),
    "ddpg_own_critics": Arm("ddpg_pr", "DDPG, own critics", reciprocity=True, own_critics=True),
}


def check_arms(names: tuple[str, ...]) -> None:
    """Raise ValueError, with the known names and the nearest one, unless every name is an arm and comes once."""
    if not names:
        raise ValueError(f"arms is empty: expected some of {', '.join(ARMS)}.")
    for name in names:
        if name not in ARMS:
            close = difflib.get_close_matches(name, ARMS, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"arms: {name!r} is not one of {', '.join(ARMS)}.{hint}")
    if len(set(names)) < len(names):
        raise ValueError(f"arms={' '.join(names)}: an arm is named twice.")


def cell_config(shared: TrainConfig, name: str, seed: int) -> TrainConfig:
    """The settings of one arm and seed; everything that an arm does not fix is as in ``shared``."""
    arm = ARMS[name]
    pr = shared.pr if arm.reciprocity else replace(shared.pr, kappa=0.0)
    return replace(
        shared,
        algo=arm.algo,
        seed=seed,
        shared_replay=arm.shared_replay,
        own_critics=arm.own_critics,
        pr=pr,
        final_checkpoint=False,
    )


def arm_labels(results: pd.DataFrame, metric: str = "eval/return") -> dict[str, str]:
    """Arm -> its name for readers with the number of agents, from a table in the schema of ``runs``."""
    labels = {}
    for name, rows in results[results["metric"] == metric].groupby("arm", sort=False):
        label = ARMS[name].label if name in ARMS else str(name)
        count = team_size(rows)
        labels[str(name)] = f"{label}, {count} agent{'' if count == 1 else 's'}"
    return labels
