"""``marl-pr eval``."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from marl_pr_common.cli.players import player_of, require_episodes
from marl_pr_common.runs.lean import without_compiler


@dataclass(frozen=True)
class Command:
    """Play a run's agents again, without exploration noise, and print their returns: every member, and where they are
    alternatives to each other the best one, the leader and the vote.
    """

    run_directory: Positional[Path]
    """Directory of a complete run, as for `marl-pr enjoy`."""
    episodes: int = 10
    """Episodes of each agent, or of the team."""
    seed: int | None = None
    """Seed of the first episode; that of the run's own evaluations by default."""

    def run(self) -> int:
        """Play; exit code 0."""
        require_episodes(self.episodes)
        without_compiler()
        directory, player = player_of(self.run_directory)
        what, rows = player.evaluate(directory, self.episodes, self.seed)
        width = max(len(who) for who, _, _ in rows)
        lines = [f"{who:{width}}  {mean:12.2f}  +- {spread:.2f}" for who, mean, spread in rows]
        heading = f"{'':{width}}  {'mean return':>12}  +- standard deviation over episodes"
        sys.stdout.write("\n".join([f"{directory}: {what}", heading, *lines, ""]))
        return 0
