"""MAPTF over EPyMARL's MADDPG and PPO: options beside the actions, and a transfer loss in the actor's gradient.

the runner asks for actions   -> every agent's option is chosen too, and stored beside its action
an episode is over            -> its steps go to the options' learner
the host updates its actors   -> before `agent_optimiser.step()` the gradient of the transfer loss is added

The hook runs after the host has clipped its own gradient, so that c1 f(e) weighs the transfer loss whatever the host's
gradient was; the transfer loss's own is bounded, as that of a cross-entropy. The environment-value target is PR's.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Any

import torch as th

from epymarl_pr.launch import options
from epymarl_pr.launch.errors import UsageError, refused
from epymarl_pr.learners.maddpg import PRMADDPGLearner
from epymarl_pr.learners.on_policy import PRPPOLearner
from epymarl_pr.learners.policies import Policies, acted
from epymarl_pr.learners.shadow import EpisodeBatch, rows
from epymarl_pr.transfer import table as transfer
from epymarl_pr.transfer.replay import OPTIONS, replay_of
from marl_pr_common.reciprocity.guards import all_finite
from marl_pr_common.transfer.chooser import OptionChooser
from marl_pr_common.transfer.config import MAPTFConfig
from marl_pr_common.transfer.losses import option_labels, transfer_loss, transfer_weight
from marl_pr_common.transfer.option_learner import OptionLearner
from marl_pr_common.transfer.replay import Transitions

STREAM = 1
"""Told apart from the run's other generators."""


class MAPTF:
    """Mixin, put before one of the reciprocal learners. With ``maptf_options=self`` it does nothing at all."""

    args: Any
    mac: Any
    logger: Any
    log_stats_t: int
    agent_params: list[th.nn.Parameter]
    agent_optimiser: th.optim.Optimizer
    LOGITS: bool
    pr_seed: int

    def __init__(self, mac: Any, scheme: Any, logger: Any, args: Any):
        super().__init__(mac, scheme, logger, args)  # type: ignore[call-arg]
        try:
            transfer.check_learner(vars(args), "maptf")
            config = transfer.parse(vars(args), "maptf")
        except UsageError as error:
            raise refused(str(error)) from error
        assert isinstance(config, MAPTFConfig)
        self.pr_maptf = config
        self.pr_active = config.options == "all" and args.n_agents > 1
        self.pr_episode: EpisodeBatch | None = None
        if self.pr_active:
            self._set_up(scheme)

    def _set_up(self, scheme: Any) -> None:
        replay_of(scheme)  # is there a column for the options?
        n, seed, config = self.args.n_agents, [STREAM, self.pr_seed], self.pr_maptf
        self.pr_options_learner = OptionLearner(scheme["obs"]["vshape"], n, self.args.gamma, config, [*seed, 0])
        self.pr_chooser = OptionChooser(self.pr_options_learner.network, n, config, [*seed, 1])
        self.pr_policies = Policies(self.mac, self.LOGITS)
        self.pr_batch: tuple[EpisodeBatch, int] | None = None
        self.pr_advice: tuple[th.Tensor, th.Tensor, th.Tensor] | None = None
        self.pr_transfer_loss, self.pr_transfers = 0.0, 0  # since the last log
        # the host has copied its controller for targets: this one alone acts
        self.mac.select_actions = partial(self._act, self.mac.select_actions)
        self.agent_optimiser.register_step_pre_hook(self._add_transfer)

    def _act(self, select: Any, batch: EpisodeBatch, t_ep: int, *args: Any, **kwargs: Any) -> Any:
        """The host's actions; outside of tests every agent's option is chosen and stored beside them."""
        actions = select(batch, t_ep, *args, **kwargs)
        if not kwargs.get("test_mode", False):
            if t_ep == 0:
                self._observe()
                self.pr_episode = batch
                self.pr_chooser.begin(batch.batch_size)
            teams = kwargs.get("bs", slice(None))
            option = self.pr_chooser.choose(batch["obs"][teams, t_ep], teams)
            batch[OPTIONS][teams, t_ep, :, 0] = th.from_numpy(option).to(batch.device)
        return actions

    def _observe(self) -> None:
        """Give the options' learner the episodes that were just played."""
        batch, self.pr_episode = self.pr_episode, None
        if batch is None:
            return
        index = acted(batch)
        greedy = self.pr_policies.everyone(batch, index).argmax(-1)
        option, action = (rows(batch[key], index)[..., 0] for key in (OPTIONS, "actions"))
        n = len(option)
        reward = rows(batch["reward"].expand(-1, -1, n)[..., None], index)[..., 0]
        done = batch["terminated"].flatten()[index].float().expand(n, -1)
        columns = {
            "obs": rows(batch["obs"], index),
            "next_obs": rows(batch["obs"], index + 1),
            "reward": reward,
            "done": done,
            "option": option,
            "labels": option_labels(option, action, greedy),
            "agent": th.arange(n, device=index.device)[:, None].expand(-1, len(index)),
        }
        for name in ("obs", "next_obs", "reward"):
            _check_finite(name, columns[name], index, batch.max_seq_length)
        # the agents of a step side by side
        steps = Transitions(**{name: column.transpose(0, 1).flatten(0, 1).cpu() for name, column in columns.items()})
        try:
            self.pr_options_learner.observe(steps)
        except (RuntimeError, ValueError) as error:
            message = options.prefixed(str(error), asdict(self.pr_maptf), "maptf_")
            raise refused(f"MAPTF's options: {message}") from error

    def train(self, batch: EpisodeBatch, t_env: int, episode_num: int) -> None:
        """The host's ``train``; logs what the options do whenever the host logs."""
        if not self.pr_active:
            super().train(batch, t_env, episode_num)  # type: ignore[misc]
            return
        self._observe()
        self.pr_batch, self.pr_advice = (batch, episode_num), None
        logged = self.log_stats_t
        super().train(batch, t_env, episode_num)  # type: ignore[misc]
        self.pr_batch = self.pr_advice = None
        if self.log_stats_t != logged:
            found = {**self.pr_chooser.pop_statistics(), **self.pr_options_learner.pop_statistics()}
            found["transfer_weight"] = transfer_weight(episode_num, self.pr_maptf.c3)
            found["transfer_loss"] = self.pr_transfer_loss / max(self.pr_transfers, 1)
            self.pr_transfer_loss, self.pr_transfers = 0.0, 0
            for name, value in found.items():
                self.logger.log_stat(f"maptf_{name}", value, t_env)

    def transfer_loss(self, batch: EpisodeBatch) -> th.Tensor:
        """Mean CE(pi_w(.|o) || pi_i(.|o)) over agents and steps; the advisors as they were before this update."""
        if self.pr_advice is None:
            index = acted(batch)
            option = rows(batch[OPTIONS], index)[..., 0]
            others = option != th.arange(len(option), device=option.device)[:, None]
            self.pr_advice = index, others, self.pr_policies.of(batch, index, option)
        index, others, advisor = self.pr_advice
        return transfer_loss(self.pr_policies.own(batch, index), advisor, others)

    def _add_transfer(self, *_: Any) -> None:
        """Before the actors' step: add the gradient of c1 f(e) times the transfer loss."""
        if self.pr_batch is None:
            return
        batch, episode = self.pr_batch
        weight = self.pr_maptf.c1 * transfer_weight(episode, self.pr_maptf.c3)
        loss = self.transfer_loss(batch)
        self.pr_transfer_loss += float(loss.detach())
        self.pr_transfers += 1
        if weight == 0:
            return
        gradients = th.autograd.grad(weight * loss, self.agent_params, allow_unused=True)
        if not all_finite([gradient for gradient in gradients if gradient is not None]):
            raise refused("non-finite gradient of MAPTF's transfer loss: the actors' step was not made.")
        for parameter, gradient in zip(self.agent_params, gradients, strict=True):
            if gradient is not None:
                parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient

    def save_models(self, path: str) -> None:
        """The host's; what was played so far belongs to it."""
        self._observe()
        super().save_models(path)  # type: ignore[misc]

    def cuda(self) -> None:
        """The host's networks and the options'."""
        super().cuda()  # type: ignore[misc]
        if self.pr_active:
            self.pr_options_learner.cuda()


def _check_finite(name: str, values: th.Tensor, index: th.Tensor, length: int) -> None:
    """Refuse what would end in the options' networks: one message for the first value that is not finite.

    :param values: (n_agents, len(index), ...)
    :param index: rows of batch * time
    :param length: time steps of the batch
    """
    wrong = ~th.isfinite(values).flatten(2).all(-1) if values.ndim > 2 else ~th.isfinite(values)
    if wrong.any():
        agent, row = (int(k) for k in wrong.nonzero()[0])
        what = {"reward": "reward"}.get(name, "observation")
        step = int(index[row]) % length + (name == "next_obs")
        raise refused(
            f"{what} of agent {agent} at step {step} is not finite: MAPTF's options can't learn from it. "
            "Mend the environment, or the wrapper that scales its values."
        )


class MAPTFMADDPGLearner(MAPTF, PRMADDPGLearner):
    """MAPTF over MADDPG, with or without reciprocity; constructor and methods are the host's."""

    LOGITS = True


class MAPTFPPOLearner(MAPTF, PRPPOLearner):
    """MAPTF over PPO, with or without reciprocity; constructor and methods are the host's."""

    LOGITS = False
