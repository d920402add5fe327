"""``python -m sb3_pr.render RUN --out FILE.gif``: film the team of a run of ``marl-pr train``, without a display."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from numpy.typing import NDArray

from marl_pr_common.config import from_mapping
from marl_pr_common.envs.registry import is_ours, make
from marl_pr_common.runs.files import read_json
from marl_pr_common.runs.film import check_film, write_film
from marl_pr_common.runs.provenance import RUN
from sb3_pr.study.config import EVALUATION_SEED, TrainConfig


@dataclass(frozen=True)
class Command:
    """Film the trained team of a run on a multi-agent task."""

    run: Annotated[Path, tyro.conf.Positional]
    """Directory of a complete run on a multi-agent task, such as CooperativeNavigation-3."""
    out: Path
    """Where the film goes: FILE.gif, or FILE.mp4."""
    episodes: int = 1
    """How many episodes."""
    seed: int = EVALUATION_SEED
    """Seed of the first episode."""


def film(run: Path, episodes: int = 1, seed: int = EVALUATION_SEED) -> list[NDArray[np.uint8]]:
    """Frames of a trained team, (height, width, 3) each, from the first state of every episode to its last.

    :raises FileNotFoundError: if the directory is not that of a complete run
    :raises ValueError: if the run's task is not a multi-agent one, or there is no episode to film
    """
    if episodes < 1:
        raise ValueError(f"episodes={episodes}: expected a number >= 1.")
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # before pygame is imported
    for name in (RUN, "model.zip"):
        if not (run / name).is_file():
            raise FileNotFoundError(f"{run} has no {name}. Give the --out of a complete `marl-pr train`.")
    config = from_mapping(TrainConfig, read_json(run / RUN)["config"], where=f"{run / RUN}: config")
    if not is_ours(config.env):
        raise ValueError(f"{run} was trained on {config.env}, which has no team of ours to film.")
    from sb3_pr.algorithms.spec import model_class

    env: Any = make(config.env, continuous_actions=True, render_mode="rgb_array", **config.env_kwargs)
    model = model_class(config.algo).load(run / "model.zip", device="cpu")
    frames = []
    for episode in range(episodes):
        observations, _ = env.reset(seed=seed + episode)
        frames.append(env.render())
        while env.agents:
            rows = np.stack([observations[agent] for agent in env.possible_agents])
            actions, _ = model.predict(rows, deterministic=True)
            observations, *_ = env.step(dict(zip(env.possible_agents, actions, strict=True)))
            frames.append(env.render())
    env.close()
    return frames


def main() -> int:
    """Film as the command line says; exit code 0, or 2 for a mistake of the user's, after one message."""
    command = tyro.cli(Command)
    try:
        check_film(command.out)
        frames = film(command.run, command.episodes, command.seed)
        write_film(command.out, frames)
    except (OSError, ValueError, ImportError) as error:
        sys.stderr.write(f"sb3_pr.render: {error}\n")
        return 2
    sys.stdout.write(f"{command.out}: {command.episodes} episodes, {len(frames)} frames\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
