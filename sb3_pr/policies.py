"""SB3's TD3 policies for a group of agents: SB3's own actor and critic, built n_agents times and stacked."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy, ContinuousCritic
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, CombinedExtractor, FlattenExtractor, NatureCNN
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from stable_baselines3.td3 import policies as upstream
from stable_baselines3.td3.policies import Actor, TD3Policy

from sb3_pr.networks.observations import rows
from sb3_pr.networks.optimizers import ELEMENTWISE, AgentOptimizers, fused_adam
from sb3_pr.networks.stacking import agent_parameters, stack
from sb3_pr.networks.surgery import serving

NETWORKS = ("actor", "actor_target", "critic", "critic_target")
NetworkT = TypeVar("NetworkT", Actor, ContinuousCritic)


class MaskedExtractor(BaseFeaturesExtractor):
    """Observation masks Pi_i (Definition 1): agent i's block of rows with the coordinates that it does not see at 0.

    :param extractor: flattens the observation
    :param masks: (n_agents, obs_dim) booleans
    """

    masks: th.Tensor

    def __init__(self, extractor: BaseFeaturesExtractor, masks: np.ndarray):
        super().__init__(extractor._observation_space, extractor.features_dim)
        if type(extractor) is not FlattenExtractor:
            raise ValueError(
                f"observation_masks with features extractor {type(extractor).__name__}: masks need FlattenExtractor, "
                "MlpPolicy's, so that an agent can be exported without them."
            )
        self.extractor = extractor
        self.n_agents = len(masks)
        self.register_buffer("masks", th.as_tensor(masks, dtype=th.float32), persistent=False)

    def forward(self, observations: th.Tensor) -> th.Tensor:
        flat: th.Tensor = self.extractor(observations)
        blocks = flat.view(self.n_agents, -1, flat.shape[-1])
        return (blocks * self.masks.unsqueeze(1)).view_as(flat)


class MlpPolicy(TD3Policy):
    """SB3's ``TD3Policy`` for n_agents; with one agent and no masks it *is* SB3's, module for module.

    Every other parameter is SB3's own.

    :param n_agents: agents whose networks are stacked
    :param observation_masks: (n_agents, obs_dim) booleans, what each agent sees; None for everything
    """

    leader: int = 0
    """The agent that answers for observations that do not come one per agent."""

    def __init__(self, *args: Any, n_agents: int = 1, observation_masks: Any = None, leader: int = 0, **kwargs: Any):
        self.n_agents = n_agents
        self.leader = leader
        self.observation_masks = observation_masks
        if n_agents > 1:
            optimizer_class = kwargs.get("optimizer_class", th.optim.Adam)
            kwargs["optimizer_kwargs"] = fused_adam(optimizer_class, kwargs.get("optimizer_kwargs") or {})
        super().__init__(*args, **kwargs)
        self._built = True
        for name in NETWORKS:  # a derived class may have built them without us
            setattr(self, name, getattr(self, name))

    def __setattr__(self, name: str, value: Any) -> None:
        if name in NETWORKS and self.__dict__.get("_built") and self.n_agents > 1:
            value = serving(value, self.n_agents, name)
        super().__setattr__(name, value)

    def _build(self, lr_schedule: Schedule) -> None:
        """SB3's, with the networks that ``make_actor`` and ``make_critic`` make, a derived class's own too, made once
        per agent and stacked, and with an optimiser for each agent if one could make the agents meet."""
        optimizer_class = self.optimizer_class
        making = {name: functools.partial(self._make, getattr(self, name)) for name in ("make_actor", "make_critic")}
        self.__dict__.update(making)
        if self.n_agents > 1 and optimizer_class not in ELEMENTWISE:
            self.optimizer_class = functools.partial(self._agent_optimizers, optimizer_class)  # type: ignore[assignment]
        try:
            super()._build(lr_schedule)
        finally:
            self.optimizer_class = optimizer_class
            for name in making:
                del self.__dict__[name]

    def _make(self, make: Callable[..., NetworkT], features_extractor: BaseFeaturesExtractor | None = None) -> NetworkT:
        return self._masked(stack([make(features_extractor) for _ in range(self.n_agents)]))

    def _agent_optimizers(self, kind: type[th.optim.Optimizer], parameters: Any, **options: Any) -> AgentOptimizers:
        wholes = list(parameters)
        networks = [getattr(self, name) for name in ("actor", "critic") if name in self._modules]
        network = next(one for one in networks if next(one.parameters()) is wholes[0])
        make = functools.partial(kind, **options)
        return AgentOptimizers(make, [agent_parameters(network, i) for i in range(self.n_agents)], wholes)

    def _masked(self, network: NetworkT) -> NetworkT:
        if self.observation_masks is not None and not isinstance(network.features_extractor, MaskedExtractor):
            network.features_extractor = MaskedExtractor(network.features_extractor, self.observation_masks)
        return network

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> th.Tensor:
        n_rows = rows(observation)
        if self.n_agents == 1 or n_rows == self.n_agents:
            return super()._predict(observation, deterministic)
        # Not one row per agent: every agent answers all rows, and the leader's answer counts.
        if isinstance(observation, dict):
            repeated: Any = {key: th.cat([value] * self.n_agents) for key, value in observation.items()}
        else:
            repeated = th.cat([observation] * self.n_agents)
        return super()._predict(repeated, deterministic).view(self.n_agents, n_rows, -1)[self.leader]

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {
            **super()._get_constructor_parameters(),
            "n_agents": self.n_agents,
            "observation_masks": self.observation_masks,
            "leader": self.leader,
        }


class CnnPolicy(MlpPolicy):
    """SB3's ``CnnPolicy`` for n_agents: image observations."""

    def __init__(self, *args: Any, features_extractor_class: type[BaseFeaturesExtractor] = NatureCNN, **kwargs: Any):
        super().__init__(*args, features_extractor_class=features_extractor_class, **kwargs)


class MultiInputPolicy(MlpPolicy):
    """SB3's ``MultiInputPolicy`` for n_agents: ``Dict`` observations."""

    observation_space: spaces.Dict

    def __init__(
        self, *args: Any, features_extractor_class: type[BaseFeaturesExtractor] = CombinedExtractor, **kwargs: Any
    ):
        super().__init__(*args, features_extractor_class=features_extractor_class, **kwargs)


UPSTREAM: dict[type[BasePolicy], type[TD3Policy]] = {
    MlpPolicy: upstream.MlpPolicy,
    CnnPolicy: upstream.CnnPolicy,
    MultiInputPolicy: upstream.MultiInputPolicy,
}
"""SB3's policy class for each of ours: what ``model.agent(i)`` is built with."""
