"""What a tabular run of a study has learnt: its agents' returns in new episodes, and a film of them.

Agents on copies of one task are shown one at a time, the best of the last evaluation if nobody says; agents in one
world all together.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marl_pr_common import checkpoint
from marl_pr_common.envs.factories import close
from marl_pr_common.envs.imports import begun_in
from marl_pr_common.envs.registry import require_pettingzoo
from marl_pr_common.runs.directory import RunDirectory
from marl_pr_common.runs.files import read_json
from marl_pr_common.runs.film import FPS, shot, write_film
from marl_pr_common.runs.played import check, chosen_agent, together
from marl_pr_common.runs.provenance import RUN
from marl_pr_common.tabular.cell import parse
from marl_pr_common.tabular.one_seed import environments
from marl_pr_common.tabular.parallel import ParallelTrainer
from marl_pr_common.tabular.resume import AT_MOST, KIND_LEARNT, LEARNT


def film(
    run: Path, out: Path, episodes: int = 1, seed: int | None = None, agent: int | None = None, team: bool = False
) -> str:
    """Write a film of what a complete run has learnt, and say what it shows.

    :param seed: of the episodes; the run's own by default. They are new ones, not those of its evaluations
    :param agent: whom to film, on a task that every agent has a copy of; the best of the last evaluation by default
    :param team: refused: tables have no vote
    :raises FileNotFoundError: if the directory is not that of a complete run that has kept its tables
    :raises ValueError: if there is no such agent, or the environment gives no picture
    """
    check(episodes, seed)
    if team:
        raise ValueError("team: agents with tables have no vote. Leave it out.")
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # before pygame is imported
    trainer, what, task = _trained(run, seed, drawn=True)
    env, n_agents = trainer.test_env, trainer.learner.n_agents
    chosen = None
    if copies := getattr(env, "copies", None):
        chosen, who = chosen_agent(run, agent, n_agents)
        env = copies[chosen]
    else:
        who = together(agent, n_agents)
    fps = float((getattr(env, "metadata", None) or {}).get("render_fps") or FPS)
    try:
        number = write_film(out, _frames(trainer, env, task, episodes, chosen), fps)
    finally:
        close(trainer.test_env)
    return f"{out}: {what}, {who}, {episodes} episode{'' if episodes == 1 else 's'}, {number} frames"


def evaluate(run: Path, episodes: int, seed: int | None = None) -> tuple[str, list[tuple[str, float, float]]]:
    """Play greedy episodes: what was played, and whose returns, their mean and standard deviation.

    :param seed: of the episodes; the run's own by default. They are new ones, not those of its evaluations
    :raises FileNotFoundError: if the directory is not that of a complete run that has kept its tables
    """
    check(episodes, seed)
    trainer, what, _ = _trained(run, seed)
    try:
        returns = trainer.evaluate(episodes).returns
    finally:
        close(trainer.test_env)
    rows = [(f"agent {agent}", own) for agent, own in enumerate(returns.T)]
    if len(rows) > 1:
        rows.append(("mean over agents", returns.mean(axis=1)))
    said = f"{what}, {episodes} greedy episode{'' if episodes == 1 else 's'}"
    return said, [(who, float(np.mean(own)), float(np.std(own))) for who, own in rows]


def _trained(run: Path, seed: int | None, drawn: bool = False) -> tuple[ParallelTrainer, str, str]:
    described = read_json(run / RUN)
    if RunDirectory(run, 0).state != "complete":
        raise FileNotFoundError(f"{run} is not complete. The same study command goes on with it.")
    if not (run / LEARNT).is_dir():
        raise FileNotFoundError(
            f"{run} has kept no tables: they are larger than {AT_MOST // 1_000_000} MB, or it is of an earlier "
            "version. `marl-pr report` shows what came out."
        )
    require_pettingzoo()
    task, seed = described["task"], described["seed"] if seed is None else seed
    budget, config = parse(described["config"]["settings"], task)
    with begun_in(described.get("directory")), _drawable(task) if drawn else nullcontext():
        make_env, make_test = environments(task, described["config"]["n_agents"], drawn)
        trainer = ParallelTrainer(
            make_env, config, budget.gamma, 0.0, seed, eval_max_steps=budget.eval_max_steps, make_test=make_test
        )
    close(trainer.env)
    trainer.learner.load_state_dict(checkpoint.load(run / LEARNT, KIND_LEARNT).tree["learner"])
    return trainer, f"{described['arm']} on {task}, seed {seed}", task


@contextmanager
def _drawable(task: str) -> Iterator[None]:
    """:raises ValueError: if the environment can't be made to give pictures"""
    try:
        yield
    except (ValueError, TypeError) as error:
        if "render_mode" not in str(error):
            raise
        raise ValueError(f"env={task!r} can't be filmed: {error} `marl-pr eval` plays it without pictures.") from error


def _frames(
    trainer: ParallelTrainer, env: Any, task: str, episodes: int, chosen: int | None
) -> Iterator[NDArray[np.uint8]]:
    for _ in range(episodes):
        for moment in trainer.episode():
            yield shot(env, task)
            if chosen is not None and not moment.present[chosen]:
                break  # the other copies may go on
