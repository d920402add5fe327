"""The state of a model of one of the algorithms, upstream's or ours, as a tree."""

from __future__ import annotations

from collections import deque
from typing import Any

from stable_baselines3.common.noise import VectorizedActionNoise

from marl_pr_common.checkpoint import CheckpointError, rng_state, set_rng_state
from marl_pr_common.checkpoint.attributes import (
    UnknownState,
    attributes,
    of_known_class,
    restore_attributes,
    restore_space,
    space_states,
)
from marl_pr_common.runs.provenance import as_plain
from sb3_pr import checks
from sb3_pr.algorithms.spec import spec_of
from sb3_pr.policies import TRAINED
from sb3_pr.returns import tell_policy
from sb3_pr.saving.resume.logs import restore_logger
from sb3_pr.saving.resume.replay import replay_state, restore_replay
from sb3_pr.saving.resume.vec_env import restore_vec_env, vec_env_state

COUNTERS = ("num_timesteps", "_total_timesteps", "_n_updates", "_episode_num", "_current_progress_remaining")
ROLLOUT = ("_last_obs", "_last_original_obs", "_last_episode_starts")
BUFFERS = ("ep_info_buffer", "ep_success_buffer")
STRUCTURE = (
    *("class", "n_agents", "n_teams", "seeds", "n_envs", "observation_space", "action_space"),
    *("buffer_size", "optimize_memory_usage"),
)
"""Settings that a checkpoint cannot do without; the others may differ, with a warning."""
_SETTINGS = (
    *("n_agents", "n_envs", "observation_space", "action_space", "buffer_size", "optimize_memory_usage"),
    *("learning_rate", "learning_starts", "batch_size", "tau", "gamma", "gradient_steps", "n_steps", "shared_replay"),
    *("n_teams", "seeds", "fast", "train_freq", "policy_kwargs", "observation_masks"),
)
"""Those of every algorithm."""


def model_state(model: Any) -> tuple[dict[str, Any], list[str]]:
    """Everything that ``learn`` goes on from, between two rollouts; and why it is not all, if it is not."""
    reasons: list[str] = []
    state: dict[str, Any] = {
        "networks": _networks(model),
        "counters": {name: getattr(model, name) for name in COUNTERS},
        "rollout": {name: getattr(model, name) for name in ROLLOUT},
        "buffers": {name: _listed(getattr(model, name)) for name in BUFFERS},
        "spaces": [space_states(model.action_space), space_states(model.observation_space)],
    }
    state["noise"] = _noise_state(model, reasons)
    if model.use_sde:  # drawn when a rollout begins, just before a checkpoint of it
        reasons.append("gSDE draws its noise anew when learn() goes on")
    state["env"], reason = vec_env_state(model.env)
    reasons += [reason] if reason else []
    try:
        state["replay"] = replay_state(model.replay_buffer)
    except UnknownState as error:
        state["replay"] = None
        reasons.append(str(error))
    if hasattr(model, "_agent_episodes"):
        state["group"] = _group_state(model)
    state["rng"] = rng_state()
    return state, reasons


def restore_model(model: Any, state: dict[str, Any]) -> bool:
    """The inverse of :func:`model_state` for a model that was constructed the same way.

    :return: whether the environments go on where they were; if not, learn() resets them
    """
    _restore_networks(model, state["networks"])
    for name, value in {**state["counters"], **state["rollout"]}.items():
        setattr(model, name, value)
    for name, values in state["buffers"].items():
        setattr(model, name, None if values is None else deque(values, maxlen=model._stats_window_size))
    for space, saved in zip((model.action_space, model.observation_space), state["spaces"], strict=True):
        restore_space(space, saved)
    _restore_noise(model, state["noise"])
    exact = restore_vec_env(model.env, state["env"])
    if not exact:
        model._last_obs = None  # learn() then begins new episodes
    if state["replay"] is not None:
        restore_replay(model.replay_buffer, state["replay"])
    if "group" in state:
        _restore_group(model, state["group"])
    set_rng_state(state["rng"])  # last: what is above may draw
    return exact


def continue_learning(model: Any) -> None:
    """What ``learn`` does anew when it begins, and a resumed model must not lose; called after that."""
    resumed = model.__dict__.pop("_resumed", {})
    if "noise" in resumed:
        restore_attributes(model.action_noise, resumed["noise"])
    if "logger" in resumed:
        restore_logger(model.logger, resumed["logger"], model.num_timesteps)


def settings(model: Any) -> dict[str, Any]:
    """What the model was constructed with, as JSON: to tell a checkpoint of another model."""
    names = (*_SETTINGS, *spec_of(model).settings)
    found = {name: _readable(getattr(model, name)) for name in names if hasattr(model, name)}
    options = vars(model.pr) if hasattr(model, "pr") else {}
    # kappa is state: callbacks anneal it
    options = {f"pr.{name}": _readable(value) for name, value in options.items() if name != "kappa"}
    return {"class": type(model).__name__, **found, **options}


def _readable(value: Any) -> Any:
    plain = as_plain(value)
    return plain if isinstance(plain, (bool, int, float, str, type(None))) else str(plain)


def _networks(model: Any) -> dict[str, Any]:
    state = {"policy": model.policy.state_dict()}
    for name in TRAINED:
        state[f"{name}_optimizer"] = getattr(model.policy, name).optimizer.state_dict()
    for one, tensor, optimizer in spec_of(model).learnt_by(model):
        state |= {one.tensor: tensor.detach(), one.optimizer: optimizer.state_dict()}
    if getattr(model, "peer_critics", None) is not None:
        state["peer_critics"] = model.peer_critics.state_dict()
    return state


def _restore_networks(model: Any, state: dict[str, Any]) -> None:
    model.policy.load_state_dict(state["policy"])
    for name in TRAINED:
        getattr(model.policy, name).optimizer.load_state_dict(state[f"{name}_optimizer"])
    for one, tensor, optimizer in spec_of(model).learnt_by(model):
        if one.tensor not in state:
            raise CheckpointError(f"the checkpoint has no {one.tensor}: the model was made with another {one.setting}.")
        tensor.data.copy_(state[one.tensor])
        optimizer.load_state_dict(state[one.optimizer])
    if "peer_critics" in state:
        model.peer_critics.load_state_dict(state["peer_critics"])


def _listed(values: Any) -> list[Any] | None:
    return None if values is None else list(values)


def _noise_state(model: Any, reasons: list[str]) -> dict[str, Any] | None:
    noise = model.action_noise
    if noise is None:
        return None
    found, unknown = attributes(noise)
    if unknown or not of_known_class(noise):
        reasons.append(f"the state of the action noise {type(noise).__qualname__} is not known")
    if hasattr(getattr(noise, "base_noise", noise), "initial_noise") and not hasattr(model, "watch"):
        reasons.append("Stable-Baselines3 resets Ornstein-Uhlenbeck noise when learn() begins")
    return {"vectorized": isinstance(noise, VectorizedActionNoise), "attributes": found}


def _restore_noise(model: Any, state: dict[str, Any] | None) -> None:
    if state is None or model.action_noise is None:
        return
    if state["vectorized"] and not isinstance(model.action_noise, VectorizedActionNoise):
        model.action_noise = VectorizedActionNoise(model.action_noise, model.n_envs)  # as learn() would
    restore_attributes(model.action_noise, state["attributes"])
    if hasattr(model, "watch"):
        model.__dict__.setdefault("_resumed", {})["noise"] = state["attributes"]  # learn() resets it first


def _group_state(model: Any) -> dict[str, Any]:
    reciprocity = getattr(model, "reciprocity", None)
    return {
        "episodes": [list(played) for played in model._agent_episodes],
        "running": list(model._running_episodes),
        "leader": model._leader,
        "kappa": model.kappa,
        "reciprocity": None if reciprocity is None else reciprocity.state_dict(),
        "watch": model.watch.state_dict(),
        "ended": dict(model.ended),
        "streams": None if model.streams is None else model.streams.state_dict(),
    }


def _restore_group(model: Any, state: dict[str, Any]) -> None:
    model._agent_episodes = [deque(played, maxlen=model._stats_window_size) for played in state["episodes"]]
    model._running_episodes = state.get("running", ())
    model._leader = state["leader"]
    tell_policy(model)
    if state["kappa"] != model.kappa:  # annealed
        model.pr = checks.replace(model.pr, {"kappa": state["kappa"]})
        if model.n_columns > 1:
            model.reciprocity.configure(model.pr)
    if state["reciprocity"] is not None:
        model.reciprocity.load_state_dict(state["reciprocity"])
    model.watch.load_state_dict(state["watch"])
    if model.streams is not None:
        model.streams.load_state_dict(state["streams"])
        model.ended = state["ended"]
