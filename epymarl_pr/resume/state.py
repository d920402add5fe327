"""EPyMARL's learner, replay buffer, runner and logger as trees of :mod:`marl_pr_common.checkpoint`, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch as th

from marl_pr_common.reciprocity.stand_in import Delegate

_RUNNER = ("t", "t_env", "log_train_stats_t", "train_returns", "test_returns", "train_stats", "test_stats")


def learner_state(learner: Any) -> dict[str, Any]:
    """Networks, targets, mixers, optimisers, running statistics and counters: all that a learner's attributes hold."""
    state = {name: save() for name, save, _ in parts(learner)}
    return {**state, "reciprocity": learner.reciprocity.state_dict(), "counters": _counters(learner)}


def restore_learner(learner: Any, state: Mapping[str, Any]) -> None:
    """Go on from :func:`learner_state`.

    :raises ValueError: if it is the state of another kind of learner
    :raises RuntimeError: from torch, if networks have other shapes
    """
    found = list(parts(learner))
    expected = {name for name, _, _ in found} | {"reciprocity", "counters"}
    if expected != set(state):
        raise ValueError(
            f"the checkpoint holds {', '.join(sorted(state))}; this learner has {', '.join(sorted(expected))}. "
            "Resume with the command that wrote it."
        )
    for name, _, load in found:
        load(state[name])
    learner.reciprocity.load_state_dict(state["reciprocity"])
    for name, value in state["counters"].items():
        setattr(learner, name, value)


def parts(learner: Any) -> Iterator[tuple[str, Any, Any]]:
    """(name, save, load) of every attribute that has a state; one object under two names once."""
    seen: set[int] = set()
    for name, value in vars(learner).items():
        value = value.wrapped if isinstance(value, Delegate) else value
        if id(value) in seen:
            continue
        seen.add(id(value))
        if hasattr(value, "agent") and hasattr(value, "load_state"):  # one of EPyMARL's controllers
            yield name, lambda value=value: plain(value.agent.state_dict()), value.agent.load_state_dict
        elif hasattr(value, "state_dict") and hasattr(value, "load_state_dict") and name != "reciprocity":
            yield name, lambda value=value: plain(value.state_dict()), value.load_state_dict
        elif all(hasattr(value, part) for part in ("mean", "var", "count")):
            yield name, lambda value=value: dict(vars(value)), partial(_restore_moments, value)
    if hasattr(learner.__dict__.get("target_mac"), "had"):
        target = learner.target_mac
        yield "had", lambda: target.had, lambda had: setattr(target, "had", had)


def _restore_moments(moments: Any, state: Mapping[str, Any]) -> None:
    """Running mean, variance and count, on the device where they are."""
    for name, value in state.items():
        setattr(moments, name, value.to(moments.mean.device) if isinstance(value, th.Tensor) else value)


def _counters(learner: Any) -> dict[str, int | float]:
    return {name: value for name, value in vars(learner).items() if type(value) in (int, float)}


def buffer_state(buffer: Any) -> dict[str, Any]:
    """The episodes that a replay buffer holds."""
    n = buffer.episodes_in_buffer
    return {
        "transition_data": {key: value[:n] for key, value in buffer.data.transition_data.items()},
        "episode_data": {key: value[:n] for key, value in buffer.data.episode_data.items()},
        "buffer_index": buffer.buffer_index,
        "episodes_in_buffer": n,
    }


def restore_buffer(buffer: Any, state: Mapping[str, Any]) -> None:
    """Go on from :func:`buffer_state`.

    :raises ValueError: if the buffer is smaller, or its data have other shapes
    """
    n = state["episodes_in_buffer"]
    for kind in ("transition_data", "episode_data"):
        held = getattr(buffer.data, kind)
        for key, value in state[kind].items():
            if key not in held or held[key].shape[1:] != value.shape[1:] or len(held[key]) < n:
                raise ValueError(
                    f"the checkpoint's buffer holds {key} {tuple(value.shape)}, which does not fit into this buffer. "
                    "Resume with the command that wrote it."
                )
            held[key][:n] = value.to(held[key].device)
    buffer.buffer_index, buffer.episodes_in_buffer = state["buffer_index"], n


def runner_state(runner: Any) -> dict[str, Any]:
    """Counters, and returns that are not yet logged."""
    return {name: plain(getattr(runner, name)) for name in _RUNNER}


def restore_runner(runner: Any, state: Mapping[str, Any]) -> None:
    """Go on from :func:`runner_state`."""
    for name, value in state.items():
        setattr(runner, name, value)


def logged(logger: Any) -> dict[str, list[list[float]]]:
    """Every statistic so far: name -> [step, value] pairs."""
    return {name: [[int(step), float(value)] for step, value in series] for name, series in logger.stats.items()}


def restore_logged(logger: Any, stats: Mapping[str, list[list[float]]]) -> None:
    """Put earlier statistics before those to come, in the console's means and in sacred's files: one curve."""
    for name, series in stats.items():
        logger.stats[name] = [(int(step), value) for step, value in series]
        if logger.use_sacred:
            logger.sacred_info[f"{name}_T"] = [int(step) for step, _ in series]
            logger.sacred_info[name] = [value for _, value in series]
            for step, value in series:
                logger._run_obj.log_scalar(name, value, int(step))


def tensors(tree: Any) -> Iterator[th.Tensor]:
    """Every tensor in a tree."""
    if isinstance(tree, th.Tensor):
        yield tree
    elif isinstance(tree, Mapping):
        for value in tree.values():
            yield from tensors(value)
    elif isinstance(tree, (list, tuple)):
        for value in tree:
            yield from tensors(value)


def plain(value: Any) -> Any:
    """Ordered dictionaries and subclasses of numbers as what a checkpoint keeps."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(plain(item) for item in value)
    if isinstance(value, (np.generic, np.ndarray, th.Tensor, bool)) or value is None:
        return value
    if isinstance(value, float):
        return float(value)
    if isinstance(value, int):
        return int(value)
    return value
