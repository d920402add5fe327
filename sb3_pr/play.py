"""What a run of ``marl-pr train`` has learnt: films of its agents, and their returns, from its directory.

Agents on copies of one task are shown one at a time, the best of the last evaluation if nobody says, or as a team that
decides by vote; agents in one world all together.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from marl_pr_common.envs.factories import close
from marl_pr_common.envs.imports import begun_in
from marl_pr_common.runs.film import write_film
from marl_pr_common.runs.played import check
from sb3_pr.evaluation import AgentReturns, evaluate_agents, evaluate_team
from sb3_pr.learnt import configured, loaded
from sb3_pr.scenes import scenes
from sb3_pr.study.config import TrainConfig
from sb3_pr.study.tasks import blamed, copies
from sb3_pr.study.teams import team_env

AT_ONCE = 20
"""Copies of a task in which an evaluation plays its episodes, at most; as many as the run's own if it had more."""


def film(
    run: Path, out: Path, episodes: int = 1, seed: int | None = None, agent: int | None = None, team: bool = False
) -> str:
    """Write a film of what a complete run has learnt, and say what it shows.

    :param seed: of the first episode; that of the run's evaluations by default
    :param agent: whom to film, on a task that every agent has a copy of; the best of the last evaluation by default
    :param team: film the agents' vote instead
    :raises FileNotFoundError: if the directory is not that of a complete run
    :raises ValueError: if there is no such agent or vote, or the environment gives no picture
    """
    frames, fps, who = scenes(run, episodes, seed, agent, team)
    number = write_film(out, frames, fps)
    return f"{out}: {who}, {episodes} episode{'' if episodes == 1 else 's'}, {number} frames"


def evaluate(run: Path, episodes: int, seed: int | None = None) -> tuple[str, list[tuple[str, float, float]]]:
    """Play episodes without exploration noise: what was played, and whose returns, their mean and standard deviation.

    :param seed: of the first episode; that of the run's evaluations by default, whose episodes are the first ones then
    :raises FileNotFoundError: if the directory is not that of a complete run
    """
    check(episodes, seed)
    config, directory = configured(run)
    seed = config.evaluation_seed if seed is None else seed
    with begun_in(directory):
        model = loaded(run, config)
        with blamed(config.env):
            found = _returns(config, model, episodes, seed)
    rows = [(f"agent {agent}", returns) for agent, returns in enumerate(found)]
    if isinstance(found, AgentReturns) and len(found) > 1:
        best = int(np.argmax([np.mean(returns) for returns in found]))
        rows.append((f"best member (agent {best})", found.best_member))
        if found.leader is not None:
            rows.append((f"leader (agent {model.leader})", found.leader))
        if found.vote is not None:
            rows.append(("vote", found.vote))
    elif len(found) > 1:
        rows.append(("mean over agents", np.mean(found, axis=0)))
    what = f"{config.algo} on {config.env}, {episodes} episode{'' if episodes == 1 else 's'} each, seed {seed}"
    return what, [(who, float(np.mean(returns)), float(np.std(returns))) for who, returns in rows]


def _returns(config: TrainConfig, model: Any, episodes: int, seed: int) -> list[np.ndarray]:
    longest = config.eval_max_steps or None
    if config.multi_agent:
        env = team_env(config.env, options=config.env_kwargs)
        try:
            return evaluate_team(model, env, episodes, seed=seed, max_steps=longest)
        finally:
            close(env)
    env = copies(config, min(episodes, max(AT_ONCE, config.eval_episodes)), seed)
    try:
        return evaluate_agents(model, env, episodes, seed=seed, max_steps=longest)
    finally:
        close(env)
