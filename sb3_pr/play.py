"""What a run of ``marl-pr train`` has learnt: films of its agents, and their returns, from its directory.

Agents on copies of one task are shown one at a time, the best of the last evaluation if nobody says, or as a team that
decides by vote; agents in one world all together.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.env_util import make_vec_env

from marl_pr_common.config import from_mapping
from marl_pr_common.envs import make
from marl_pr_common.envs.factories import close, find_factory, make_own
from marl_pr_common.envs.imports import begun_in
from marl_pr_common.envs.mujoco import draw_without_display, log_warnings
from marl_pr_common.runs.files import read_json
from marl_pr_common.runs.film import FPS, picture, write_film
from marl_pr_common.runs.provenance import RUN
from marl_pr_common.runs.table import RESULTS, read_results
from sb3_pr.algorithms.spec import model_class
from sb3_pr.envs.columns import parallel_to_vec_env
from sb3_pr.evaluation import AgentReturns, agent_policies, evaluate_agents, evaluate_team
from sb3_pr.study.config import EVALUATION_SEED, TrainConfig
from sb3_pr.study.tasks import blamed, source
from sb3_pr.study.teams import team_env
from sb3_pr.voting import Voter, can_vote

AT_ONCE = 20
"""Copies of a task in which an evaluation plays its episodes, at most."""
Act = Callable[[Any], Any]


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


def scenes(
    run: Path, episodes: int = 1, seed: int | None = None, agent: int | None = None, team: bool = False
) -> tuple[Iterator[NDArray[np.uint8]], float, str]:
    """Frames (height, width, 3) from the first state of every episode to its last, frames per second, and whose."""
    _check(episodes, seed)
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # before pygame is imported
    draw_without_display()
    config, directory = _config(run)
    with begun_in(directory):
        model = _model(run, config)
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


def evaluate(run: Path, episodes: int, seed: int | None = None) -> tuple[str, list[tuple[str, float, float]]]:
    """Play episodes without exploration noise: what was played, and whose returns, their mean and standard deviation.

    :param seed: of the first episode; that of the run's evaluations by default, whose episodes are the first ones then
    :raises FileNotFoundError: if the directory is not that of a complete run
    """
    _check(episodes, seed)
    config, directory = _config(run)
    seed = EVALUATION_SEED + config.seed if seed is None else seed
    with begun_in(directory):
        model = _model(run, config)
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


def best_agent(run: Path) -> tuple[int, float] | None:
    """The agent with the best mean return in the run's last evaluation, and that return; None without any."""
    found = last_returns(run)
    return max(found.items(), key=lambda item: item[1]) if found else None


def last_returns(run: Path) -> dict[int, float]:
    """Agent -> mean return in the run's last evaluation."""
    if not (run / RESULTS).is_file():
        return {}
    table = read_results([run])
    table = table[table["metric"] == "eval/return"]
    last = table[table["total_env_steps"] == table["total_env_steps"].max()].sort_values("agent")
    return {int(agent): float(value) for agent, value in zip(last["agent"], last["value"], strict=True)}


def load(run: Path) -> tuple[TrainConfig, Any]:
    """Settings and model of a complete run.

    :raises FileNotFoundError: if the directory is not that of a complete run
    """
    config, directory = _config(run)
    with begun_in(directory):
        return config, _model(run, config)


def _check(episodes: int, seed: int | None) -> None:
    if episodes < 1:
        raise ValueError(f"episodes={episodes}: expected a number >= 1.")
    if seed is not None and not 0 <= seed < 2**32:
        raise ValueError(f"seed={seed}: expected an integer in [0, 2**32 - 1].")


def _config(run: Path) -> tuple[TrainConfig, Any]:
    for name in (RUN, "model.zip"):
        if not (run / name).is_file():
            raise FileNotFoundError(
                f"{run} has no {name}. Give the --out of a complete `marl-pr train`; one that was interrupted goes on "
                "with --resume."
            )
    described = read_json(run / RUN)
    config = from_mapping(TrainConfig, described.get("config", {}), where=f"{run / RUN}: config")
    log_warnings()
    return config, described.get("directory")


def _model(run: Path, config: TrainConfig) -> Any:
    return model_class(config.algo).load(run / "model.zip", device="cpu")


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


def _returns(config: TrainConfig, model: Any, episodes: int, seed: int) -> list[np.ndarray]:
    if config.multi_agent:
        env = team_env(config.env, options=config.env_kwargs)
        try:
            return evaluate_team(model, env, episodes, seed=seed)
        finally:
            close(env)
    env = make_vec_env(source(config, ending=True), n_envs=min(episodes, AT_ONCE), seed=seed)
    try:
        return evaluate_agents(model, env, episodes, seed=seed)
    finally:
        close(env)
