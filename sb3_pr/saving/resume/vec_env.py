"""The state of a VecEnv: its wrappers (VecNormalize among them), and the environments of its columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecEnvWrapper

from marl_pr_common.checkpoint import CheckpointError
from marl_pr_common.checkpoint.attributes import attributes, restore_attributes
from marl_pr_common.checkpoint.environments import NotSaveable, env_state, restore_env
from marl_pr_common.moved import current

_OF_BASE = (
    "envs",
    "actions",
    "buf_infos",
    "render_mode",
    "keys",
    "waiting",
    "num_envs",
    "observation_space",
    "action_space",
)
_OF_WRAPPER = ("observation_space", "action_space", "num_envs", "render_mode", "obs_spaces", "training", "norm_reward")
_EARLIER = (
    [
        "stable_baselines3.common.vec_env.vec_monitor.VecMonitor",
        "sb3_pr.envs.parallel.SeededVecEnv",
        "supersuit.vector.sb3_vector_wrapper.SB3VecEnvWrapper",
    ],
)
"""Wrappers around PettingZoo environments in checkpoints of before: they hold nothing that a new episode needs."""
_HOSTS = ("stable_baselines3.", "sb3_pr.")


def vec_env_state(env: VecEnv) -> tuple[dict[str, Any], str]:
    """The state of the wrappers and, where it can be had, of the environments; and "", or why not of the latter."""
    wrappers, reasons = [], []
    for wrapper in _wrappers(env):
        found, unknown = attributes(wrapper, _OF_WRAPPER)
        name = f"{type(wrapper).__module__}.{type(wrapper).__qualname__}"
        if unknown:
            reasons.append(f"{name} keeps something that is not data: {', '.join(unknown)}")
        elif not name.startswith(_HOSTS):
            reasons.append(f"the state of {name} is not known")
        wrappers.append({"class": name, "attributes": found})
    base = env.unwrapped
    state: dict[str, Any] = {"wrappers": wrappers, "base": None}
    if type(base) is not DummyVecEnv:
        reasons.append(
            f"the environments of {type(base).__module__}.{type(base).__qualname__} cannot be reached; "
            "make_vec_env's DummyVecEnv keeps them in this process"
        )
        return state, "; ".join(reasons)
    try:
        found, _ = attributes(base, _OF_BASE)
        state["base"] = {"attributes": found, "envs": [env_state(column) for column in base.envs]}
    except NotSaveable as error:
        reasons.append(str(error))
    return state, "; ".join(reasons)


def restore_vec_env(env: VecEnv, state: dict[str, Any]) -> bool:
    """Put a VecEnv that was made the same way where the other one was.

    :return: whether the environments themselves are restored; if not, they must be reset
    :raises CheckpointError: if wrappers or columns differ
    """
    wrappers = list(_wrappers(env))
    here = [f"{type(wrapper).__module__}.{type(wrapper).__qualname__}" for wrapper in wrappers]
    then = [current(wrapper["class"]) for wrapper in state["wrappers"]]
    if then in _EARLIER:
        return False
    if here != then:
        raise CheckpointError(f"the VecEnv has the wrappers {here or 'none'}, the checkpoint's had {then or 'none'}.")
    for wrapper, saved in zip(wrappers, state["wrappers"], strict=True):
        restore_attributes(wrapper, saved["attributes"])
    base = env.unwrapped
    if state["base"] is None or type(base) is not DummyVecEnv:
        return False
    if len(state["base"]["envs"]) != base.num_envs:
        raise CheckpointError(f"the VecEnv has {base.num_envs} columns, the checkpoint {len(state['base']['envs'])}.")
    for column, saved in zip(base.envs, state["base"]["envs"], strict=True):
        restore_env(column, saved)
    restore_attributes(base, state["base"]["attributes"])
    return True


def _wrappers(env: VecEnv) -> Iterator[VecEnvWrapper]:
    while isinstance(env, VecEnvWrapper):
        yield env
        env = env.venv
