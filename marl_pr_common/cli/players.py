"""Whose run a directory holds, and the module that shows what it has learnt."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Protocol, cast

from marl_pr_common.config.mapping import near_path
from marl_pr_common.runs.files import read_json
from marl_pr_common.runs.provenance import RUN
from marl_pr_common.study.hosts import ENGINES

PLAYERS = {"sb3": "sb3_pr.play", "epymarl": "epymarl_pr.play", "tabular": "marl_pr_common.tabular.play"}
"""Name of a host -> its module."""


class Player(Protocol):
    """What a host shows of a run's directory."""

    def film(self, run: Path, out: Path, episodes: int, seed: int | None, agent: int | None, team: bool) -> str:
        """Write a film, and say what it shows.

        :raises FileNotFoundError: if the run has left nothing that can be shown
        :raises ValueError: if there is no such agent or team, or no picture
        """

    def evaluate(self, run: Path, episodes: int, seed: int | None) -> tuple[str, list[tuple[str, float, float]]]:
        """Play episodes: what was played, and whose returns, their mean and standard deviation.

        :raises FileNotFoundError: if the run has left nothing that can be played
        """


def player_of(run: Path) -> tuple[Path, Player]:
    """The directory of the run, which a study keeps within its cell's, and the host's module.

    :raises FileNotFoundError: if there is no run
    :raises ValueError: for a study, which has many
    """
    if not run.is_dir():
        raise FileNotFoundError(
            f"{run} is no directory.{near_path(run)} Give the --out of `marl-pr train`, or another run's."
        )
    if (cells := sorted((run / "cells").glob("*/run"))) and not (run / RUN).is_file():
        raise ValueError(f"{run} is a study of {len(cells)} runs. Give one of them, such as {cells[0]}.")
    if (run / "run" / RUN).is_file():
        run = run / "run"
    return run, cast(Player, importlib.import_module(PLAYERS[_host(run)]))


def _host(run: Path) -> str:
    described = read_json(run / RUN) if (run / RUN).is_file() else {}
    engine = str(described.get("engine", ""))
    for host, prefix in ENGINES.items():
        if engine.startswith(prefix):
            return host
    if any((run / "sacred").rglob(RUN)) or "experiment" in described:  # sacred's own run.json
        return "epymarl"
    raise FileNotFoundError(
        f"{run} is not the directory of a run: it has neither {RUN} of `marl-pr train` or a study's cell, nor sacred's "
        "record of an EPyMARL run (results, or results/sacred/ALGORITHM/KEY/NUMBER)."
    )


def require_episodes(episodes: int) -> None:
    """:raises ValueError: for none"""
    if episodes < 1:
        raise ValueError(f"--episodes {episodes}: expected a number >= 1.")
