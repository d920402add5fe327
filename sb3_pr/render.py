"""``python -m sb3_pr.render RUN --out FILE.gif``: the name that ``marl-pr enjoy`` had; it stays for one release."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from numpy.typing import NDArray

from marl_pr_common.runs.film import check_film
from sb3_pr import play
from sb3_pr.scenes import scenes


@dataclass(frozen=True)
class Command:
    """Film what a run has learnt."""

    run: Annotated[Path, tyro.conf.Positional]
    """Directory of a complete run."""
    out: Path
    """Where the film goes: FILE.gif, or FILE.mp4."""
    episodes: int = 1
    """How many episodes."""
    seed: int | None = None
    """Seed of the first episode; that of the run's evaluations by default."""


def film(run: Path, episodes: int = 1, seed: int | None = None) -> list[NDArray[np.uint8]]:
    """Frames of what a run has learnt; see :func:`sb3_pr.play.scenes`."""
    return list(scenes(run, episodes, seed)[0])


def main() -> int:
    """Film as the command line says; exit code 0, or 2 for a mistake of the user's, after one message."""
    command = tyro.cli(Command)
    try:
        check_film(command.out)
        said = play.film(command.run, command.out, command.episodes, command.seed)
    except (OSError, ValueError, ImportError) as error:
        sys.stderr.write(f"sb3_pr.render: {error}\n")
        return 2
    sys.stdout.write(f"{said}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
