"""SAC with multi-agent Policy Reciprocity.

log pi of agent i's rows          from agent i's Gaussian, all agents' in one pass
alpha_i                           one temperature per agent, moved by its own rows
r + gamma (Z*_i - alpha_i log pi) Z* of eq. 12 mixes the values; the entropy term stays the agent's own
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch as th
from stable_baselines3 import SAC
from stable_baselines3.common.distributions import SquashedDiagGaussianDistribution
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.preprocessing import get_action_dim
from stable_baselines3.common.torch_layers import CombinedExtractor, NatureCNN
from stable_baselines3.sac.policies import Actor, SACPolicy
from torch.distributions import Normal

from sb3_pr.algorithms.multi_agent import MultiAgent
from sb3_pr.algorithms.spec import Learnt, Spec
from sb3_pr.checks import TemperatureError
from sb3_pr.envs.parallel import TeamVecEnv
from sb3_pr.logs import name_of
from sb3_pr.networks import surgery
from sb3_pr.networks.layers import AgentsNetwork, PerAgent, scaled
from sb3_pr.policies import StackedPolicy
from sb3_pr.streams import current, team_by_team
from sb3_pr.study.config import check_entropy

SPEC = Spec(
    upstream=SAC,
    networks=("actor", "critic", "critic_target"),
    statistics={"batch_norm_stats": "critic", "batch_norm_stats_target": "critic_target"},
    objective="critic",
    options=("ent_coef", "target_entropy"),
    settings=(
        *("ent_coef", "target_entropy", "own_target_entropy", "target_update_interval"),
        *("use_sde", "sde_sample_freq", "use_sde_at_warmup"),
    ),
    own_settings=("target_entropy",),
    learnt=(Learnt("log_ent_coef", "ent_coef_optimizer", loss="ent_coef_loss", setting="ent_coef"),),
)


class Temperatures(th.Tensor):
    """(n_agents, 1), log alpha or alpha as upstream's ``train`` reads it: each agent's for its own block of rows."""

    below: th.Tensor | None = None
    """(n_agents, 1), by how much each agent's target entropy is above the group's; of log alpha only."""

    def __mul__(self, rows: th.Tensor) -> th.Tensor:  # type: ignore[override]
        """Times the rows of a batch, (n_agents * batch, 1).

        Upstream's loss is a mean over all agents' rows; with the scale every agent's gradient is that of its own mean.
        """
        n = len(self)
        blocks = rows.as_subclass(th.Tensor).view(n, -1, 1)
        if self.below is not None:
            blocks = blocks + self.below.unsqueeze(1)
        return (scaled(self.as_subclass(th.Tensor), n).unsqueeze(1) * blocks).view(-1, 1)  # type: ignore[no-any-return]

    def item(self) -> float:
        """Their mean: what upstream logs."""
        return self.as_subclass(th.Tensor).mean().item()


class _Gaussian(SquashedDiagGaussianDistribution):
    """SB3's, without torch's check of its arguments (one NaN would stop all agents), with each team's own draws."""

    def proba_distribution(self, mean_actions: th.Tensor, log_std: th.Tensor) -> _Gaussian:
        self.distribution = Normal(mean_actions, th.ones_like(mean_actions) * log_std.exp(), validate_args=False)
        return self

    def sample(self) -> th.Tensor:
        """(n_agents * batch, action_dim)"""
        streams, normal = current(), self.distribution
        if streams is None or len(normal.loc) % streams.n_agents:
            return super().sample()
        self.gaussian_actions = normal.loc + streams.normal_(th.empty_like(normal.loc)) * normal.scale
        return th.tanh(self.gaussian_actions)


class StackedActor(AgentsNetwork, Actor):
    """SB3's actor with stacked layers, of which ``log_std`` is one, too."""

    def become(self, n_agents: int) -> None:
        super().become(n_agents)
        self.action_dist = _Gaussian(get_action_dim(self.action_space))  # type: ignore[assignment]

    def release(self, lone: Any) -> None:
        super().release(lone)
        lone.action_dist = SquashedDiagGaussianDistribution(get_action_dim(self.action_space))

    def action_log_prob(self, obs: Any) -> tuple[th.Tensor, th.Tensor]:
        """Actions (n_agents * batch, action_dim) and their log probabilities, with the gradient of a lone agent."""
        actions, log_prob = super().action_log_prob(obs)
        return actions, scaled(log_prob, self.n_agents)


class PerAgentActor(AgentsNetwork, PerAgent, Actor):
    """N actors with noise of their own (gSDE), or of a class with a ``forward`` of its own."""

    n_agents = PerAgent.n_agents

    def _each(self, call: Callable[..., Any], *inputs: Any) -> Any:
        return super()._each(team_by_team(call, len(self.agents)), *inputs)

    def forward(self, obs: Any, deterministic: bool = False) -> th.Tensor:
        return self._each(lambda agent, block: agent(block, deterministic), obs)  # type: ignore[no-any-return]

    def action_log_prob(self, obs: Any) -> tuple[th.Tensor, th.Tensor]:
        actions, log_prob = self._each(lambda agent, block: agent.action_log_prob(block), obs)
        return actions, scaled(log_prob, self.n_agents)

    def reset_noise(self, batch_size: int = 1) -> None:
        """Every agent's for its share of the rows: one each while the group acts."""
        for agent in self.agents:
            agent.reset_noise(max(1, batch_size // self.n_agents))  # type: ignore[operator]

    def get_std(self) -> th.Tensor:
        """Every agent's standard deviation of the noise, (n_agents, latent_dim, action_dim); upstream logs the mean."""
        return th.stack([agent.get_std() for agent in self.agents])  # type: ignore[operator]


surgery.STACKED[Actor] = StackedActor
surgery.SIDE_BY_SIDE[Actor] = PerAgentActor


class MlpPolicy(StackedPolicy, SACPolicy):
    """SB3's ``SACPolicy`` for n_agents."""

    networks = SPEC.networks


class CnnPolicy(MlpPolicy):
    """SB3's ``CnnPolicy`` for n_agents: image observations."""

    extractor = NatureCNN


class MultiInputPolicy(MlpPolicy):
    """SB3's ``MultiInputPolicy`` for n_agents: ``Dict`` observations."""

    extractor = CombinedExtractor


class SACPR(MultiAgent, SAC):
    """
    Soft Actor-Critic (SAC) with multi-agent Policy Reciprocity (PR).

    The target is r + gamma (Z* - alpha log pi): Z* of eq. 12 mixes what the peers' target critics say of the agent's
    own next action, and the entropy term stays the agent's own. With ``ent_coef="auto"`` every agent learns a
    temperature of its own: ``log_ent_coef`` is (n_agents, 1). For the other parameters see :class:`sb3_pr.TD3PR`.
    ``n_agents=1`` is SB3's SAC, bit for bit; with ``kappa=0`` every agent follows a SAC of its own, up to float32
    rounding.

    ``target_entropy="auto"`` is minus the number of an agent's actions. In a PettingZoo environment whose agents have
    actions of different sizes the padding is free, so that it becomes uniform: its log 2 per coordinate is added.
    """

    spec = SPEC
    upstream: ClassVar[type[SAC]] = SAC
    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "MlpPolicy": MlpPolicy,
        "CnnPolicy": CnnPolicy,
        "MultiInputPolicy": MultiInputPolicy,
    }
    log_ent_coef: Any
    own_target_entropy: list[float] | None = None
    """Each agent's, where they differ."""

    def _setup_model(self) -> None:
        check_entropy(self.ent_coef, self.target_entropy)
        if self.use_sde and self.observation_masks is not None and self.n_agents > 1:
            raise ValueError(
                "use_sde=True with observation_masks: each agent then has an actor of its own, which sees everything."
            )
        automatic = self.target_entropy == "auto"
        if automatic and self.env is None:  # where SB3 looks for the actions
            self.target_entropy = -float(np.prod(self.action_space.shape or ()))
        super()._setup_model()
        if self.n_columns == 1:
            return
        if self.streams is not None and isinstance(self.actor, PerAgentActor):
            self.streams.require_cpu(self.actor.agents[0])
        if automatic:
            self.own_target_entropy = own_target_entropy(self.env)
        if self.ent_coef_optimizer is not None:
            self.log_ent_coef = self.log_ent_coef.detach().repeat(self.n_columns, 1).requires_grad_(True)
            self.ent_coef_optimizer = th.optim.Adam([self.log_ent_coef], lr=self.lr_schedule(1))

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """SB3's update, of all agents at once; ``batch_size`` is per agent."""
        leaf = self.log_ent_coef
        if self.n_columns == 1 or self.ent_coef_optimizer is None:
            super().train(gradient_steps, batch_size)
            return
        self.log_ent_coef = leaf.as_subclass(Temperatures)
        if self.own_target_entropy is not None:
            own = th.tensor(self.own_target_entropy, device=leaf.device, dtype=leaf.dtype)
            self.log_ent_coef.below = (own - float(self.target_entropy)).unsqueeze(1)
        try:
            super().train(gradient_steps, batch_size)
        finally:
            self.log_ent_coef = leaf
        for agent, alpha in enumerate(leaf.detach().exp().flatten().tolist()):
            self.logger.record(f"train/{name_of(agent, self.n_agents, self.n_teams)}/ent_coef", alpha)

    def set_parameters(self, load_path_or_dict: Any, exact_match: bool = True, device: Any = "auto") -> None:
        """SB3's.

        :raises TemperatureError: if one of the two models learns its temperature and the other does not
        """
        learnt, given = self.ent_coef_optimizer is not None, load_path_or_dict
        if isinstance(given, dict) and exact_match and learnt != ("ent_coef_optimizer" in given):
            raise TemperatureError(
                f"ent_coef={self.ent_coef!r}, but the parameters are of a model that "
                f"{'does not learn' if learnt else 'learns'} its temperature. Load it as it was saved; "
                f"{type(self).__name__}.from_agents([model.agent(i) for i in range(model.n_agents)], "
                f"ent_coef={self.ent_coef!r}) then goes on with this one."
            )
        super().set_parameters(given, exact_match, device)

    @classmethod
    def load(cls, path: Any, env: Any = None, *args: Any, **kwargs: Any) -> Any:
        """SB3's, as in :meth:`sb3_pr.TD3PR.load`; a fixed ``ent_coef`` and ``target_entropy`` replace those saved."""
        model = super().load(path, env, *args, **kwargs)
        given = {**(kwargs.get("custom_objects") or {}), **kwargs}
        if given.get("target_entropy", "auto") != "auto":
            model.own_target_entropy = None
        if "ent_coef" in given and model.ent_coef_optimizer is None:  # SB3 would keep the saved tensor
            model.ent_coef_tensor = th.tensor(float(model.ent_coef), device=model.device)
        return model


def own_target_entropy(env: Any) -> list[float] | None:
    """Each agent's target in a team whose agents have actions of different sizes; None where all are alike."""
    team = None if env is None else env.unwrapped
    if not isinstance(team, TeamVecEnv):
        return None
    common = int(np.prod(team.action_space.shape or ()))
    padding = [common - size for size in team.own_action_sizes]
    return [pad - common + math.log(2) * pad for pad in padding] if any(padding) else None
