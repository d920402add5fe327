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
from marl_pr_common.runs.film import FPS, picture
from sb3_pr.envs.columns import parallel_to_vec_env
from sb3_pr.evaluation import agent_policies
from sb3_pr.learnt import best_agent, check, configured, loaded
from sb3_pr.study.config import EVALUATION_SEED, TrainConfig
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
    first = EVALUATION_SEED + config.seed if seed is None else seed
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
    if agent is not None:
        raise ValueError(f"agent={agent}: the {model.n_agents} agents act together in one world. Leave it out.")
    return (lambda rows: model.predict(rows, deterministic=True)[0]), f"all {model.n_agents} agents"


def _one(run: Path, model: Any, agent: int | None, team: bool) -> tuple[Act, str]:
    policies = agent_policies(model)
    if team:
        if agent is not None:
            raise ValueError(f"agent={agent} with team: the first films one agent, the second all by vote. Give one.")
        if len(policies) == 1 or not can_vote(model):
            raise ValueError("team: this run has one agent, and nobody to vote with. Leave it out.")
        voter = Voter(model)
        return (lambda seen: voter.predict(seen, deterministic=True)[0]), "the agents' vote"
    chosen = agent
    if chosen is None:
        best = best_agent(run)
        chosen = 0 if best is None else best[0]
    if not 0 <= chosen < len(policies):
        raise ValueError(f"agent={chosen}: expected a number from 0 to {len(policies) - 1}, an agent of the run.")
    said = f"agent {chosen}" + (", the best of the last evaluation" if agent is None and len(policies) > 1 else "")
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


def _shot(env: Any, env_id: str) -> NDArray[np.uint8]:
    """:raises ValueError: if the environment gives no picture"""
    try:
        frame = picture(env.render())
    except Exception as error:  # whatever a third party's renderer raises
        hint = " MUJOCO_GL=osmesa draws without a GPU." if "GL" in f"{type(error).__module__}{error}" else ""
        raise ValueError(f"env={env_id!r} can't be filmed: {type(error).__name__}: {error}.{hint}") from error
    if frame is None:
        raise ValueError(
            f"env={env_id!r} can't be filmed: render() gives no picture. An environment of your own is filmed if its "
            'factory makes it with render_mode="rgb_array", and render() then returns an array (height, width, 3).'
        )
    return frame


def _frames(env: Any, act: Act, seed: int, env_id: str) -> Iterator[NDArray[np.uint8]]:
    seen, _ = env.reset(seed=seed)
    yield _shot(env, env_id)
    ended = False
    while not ended:
        seen, _, terminated, truncated, _ = env.step(act(seen))
        ended = bool(terminated or truncated)
        yield _shot(env, env_id)


def _team_frames(env: Any, act: Act, seed: int, env_id: str) -> Iterator[NDArray[np.uint8]]:
    """Through the columns that the team was trained in, which pad observations and fit actions, and begin anew at an
    episode's end: so frames are taken right after the environment's own steps."""
    shots: list[NDArray[np.uint8]] = []
    step = type(env).step

    def shooting(actions: Any) -> Any:
        found = step(env, actions)
        shots.append(_shot(env, env_id))
        return found

    env.step = shooting
    columns = parallel_to_vec_env(env)
    columns.seed(seed)
    seen: Any = columns.reset()
    yield _shot(env, env_id)
    over = np.zeros(columns.num_envs, dtype=bool)
    while not over.all():
        seen, _, ended, _ = columns.step(act(seen))
        over |= ended.astype(bool)
        yield shots.pop()
