"""A complete run's directory: its settings and its model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from marl_pr_common.config import from_mapping
from marl_pr_common.envs.imports import begun_in
from marl_pr_common.envs.mujoco import log_warnings
from marl_pr_common.runs.files import read_json
from marl_pr_common.runs.provenance import RUN
from sb3_pr.algorithms.spec import model_class
from sb3_pr.study.config import TrainConfig


def load(run: Path) -> tuple[TrainConfig, Any]:
    """Settings and model of a complete run.

    :raises FileNotFoundError: if the directory is not that of a complete run
    """
    config, directory = configured(run)
    with begun_in(directory):
        return config, loaded(run, config)


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
