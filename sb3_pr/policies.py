"""SB3's policies for a group of agents: SB3's own actor and critic, built n_agents times and stacked."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import numpy as np
import stable_baselines3
import torch as th
from gymnasium import spaces
from stable_baselines3.common.policies import BaseModel, BasePolicy
from stable_baselines3.common.policies import ContinuousCritic as ContinuousCritic
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, CombinedExtractor, FlattenExtractor, NatureCNN
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from stable_baselines3.td3.policies import Actor as Actor  # for policies of users, as SB3's own
from stable_baselines3.td3.policies import TD3Policy

from sb3_pr.algorithms.spec import MODULES, class_name, model_class
from sb3_pr.networks.elementwise import ELEMENTWISE, fused_adam
from sb3_pr.networks.layers import PerAgent
from sb3_pr.networks.observations import repeat, rows
from sb3_pr.networks.optimizers import AgentOptimizers
from sb3_pr.networks.parameters import by_agent
from sb3_pr.networks.stacking import agent_parameters, stack
from sb3_pr.networks.surgery import serving
from sb3_pr.streams import made

TRAINED = ("actor", "critic")
"""A policy's networks with an optimiser."""
NetworkT = TypeVar("NetworkT", bound=BaseModel)


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
        blocks = by_agent(flat, self.n_agents)
        return (blocks * self.masks.unsqueeze(1)).view_as(flat)


class StackedPolicy(BasePolicy):
    """Mixin in front of one of SB3's policies; with one agent and no masks it *is* SB3's, module for module.

    Every other parameter is SB3's own.

    :param n_agents: agents whose networks are stacked
    :param observation_masks: (n_agents, obs_dim) booleans, what each agent sees; None for everything
    """

    networks: ClassVar[tuple[str, ...]]
    """Attributes that hold the actor, the critic and their targets."""
    make_actor: Callable[..., Any]
    make_critic: Callable[..., Any]
    extractor: ClassVar[type[BaseFeaturesExtractor] | None] = None
    """Features extractor where the user names none; None: the one that upstream's class has."""
    leader: int = 0
    """The agent that answers for observations that do not come one per agent."""
    council: Callable[..., th.Tensor] | None = None
    """Who chooses among all agents' answers instead: see :mod:`sb3_pr.voting`."""
    n_teams: int = 1
    """Stacked teams that the agents are, none of which answers for another."""
    in_blocks: bool = False
    """Whether observations come agent by agent, equally many of each, and every agent answers its own."""

    def __init__(self, *args: Any, n_agents: int = 1, observation_masks: Any = None, leader: int = 0, **kwargs: Any):
        self.n_agents = n_agents
        self.leader = leader
        self.n_teams = kwargs.pop("n_teams", 1)  # in files of stacks alone
        self.observation_masks = observation_masks
        if self.extractor is not None:
            kwargs.setdefault("features_extractor_class", self.extractor)
        if n_agents > 1:
            optimizer_class = kwargs.get("optimizer_class", th.optim.Adam)
            kwargs["optimizer_kwargs"] = fused_adam(optimizer_class, kwargs.get("optimizer_kwargs") or {})
        super().__init__(*args, **kwargs)
        self._built = True
        for name in self.networks:  # a derived class may have built them without us
            setattr(self, name, getattr(self, name))

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.networks and self.__dict__.get("_built") and self.n_agents > 1:
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
            super()._build(lr_schedule)  # type: ignore[misc]
        finally:
            self.optimizer_class = optimizer_class
            for name in making:
                del self.__dict__[name]

    def _make(self, make: Callable[..., NetworkT], features_extractor: BaseFeaturesExtractor | None = None) -> NetworkT:
        return self._masked(stack(made(lambda: make(features_extractor), self.n_agents)))

    def _agent_optimizers(self, kind: type[th.optim.Optimizer], parameters: Any, **options: Any) -> AgentOptimizers:
        wholes = list(parameters)
        ids = {id(whole) for whole in wholes}
        networks: list[Any] = [getattr(self, name) for name in TRAINED if name in self._modules]
        network = next(one for one in networks if ids <= {id(parameter) for parameter in one.parameters()})
        agents = [agent_parameters(network, index) for index in range(self.n_agents)]
        own = [[pair for pair in agent if id(pair[0]) in ids] for agent in agents]
        return AgentOptimizers(functools.partial(kind, **options), own, wholes)

    def _masked(self, network: NetworkT) -> NetworkT:
        if self.observation_masks is not None and isinstance(network, PerAgent):
            raise ValueError(
                f"observation_masks with networks of class {type(network.agents[0]).__name__}: masks need "
                "Stable-Baselines3's own actors and critics, not compiled, so that agents can be exported without them."
            )
        if self.observation_masks is not None and not isinstance(network.features_extractor, MaskedExtractor):
            extractor: Any = network.features_extractor
            network.features_extractor = MaskedExtractor(extractor, self.observation_masks)
        return network

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> th.Tensor:
        n_rows = rows(observation)
        if self.n_agents == 1 or ((n_rows == self.n_agents or self.in_blocks) and self.council is None):
            return super()._predict(observation, deterministic)  # type: ignore[safe-super]
        if self.n_teams > 1:
            raise ValueError(
                f"predict() of {n_rows} observation(s) by a policy of {self.n_teams} teams: {self.n_agents} are one "
                "for every agent of every team, and no team answers for the others. Use model.team(t).policy."
            )
        # Not one row per agent: every agent answers all rows, and the leader's answer counts, or the vote.
        repeated, sure = repeat(observation, self.n_agents), deterministic or self.council is not None
        answers = super()._predict(repeated, sure)  # type: ignore[safe-super]
        answers = answers.view(self.n_agents, n_rows, -1)
        return answers[self.leader] if self.council is None else self.council(self, observation, answers)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {
            **super()._get_constructor_parameters(),
            **({"n_teams": self.n_teams} if self.n_teams > 1 else {}),
            "n_agents": self.n_agents,
            "observation_masks": self.observation_masks,
            "leader": self.leader,
        }


class MlpPolicy(StackedPolicy, TD3Policy):
    """SB3's ``TD3Policy`` for n_agents."""

    networks = ("actor", "actor_target", "critic", "critic_target")


class CnnPolicy(MlpPolicy):
    """SB3's ``CnnPolicy`` for n_agents: image observations."""

    extractor = NatureCNN


class MultiInputPolicy(MlpPolicy):
    """SB3's ``MultiInputPolicy`` for n_agents: ``Dict`` observations."""

    observation_space: spaces.Dict
    extractor = CombinedExtractor


def upstream_policy(algorithm: Any, policy: type[Any]) -> type[Any]:
    """SB3's policy class behind ours, what ``model.agent(i)`` is built with; a user's own serves one agent as it is.

    :param algorithm: a model of ours, or its class
    """
    for name, ours in algorithm.policy_aliases.items():
        if policy is ours:
            return algorithm.upstream.policy_aliases[name]  # type: ignore[no-any-return]
    return policy


def stacked_policy(algorithm: Any, policy: type[Any]) -> type[Any]:
    """The inverse: our policy class in the place of SB3's."""
    for name, lone in algorithm.upstream.policy_aliases.items():
        if policy is lone:
            return algorithm.policy_aliases[name]  # type: ignore[no-any-return]
    return policy


def require_policy(model: Any, policy: type[Any]) -> None:
    """:raises ValueError: if the policy is one of another algorithm, or cannot stack several agents"""
    if model.n_columns == 1:
        _of_this_algorithm(model, policy)
        return
    mlp = model.policy_aliases["MlpPolicy"]
    if issubclass(policy, mlp):
        return
    ours = (model_class(f"{name}_pr") for name in MODULES)
    others = [cls.__name__ for cls in ours if issubclass(policy, cls.policy_aliases["MlpPolicy"])]
    if others:
        raise ValueError(
            f"policy={policy.__module__}.{policy.__name__} is that of {' and '.join(others)}, and the model a "
            f"{type(model).__name__}. A file is loaded by the class that saved it: {others[-1]}.load(...); a policy of "
            f"your own derives from {mlp.__module__}.MlpPolicy, CnnPolicy or MultiInputPolicy."
        )
    several = f", n_teams={model.n_teams}" if model.n_teams > 1 else ""
    raise ValueError(
        f"policy={policy.__name__} with n_agents={model.n_agents}{several}: several agents need a policy that stacks "
        f"their networks. Derive your class from {mlp.__module__}.MlpPolicy, CnnPolicy or MultiInputPolicy."
    )


def _of_this_algorithm(model: Any, policy: type[Any]) -> None:
    """:raises ValueError: for a lone agent's policy of another of Stable-Baselines3's algorithms: a file of it, say"""
    if issubclass(policy, model.upstream.policy_aliases["MlpPolicy"]):
        return
    everyone = (one for one in vars(stable_baselines3).values() if hasattr(one, "policy_aliases"))
    makers = [one.__name__ for one in everyone if issubclass(policy, one.policy_aliases["MlpPolicy"])]
    if makers:
        loading = [*makers, *(class_name(one) for one in makers if one.lower() in MODULES)]
        raise ValueError(
            f"policy={policy.__module__}.{policy.__name__} is that of {' and '.join(makers)}, and the model a "
            f"{type(model).__name__}. A file is loaded by the class that saved it: "
            f"{' or '.join(f'{one}.load(...)' for one in loading)}."
        )
