"""One agent of a group as a plain upstream model."""

from __future__ import annotations

import inspect
from collections import deque
from contextlib import AbstractContextManager
from typing import Any, cast

import torch as th
from gymnasium import spaces
from stable_baselines3 import TD3
from stable_baselines3.common.noise import VectorizedActionNoise
from stable_baselines3.common.policies import ContinuousCritic
from stable_baselines3.td3.policies import TD3Policy
from torch import nn

from sb3_pr.policies import UPSTREAM
from sb3_pr.stacking import agent_optimizer_state, agent_state_dict

BUFFER_OPTIONS = ("handle_timeout_termination",)
"""Understood by every replay buffer that SB3 chooses by itself."""
PER_AGENT = ("buffer_size", "learning_starts")
"""Counted over all agents by SB3, so one agent has its share."""


def lone_agent(model: Any, index: int) -> TD3:
    """Agent ``index`` of ``model`` as an upstream model: weights, target weights, optimisers, episode statistics.

    It refers to nothing of this package (unless the policy is a class derived from ours), so plain SB3 loads what it
    saves. Its replay buffer is the empty one that SB3 chooses by itself. Coordinates that the agent's observation
    mask hides have weight 0 in its first layers, which is what the mask does. Global generators are left alone.
    """
    names = [name for name in inspect.signature(model.upstream.__init__).parameters if hasattr(model, name)]
    options: dict[str, Any] = {name: getattr(model, name) for name in names if name not in ("policy", "env", "seed")}
    for name in PER_AGENT:
        options[name] = options[name] // model.n_agents
    options["replay_buffer_class"] = None
    options["replay_buffer_kwargs"] = {k: v for k, v in model.replay_buffer_kwargs.items() if k in BUFFER_OPTIONS}
    if isinstance(model.observation_space, spaces.Dict):
        options["n_steps"] = 1  # SB3 has n-step returns of Dict observations with HER only, which needs its env
    options["policy_kwargs"] = model.network_kwargs
    if isinstance(model.action_noise, VectorizedActionNoise):
        options["action_noise"] = model.action_noise.noises[index]
    lone: TD3 = model.upstream(_policy_class(model), None, **options, _init_setup_model=False)
    lone.observation_space, lone.action_space, lone.n_envs = model.observation_space, model.action_space, 1
    with _generators_kept(model):
        lone._setup_model()
    _copy_networks(model, lone.policy, index)
    lone.seed = model.seed
    lone.num_timesteps = model.num_timesteps // model.n_agents
    lone._n_updates = model._n_updates
    lone._stats_window_size = model._stats_window_size
    if model._agent_episodes:
        lone.ep_info_buffer = model._agent_episodes[index].copy()
        lone.ep_success_buffer = deque(maxlen=model._stats_window_size)
    return lone


def lone_policy(model: Any, index: int) -> TD3Policy:
    """Agent ``index``'s policy alone, as an upstream policy: what evaluation needs."""
    with _generators_kept(model):
        policy = _policy_class(model)(
            model.observation_space, model.action_space, model.lr_schedule, **model.network_kwargs
        ).to(model.device)
    _copy_networks(model, policy, index)
    return policy


def _policy_class(model: Any) -> type[TD3Policy]:
    """SB3's class behind ours; a user's own class serves one agent as it is."""
    policy: type[TD3Policy] = UPSTREAM.get(model.policy_class, model.policy_class)
    return policy


def _generators_kept(model: Any) -> AbstractContextManager[None]:
    """Networks draw their first weights from torch's global generators; exporting an agent must not move those."""
    return th.random.fork_rng(devices=[] if model.device.type == "cpu" else None)


def _copy_networks(model: Any, lone: TD3Policy, index: int) -> None:
    for name in ("actor", "actor_target", "critic", "critic_target"):
        stacked: nn.Module = getattr(model.policy, name)
        target: nn.Module = getattr(lone, name).to(next(stacked.parameters()).dtype)
        target.load_state_dict(agent_state_dict(stacked, index))
        if name in ("actor", "critic"):
            target.optimizer.load_state_dict(agent_optimizer_state(stacked, stacked.optimizer, index))  # type: ignore
        if model.observation_masks is not None:
            _hide(target, th.as_tensor(~model.observation_masks[index], device=model.device))


@th.no_grad()
def _hide(network: nn.Module, hidden: th.Tensor) -> None:
    """Zero the first layers' weights of the coordinates that the agent does not see; actions follow them."""
    towers = network.q_networks if isinstance(network, ContinuousCritic) else [network.mu]
    for tower in cast(list[nn.Module], towers):
        first = next(layer for layer in tower.modules() if isinstance(layer, nn.Linear))
        first.weight[:, : len(hidden)][:, hidden] = 0
