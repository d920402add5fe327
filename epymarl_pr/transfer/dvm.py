"""DVM over EPyMARL's MADDPG with separate networks: now and then all actors become one, and all critics.

phase 1   the host's train, K episodes; the environment-value target is PR's
phase 2   M minibatches from the replay: the policies' student is asked by the host's own controller, in which every
          agent's network is the student; the critics' student reads what the host's critics read, in each agent's order
then      every agent gets them, targets too; optimisers begin anew; the replay stays
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch as th
from torch.func import functional_call

from epymarl_pr.launch.errors import UsageError, refused
from epymarl_pr.learners.maddpg import PRMADDPGLearner
from epymarl_pr.learners.policies import acted
from epymarl_pr.learners.shadow import EpisodeBatch, shadow
from epymarl_pr.transfer import table as transfer
from epymarl_pr.transfer.replay import TransferReplay, replay_of
from marl_pr_common.reciprocity.stand_in import Delegate
from marl_pr_common.transfer.config import DVMConfig
from marl_pr_common.transfer.distillation import Distillation, Minibatch, load_self_first, self_first
from marl_pr_common.transfer.losses import log_policy

STREAM = 2
"""Told apart from the run's other generators."""


class DVMLearner(PRMADDPGLearner):
    """DVM, with or without reciprocity; constructor and methods are the host's."""

    def __init__(self, mac: Any, scheme: Any, logger: Any, args: Any):
        super().__init__(mac, scheme, logger, args)
        try:
            transfer.check_learner(vars(args), "dvm")
            config = transfer.parse(vars(args), "dvm")
        except UsageError as error:
            raise refused(str(error)) from error
        assert isinstance(config, DVMConfig)
        self.pr_replay: TransferReplay = replay_of(scheme)
        self.pr_distilled_at = 0  # episodes
        actor, critic = copy.deepcopy(mac.agent.agents[0]), copy.deepcopy(self._critic.critics[0])
        self.pr_dvm = Distillation(actor, critic, config, args.lr, [STREAM, self.pr_seed])

    @property
    def _critic(self) -> Any:
        return self.critic.wrapped if isinstance(self.critic, Delegate) else self.critic

    def train(self, batch: EpisodeBatch, t_env: int, episode_num: int) -> None:
        """The host's ``train``; a distillation after every ``dvm_episodes`` episodes."""
        super().train(batch, t_env, episode_num)
        played = episode_num + self.args.batch_size_run
        if played - self.pr_distilled_at >= self.pr_dvm.config.episodes:
            self.pr_distilled_at = played
            found = self.distil()
            for name, value in {**found, "distillations": self.pr_dvm.rounds}.items():
                self.logger.log_stat(f"dvm_{name}", value, t_env)

    def distil(self) -> dict[str, float]:
        """Phase 2, and what comes of it goes to every agent.

        :return: losses at its beginning and at its end
        """
        source = Source(self, self.pr_replay)
        found = self.pr_dvm.run(source.draw)
        networks = [*self.pr_dvm.actor.parameters(), *self.pr_dvm.critic.parameters()]
        if not all(bool(th.isfinite(parameter).all()) for parameter in networks):
            raise refused("DVM's distillation gave networks that are not finite; the agents keep theirs.")
        for mac in (self.mac, self.target_mac):
            for agent in mac.agent.agents:
                agent.load_state_dict(self.pr_dvm.actor.state_dict())
        for owner in (self._critic, self.target_critic, self.pr_peers):
            for critic, columns in zip(owner.critics, source.columns, strict=True):
                load_self_first(critic, self.pr_dvm.critic, columns)
        for optimiser in (self.agent_optimiser, self.critic_optimiser):
            optimiser.state.clear()
        return found

    def cuda(self) -> None:
        """The host's networks and the students."""
        super().cuda()
        self.pr_dvm.cuda()


class Source:
    """Minibatches for one distillation.

    :param learner: whose agents are the teachers
    """

    def __init__(self, learner: DVMLearner, replay: TransferReplay):
        self.learner, self.replay = learner, replay
        self.batch = replay[: replay.episodes_in_buffer]
        self.index = acted(self.batch)
        self.columns = [self_first(i, learner.n_agents, self.blocks()) for i in range(learner.n_agents)]
        self.student_mac = copy.copy(learner.mac)
        self.student_mac.agent = copy.copy(learner.mac.agent)
        # not one pass for all: activations of a thousand rows stay in the cache
        self.student_mac.agent._modules = {"agents": th.nn.ModuleList([learner.pr_dvm.actor] * learner.n_agents)}
        self.student_critics = [SelfFirst(learner.pr_dvm.critic, columns) for columns in self.columns]
        self.said = self.everything_said()

    def blocks(self) -> list[tuple[int, bool]]:
        """The parts of a critic's input, and which of them have a block for each agent: the joint action always, the
        state where it is what all agents see, one after the other."""
        args, batch = self.learner.args, self.batch
        seen, state = (batch[key].flatten(0, 1).flatten(1) for key in ("obs", "state"))
        rows = self.index.split(self.learner.pr_dvm.config.batch_size)
        joint = state.shape == seen.shape and all(th.equal(state[index], seen[index]) for index in rows)
        own = [(batch["obs"].shape[-1], False)] if args.obs_individual_obs else []
        last = [(args.n_actions, False)] if args.obs_last_action else []
        return [(batch["state"].shape[-1], joint), *own, *last, (args.n_actions * args.n_agents, True)]

    def draw(self, rng: np.random.Generator) -> Minibatch:
        """Steps drawn uniformly from the replay, valued by teachers and students."""
        chosen = th.from_numpy(rng.integers(len(self.index), size=self.learner.pr_dvm.config.batch_size))
        steps = self.steps(self.index[chosen])
        if self.said is None:
            teachers, values = self.teachers(steps)
        else:
            chosen = chosen.to(steps.device)
            teachers, values = self.said[0][:, chosen], self.said[1][:, chosen]
        return Minibatch(teachers, self.policies(steps, self.student_mac), values, self.student_values(steps))

    def everything_said(self) -> tuple[th.Tensor, th.Tensor] | None:
        """The teachers do not change during a distillation, so that one answer about a step is enough. By default each
        step is drawn 16 times and more; where steps outnumber the draws, they are asked as they are drawn."""
        config = self.learner.pr_dvm.config
        if len(self.index) > config.minibatches * config.batch_size:
            return None
        parts = [self.teachers(self.steps(index)) for index in self.index.split(config.batch_size)]
        policies, values = zip(*parts, strict=True)
        return th.cat(policies, 1), th.cat(values, 1)

    @th.no_grad()
    def teachers(self, steps: EpisodeBatch) -> tuple[th.Tensor, th.Tensor]:
        """What the agents say; shapes as of :meth:`policies` and :meth:`student_values`."""
        learner = self.learner
        policies = self.policies(steps, learner.mac, learner.pr_dvm.config.temperature)
        actions = steps["joint"][:, None, None].expand(-1, 1, learner.n_agents, -1)
        return policies, learner._critic(learner._build_inputs(steps, 1), actions)[:, 0, :, 0].T

    def policies(self, steps: EpisodeBatch, mac: Any, temperature: float = 1.0) -> th.Tensor:
        """Log-probabilities, (n_agents, rows, n_actions)."""
        mac.init_hidden(steps.batch_size)
        scores = mac.forward(steps, 1).transpose(0, 1) / temperature
        return log_policy(scores, steps["avail_actions"][:, 1].transpose(0, 1))

    def student_values(self, steps: EpisodeBatch) -> th.Tensor:
        """Values of what was done in ``steps``, (n_agents, rows).

        The host's critic makes a copy of the state and the joint action for every agent; here one does for all.
        """
        args, joint = self.learner.args, steps["joint"]
        if args.obs_individual_obs or args.obs_last_action:
            inputs = self.learner._build_inputs(steps, 1)[:, 0]
            read = th.cat((inputs, joint[:, None].expand(-1, self.learner.n_agents, -1)), -1).unbind(1)
        else:
            read = (th.cat((steps["state"][:, 1], joint), -1),) * self.learner.n_agents
        return th.stack([critic(x)[:, 0] for critic, x in zip(self.student_critics, read, strict=True)])

    def steps(self, index: th.Tensor) -> EpisodeBatch:
        """Single steps as episodes of two, of which the second is meant: there the host finds the last action in the
        first one."""
        device, actions = self.learner.args.device, self.batch["actions_onehot"].flatten(0, 1)
        begun = index % self.batch.max_seq_length == 0
        before = actions[(index - 1).clamp_min(0)].masked_fill(begun[:, None, None], 0)

        def twice(values: th.Tensor) -> th.Tensor:
            found = values.to(device)
            return found[:, None].expand(-1, 2, *found.shape[1:])

        data = {key: twice(self.batch[key].flatten(0, 1)[index]) for key in ("obs", "state", "avail_actions")}
        joint = actions[index].to(device).flatten(1).float()
        made = shadow(self.batch, len(index), 2, **data, actions_onehot=twice(before), joint=joint)
        made.device = device
        return made


class SelfFirst:
    """A student as one agent's critic: it reads P_i x.

    A hundred thousand numbers of x stay where they are: the columns of the first layer are put in x's order instead.
    """

    def __init__(self, student: th.nn.Module, columns: th.Tensor):
        self.student, self.order = student, columns.argsort()
        layers = (name for name, layer in student.named_modules() if isinstance(layer, th.nn.Linear))
        self.first = f"{next(layers)}.weight"

    def __call__(self, inputs: th.Tensor) -> th.Tensor:
        """(rows, 1)."""
        weight = self.student.get_parameter(self.first)
        permuted = {self.first: weight[:, self.order.to(weight.device)]}
        found: th.Tensor = functional_call(self.student, permuted, (inputs,))
        return found
