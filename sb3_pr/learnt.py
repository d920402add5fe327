"""A complete run's directory: its settings, its model, and what its last evaluation said of each agent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from marl_pr_common.config import from_mapping
from marl_pr_common.envs.imports import begun_in
from marl_pr_common.envs.mujoco import log_warnings
from marl_pr_common.runs.files import read_json
from marl_pr_common.runs.provenance import RUN
from marl_pr_common.runs.table import RESULTS, read_results
from sb3_pr.algorithms.spec import model_class
from sb3_pr.study.config import TrainConfig


def best_agent(run: Path) -> tuple[int, float] | None:
    """The agent with the best mean return in the run's last evaluation, and that return; None without any."""
    found = last_returns(run)
    return max(found.items(), key=lambda item: item[1]) if found else None


def last_returns(run: Path) -> dict[int, float]:
    """Agent -> mean return in the run's last evaluation."""
    if not (run / RESULTS).is_file():
        return {}
    table = read_results([run])
    table = table[table["metric"] == "eval/return"]
    last = table[table["total_env_steps"] == table["total_env_steps"].max()].sort_values("agent")
    return {int(agent): float(value) for agent, value in zip(last["agent"], last["value"], strict=True)}


def load(run: Path) -> tuple[TrainConfig, Any]:
    """Settings and model of a complete run.

    :raises FileNotFoundError: if the directory is not that of a complete run
    """
    config, directory = configured(run)
    with begun_in(directory):
        return config, loaded(run, config)


def check(episodes: int, seed: int | None) -> None:
    if episodes < 1:
        raise ValueError(f"episodes={episodes}: expected a number >= 1.")
    if seed is not None and not 0 <= seed < 2**32:
        raise ValueError(f"seed={seed}: expected an integer in [0, 2**32 - 1].")


def configured(run: Path) -> tuple[TrainConfig, Any]:
    for name in (RUN, "model.zip"):
        if not (run / name).is_file():
            raise FileNotFoundError(
                f"{run} has no {name}. Give the --out of a complete `marl-pr train`; one that was interrupted goes on "
                "with --resume."
            )
    described = read_json(run / RUN)
    config = from_mapping(TrainConfig, described.get("config", {}), where=f"{run / RUN}: config")
    log_warnings()
    return config, described.get("directory")


def loaded(run: Path, config: TrainConfig) -> Any:
    return model_class(config.algo).load(run / "model.zip", device="cpu")
