"""What a tabular run of a study has learnt: its agents' returns in new episodes, and a film of them.

Agents on copies of one task are shown one at a time, the best of the last evaluation if nobody says; agents in one
world all together.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marl_pr_common import checkpoint
from marl_pr_common.envs.copies import Copies
from marl_pr_common.envs.imports import begun_in
from marl_pr_common.runs.files import read_json
from marl_pr_common.runs.film import FPS, shot, write_film
from marl_pr_common.runs.played import check, chosen_agent, together
from marl_pr_common.runs.provenance import RUN
from marl_pr_common.tabular.cell import parse
from marl_pr_common.tabular.one_seed import environments
from marl_pr_common.tabular.parallel import ParallelTrainer
from marl_pr_common.tabular.resume import KIND_LEARNT, LEARNT


def film(
    run: Path, out: Path, episodes: int = 1, seed: int | None = None, agent: int | None = None, team: bool = False
) -> str:
    """Write a film of what a complete run has learnt, and say what it shows.

    :param seed: of the episodes; the run's by default, whose evaluations begin with the same ones
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
    env = trainer.test_env
    n_agents = trainer.learner.n_agents
    if isinstance(env, Copies):
        chosen, who = chosen_agent(run, agent, n_agents)
        env = env.copies[chosen]
    else:
        who = together(agent, n_agents)
    fps = float((getattr(env, "metadata", None) or {}).get("render_fps") or FPS)
    number = write_film(out, _frames(trainer, env, task, episodes), fps)
    return f"{out}: {what}, {who}, {episodes} episode{'' if episodes == 1 else 's'}, {number} frames"


def evaluate(run: Path, episodes: int, seed: int | None = None) -> tuple[str, list[tuple[str, float, float]]]:
    """Play greedy episodes: what was played, and whose returns, their mean and standard deviation.

    :param seed: of the episodes; the run's by default, whose evaluations begin with the same ones
    :raises FileNotFoundError: if the directory is not that of a complete run that has kept its tables
    """
    check(episodes, seed)
    trainer, what, _ = _trained(run, seed)
    returns = trainer.evaluate(episodes).returns
    rows = [(f"agent {agent}", own) for agent, own in enumerate(returns.T)]
    if len(rows) > 1:
        rows.append(("mean over agents", returns.mean(axis=1)))
    said = f"{what}, {episodes} greedy episode{'' if episodes == 1 else 's'}"
    return said, [(who, float(np.mean(own)), float(np.std(own))) for who, own in rows]


def _trained(run: Path, seed: int | None, drawn: bool = False) -> tuple[ParallelTrainer, str, str]:
    described = read_json(run / RUN)
    if not (run / LEARNT).is_dir():
        raise FileNotFoundError(
            f"{run} has kept no tables: it is not complete, or of a version before 0.3. The same study command, with "
            "another --out for a complete one, makes them."
        )
    task, seed = described["task"], described["seed"] if seed is None else seed
    budget, config = parse(described["config"]["settings"], task)
    with begun_in(described.get("directory")):
        make_env, make_test = environments(task, described["config"]["n_agents"], drawn)
        trainer = ParallelTrainer(
            make_env, config, budget.gamma, 0.0, seed, eval_max_steps=budget.eval_max_steps, make_test=make_test
        )
    trainer.learner.load_state_dict(checkpoint.load(run / LEARNT, KIND_LEARNT).tree["learner"])
    return trainer, f"{described['arm']} on {task}, seed {seed}", task


def _frames(trainer: ParallelTrainer, env: Any, task: str, episodes: int) -> Iterator[NDArray[np.uint8]]:
    for _ in range(episodes):
        for _ in trainer.episode():
            yield shot(env, task)
