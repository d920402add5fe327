"""Pictures of what a run has learnt: whom to show, the environment that draws, a frame of every state."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marl_pr_common.envs import make
from marl_pr_common.envs.factories import close, find_factory, make_own
from marl_pr_common.envs.imports import begun_in
from marl_pr_common.envs.mujoco import draw_without_display
from marl_pr_common.runs.film import FPS, shot
from marl_pr_common.runs.played import check, chosen_agent, together
from sb3_pr.envs.columns import parallel_to_vec_env
from sb3_pr.evaluation import agent_policies
from sb3_pr.learnt import configured, loaded
from sb3_pr.study.config import TrainConfig
from sb3_pr.study.tasks import blamed
from sb3_pr.voting import Voter, can_vote

Act = Callable[[Any], Any]


def scenes(
    run: Path, episodes: int = 1, seed: int | None = None, agent: int | None = None, team: bool = False
) -> tuple[Iterator[NDArray[np.uint8]], float, str]:
    """Frames (height, width, 3) from the first state of every episode to its last, frames per second, and whose."""
    check(episodes, seed)
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # before pygame is imported
    draw_without_display()
    config, directory = configured(run)
    with begun_in(directory):
        model = loaded(run, config)
        act, who = _together(model, agent) if config.multi_agent else _one(run, model, agent, team)
        env = _drawn(config)
    first = config.evaluation_seed if seed is None else seed
    shoot = _team_frames if config.multi_agent else _frames
    metadata = getattr(env, "metadata", None) or {}
    fps = float(metadata.get("render_fps") or FPS)

    def frames() -> Iterator[NDArray[np.uint8]]:
        try:
            with blamed(config.env):
                for episode in range(episodes):
                    yield from shoot(env, act, first + episode, config.env)
        finally:
            close(env)

    return frames(), fps, f"{config.algo} on {config.env}, {who}"


def _together(model: Any, agent: int | None) -> tuple[Act, str]:
    return (lambda rows: model.predict(rows, deterministic=True)[0]), together(agent, model.n_agents)


def _one(run: Path, model: Any, agent: int | None, team: bool) -> tuple[Act, str]:
    policies = agent_policies(model)
    if team:
        if agent is not None:
            raise ValueError(f"agent={agent} with team: the first films one agent, the second all by vote. Give one.")
        if len(policies) == 1 or not can_vote(model):
            raise ValueError("team: this run has one agent, and nobody to vote with. Leave it out.")
        voter = Voter(model)
        return (lambda seen: voter.predict(seen, deterministic=True)[0]), "the agents' vote"
    chosen, said = chosen_agent(run, agent, len(policies))
    return (lambda seen: policies[chosen].predict(seen, deterministic=True)[0]), said


def _drawn(config: TrainConfig) -> Any:
    """The environment, which gives pictures."""
    factory = find_factory(config.env)
    if factory is not None:
        return make_own(config.env, factory)
    if config.multi_agent:
        return make(config.env, continuous_actions=True, render_mode="rgb_array", **config.env_kwargs)
    import gymnasium as gym

    return gym.make(config.env, render_mode="rgb_array", **config.env_kwargs)


def _frames(env: Any, act: Act, seed: int, env_id: str) -> Iterator[NDArray[np.uint8]]:
    seen, _ = env.reset(seed=seed)
    yield shot(env, env_id)
    ended = False
    while not ended:
        seen, _, terminated, truncated, _ = env.step(act(seen))
        ended = bool(terminated or truncated)
        yield shot(env, env_id)


def _team_frames(env: Any, act: Act, seed: int, env_id: str) -> Iterator[NDArray[np.uint8]]:
    """Through the columns that the team was trained in, which pad observations and fit actions, and begin anew at an
    episode's end: so frames are taken right after the environment's own steps."""
    shots: list[NDArray[np.uint8]] = []
    step = type(env).step

    def shooting(actions: Any) -> Any:
        found = step(env, actions)
        shots.append(shot(env, env_id))
        return found

    env.step = shooting
    columns = parallel_to_vec_env(env)
    columns.seed(seed)
    seen: Any = columns.reset()
    yield shot(env, env_id)
    over = np.zeros(columns.num_envs, dtype=bool)
    while not over.all():
        seen, _, ended, _ = columns.step(act(seen))
        over |= ended.astype(bool)
        yield shots.pop()
