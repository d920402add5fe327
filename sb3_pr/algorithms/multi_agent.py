"""What TD3PR, DDPGPR and SACPR share: N agents inside one SB3 off-policy algorithm.

build the agents' networks, stacked, and SB3's replay buffer, sampled agent by agent
let critic_target answer Z* (eq. 12) instead of the own target value
everything else -- rollouts, train(), polyak updates, save, load, callbacks -- is SB3's
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, ClassVar

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import MaybeCallback, RolloutReturn
from stable_baselines3.common.vec_env import VecEnv

from marl_pr_common.config import from_mapping
from marl_pr_common.reciprocity import Reciprocity, ReciprocityConfig
from marl_pr_common.reciprocity.teams import Teams
from sb3_pr import advice, checks, ending, returns, stacked_teams, unfit
from sb3_pr import own_critics as ensemble
from sb3_pr.algorithms.signature import NamedParameters
from sb3_pr.algorithms.spec import Spec
from sb3_pr.consensus import Consensus
from sb3_pr.envs.columns import check_action_space, make_columns, with_agents_as_columns
from sb3_pr.eval_envs import refuse_training_env
from sb3_pr.fast import fast_matmul
from sb3_pr.guards import Watch
from sb3_pr.logs import record_episodes, record_reciprocity
from sb3_pr.policies import require_policy, stacked_policy
from sb3_pr.saving.resume.model import continue_learning
from sb3_pr.saving.zips import Persistence
from sb3_pr.target import ActorObjective, ReciprocalTarget, snapshot_of
from sb3_pr.voting import AnswersAsTeam


class MultiAgent(NamedParameters, AnswersAsTeam, Persistence):
    """Mixin in front of one of SB3's algorithms; see :class:`sb3_pr.TD3PR` for the parameters."""

    spec: ClassVar[Spec]
    """What is particular to the algorithm."""
    upstream: ClassVar[type[OffPolicyAlgorithm]]
    """SB3's class that this one extends."""

    policy: Any
    critic: Any
    critic_target: Any
    guards: bool = True  # models saved before there were guards have no value of their own
    own_critics: bool = False  # likewise
    _running_episodes: Any = ()
    _count_returns = False

    def __init__(
        self,
        policy: str | type[BasePolicy],
        env: Any,
        *args: Any,
        n_agents: int | None = None,
        n_teams: int | None = None,
        seeds: Sequence[int] | None = None,
        shared_replay: bool = False,
        observation_masks: Any = None,
        leader: int | None = None,
        fast: bool = False,
        guards: bool = True,
        own_critics: bool = False,
        **kwargs: Any,
    ):
        kwargs = checks.named(args, kwargs, self.upstream)
        options = checks.pr_options(kwargs, self.upstream)
        self.pr = from_mapping(ReciprocityConfig, options, where=type(self).__name__)
        checks.flags(shared_replay=shared_replay, fast=fast, guards=guards, own_critics=own_critics)
        self.shared_replay = shared_replay
        self.observation_masks = observation_masks
        self.n_agents = n_agents or 1
        of_teams = stacked_teams.seeds_of(n_teams, seeds, kwargs.get("seed"))
        if of_teams is not None:
            self.n_teams, kwargs["seed"] = len(of_teams), of_teams[0]
            self.seeds = of_teams if self.n_teams > 1 else None
        stacked_teams.defaults_for(kwargs, self.upstream, self.n_teams)
        self.fast = fast
        self.guards = guards
        self.own_critics = own_critics
        self._leader = leader
        self._agent_episodes: list[deque[dict[str, float]]] = []
        setup = kwargs.pop("_init_setup_model", True)
        kwargs["policy_kwargs"] = dict(kwargs.get("policy_kwargs") or {})  # DDPG writes into it: not into the user's
        columns = make_columns(env, n_agents, self.n_teams)
        super().__init__(policy, columns, **kwargs, _init_setup_model=False)  # type: ignore[call-arg]
        if self.env is not None:
            self.n_agents = self.env.num_envs // self.n_teams
        if setup:
            advice.on_peers(self)
            self._setup_model()

    @staticmethod
    def _wrap_env(env: Any, verbose: int = 0, monitor_wrapper: bool = True) -> VecEnv:
        """SB3's hook, used by the constructor, ``set_env`` and ``load``: takes PettingZoo environments too."""
        env = with_agents_as_columns(env)
        check_action_space(env.action_space)
        return BaseAlgorithm._wrap_env(env, verbose, monitor_wrapper)

    def _setup_model(self) -> None:
        self._restore()
        # load(..., kappa=0.3) leaves its keyword arguments in __dict__: they are options of PR
        overrides = {name: self.__dict__.pop(name) for name in checks.PR_OPTIONS if name in self.__dict__}
        self._leader = self.__dict__.pop("leader", self._leader)
        previous, self.pr = self.pr, checks.replace(self.pr, overrides)
        if self.n_teams > 1:
            stacked_teams.check_env(self.env, self.n_teams)
        checks.columns(self, self.n_envs)
        checks.settings(self)
        stacked_teams.check(self)
        checks.snapshot_change(previous, self.pr)
        given, self.policy_kwargs = self.policy_kwargs, self._policy_kwargs()
        self._begin_streams()
        with self._own_streams():
            super()._setup_model()
        self.policy_kwargs = given
        if self.n_columns > 1:
            self._take_columns()
        returns.tell_policy(self)
        self.watch = Watch(self.n_columns, self.guards, self.n_teams)
        self.averaging = Consensus(self, new=not previous.consensus)

    def _policy_kwargs(self) -> dict[str, Any]:
        """The user's, with ``n_agents`` and masks for the policy to know; a lone agent needs none."""
        self.observation_masks = checks.masks(self.observation_masks, self.n_agents, self.observation_space)
        if self.n_columns > 1:
            self.policy_class = stacked_policy(self, self.policy_class)
        require_policy(self, self.policy_class)
        options = self.network_kwargs
        if self.n_columns > 1:
            options["n_agents"] = self.n_columns
        if self.observation_masks is not None:
            options["observation_masks"] = np.tile(self.observation_masks, (self.n_teams, 1))
        return options

    @property
    def network_kwargs(self) -> dict[str, Any]:
        """``policy_kwargs`` with as many critics as an agent really has."""
        given = dict(self.policy_kwargs)
        return ensemble.with_own_critics(given, self.n_agents) if self.own_critics else given

    def _create_aliases(self) -> None:
        super()._create_aliases()  # type: ignore[misc]
        if self.n_columns == 1:
            return  # no peers: SB3's own networks, and nothing of ours runs
        self._setup_reciprocity()
        self.peer_critics = snapshot_of(self.critic_target) if self.pr.sync_interval > 1 else None
        kind = ensemble.OwnCriticsTarget if self.own_critics else ReciprocalTarget
        target = kind(self.critic_target, self.reciprocity, self.observation_space, self._n_updates, self.peer_critics)
        self.critic_target = target
        self.critic = ActorObjective(self.critic, target, by_call=self.spec.objective == "critic")

    def _setup_reciprocity(self) -> None:
        """PR's own state: new, or what ``load`` brought with the options of now."""
        loaded: Reciprocity | None = getattr(self, "reciprocity", None)
        if loaded is None or (loaded.n_agents, loaded.team_size) != (self.n_columns, self.n_agents):
            self.reciprocity = (
                Reciprocity(self.pr, self.n_agents, self.seed, self.observation_masks)
                if self.seeds is None
                else Teams(self.pr, self.n_agents, self.seeds, self.observation_masks)
            )
        else:
            loaded.configure(self.pr)
            loaded.masks = self.observation_masks
        checks.gain(self.pr, self.gamma, self.reciprocity)

    def train(self, gradient_steps: int, batch_size: int = 100) -> None:
        """SB3's update, of all agents at once; ``batch_size`` is per agent."""
        self.watch.attach(self)
        self.averaging.attach(self)
        target = self.critic_target
        counting = target.counting(self._n_updates) if self.n_columns > 1 else nullcontext()
        with fast_matmul(self.fast and self.n_columns > 1), counting, self._own_streams():
            super().train(gradient_steps, batch_size)
        values = record_reciprocity(self.logger, self.reciprocity) if self.n_columns > 1 else None
        self.watch.after_updates(self, values)

    def collect_rollouts(self, *args: Any, **kwargs: Any) -> RolloutReturn:
        """SB3's; with ``gradient_steps=-1`` every *agent* then gets as many updates as it took steps."""
        rollout = super().collect_rollouts(*args, **kwargs)
        return rollout._replace(episode_timesteps=rollout.episode_timesteps // self.n_columns)

    def _store_transition(
        self, replay_buffer: ReplayBuffer, buffer_action: Any, new_obs: Any, reward: Any, dones: Any, infos: Any
    ) -> None:
        """SB3's, after a look at what the environment returned: a NaN in the buffer would poison all later updates."""
        if self.guards:
            buffer_action, new_obs, reward = self._look_at(buffer_action, new_obs, reward, dones, infos)
            self.watch.alarm.see(reward)
        if self.n_columns > 1:
            returns.see_step(self, reward, dones, infos)
        super()._store_transition(replay_buffer, buffer_action, new_obs, reward, dones, infos)

    def _setup_learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        reset_num_timesteps: bool = True,
        tb_log_name: str = "run",
        progress_bar: bool = False,
    ) -> Any:
        new_episodes = reset_num_timesteps or self._last_obs is None
        result = super()._setup_learn(total_timesteps, callback, reset_num_timesteps, tb_log_name, progress_bar)
        unfit.every_noise(self)
        returns.begin(self, new_episodes, reset_num_timesteps)
        refuse_training_env(self, result[1])
        self.watch.attach(self)
        if self.guards:
            self._look_at_first()
        continue_learning(self)
        return result

    def _update_info_buffer(self, infos: list[dict[str, Any]], dones: np.ndarray | None = None) -> None:
        infos = ending.forgotten(self, returns.only_present(infos))
        super()._update_info_buffer(infos, dones)
        if self.n_columns > 1:
            returns.see_infos(self, infos)

    def dump_logs(self) -> None:
        """SB3's logs (means over agents), and the same for each agent."""
        self.logger.record("time/timesteps_per_agent", self.num_timesteps // self.n_columns, exclude="tensorboard")
        if self.n_columns > 1:
            record_episodes(self.logger, self._agent_episodes, self.n_teams)
        if self.n_agents > 1 and self.n_teams == 1:
            self.logger.record("rollout/leader", self.leader)
        super().dump_logs()

    @property
    def kappa(self) -> float:
        """Weight of the peers, eq. 12; may be set while training (an annealing callback, say)."""
        return self.pr.kappa

    @kappa.setter
    def kappa(self, kappa: float) -> None:
        changed = checks.replace(self.pr, {"kappa": kappa})
        if self.n_columns > 1:
            checks.gain(changed, self.gamma, self.reciprocity)
            self.reciprocity.configure(changed)
        self.pr = changed
