"""``marl-pr enjoy``."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from marl_pr_common.cli.players import player_of, require_episodes
from marl_pr_common.runs.console import screen
from marl_pr_common.runs.film import check_film, default_film
from marl_pr_common.runs.lean import without_compiler


@dataclass(frozen=True)
class Command:
    """Film what a run has learnt, without a display: a gymnasium task, a PettingZoo team, tables, or an EPyMARL run.

    Agents act without exploration noise. The episodes are those of the run's evaluations unless --seed is given; tables
    play new ones.
    """

    run_directory: Positional[Path]
    """Directory of a complete run: the --out of `marl-pr train`, a study's STUDY/cells/CELL, the --run-dir of a run of
    EPyMARL, or sacred's folder of one (results/sacred/ALGORITHM/KEY/NUMBER)."""
    agent: int | None = None
    """Which agent, where each acts in a copy of the task; the best of the last evaluation by default."""
    team: bool = False
    """The vote of all agents instead. Agents that share one world are always filmed together."""
    out: Path | None = None
    """FILE.mp4 or FILE.gif; film.mp4 in the run's directory by default (film.gif without imageio-ffmpeg)."""
    episodes: int = 1
    """How many episodes."""
    seed: int | None = None
    """Seed of the first episode."""

    def run(self) -> int:
        """Film; exit code 0."""
        require_episodes(self.episodes)
        without_compiler()
        directory, player = player_of(self.run_directory)
        out = self.out or default_film(directory)
        check_film(out)
        screen().print(f"Filming {directory}: a picture of every step, which takes a while ...", markup=False)
        said = player.film(directory, out, self.episodes, self.seed, self.agent, self.team)
        sys.stdout.write(f"{said}\n")
        return 0
