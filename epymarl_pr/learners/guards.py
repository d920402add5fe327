"""A NaN ends the run in the update in which it comes, before it reaches a parameter; an alarm for diverging values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch as th

from epymarl_pr.launch.errors import refused
from epymarl_pr.learners.shadow import EpisodeBatch
from marl_pr_common.reciprocity.guards import ValueAlarm, all_finite

_ADVICE = "What was saved before is unharmed."


class Guards:
    """Finite checks and the alarm of one learner.

    :param learner: one of EPyMARL's learners; its optimisers are watched from now on
    """

    def __init__(self, learner: Any):
        self.alarm = ValueAlarm()
        self.learner = learner
        for name, value in vars(learner).items():
            if isinstance(value, th.optim.Optimizer):
                value.register_step_pre_hook(self._check_gradients(name))

    def check_batch(self, batch: EpisodeBatch, t_env: int) -> None:
        """Before the update: what the environments returned.

        :raises Exception: naming the agent, the quantity and the step, as sacred prints it without a stack trace
        """
        for key in ("reward", "state", "obs"):
            if not all_finite([batch[key]]):
                place = _place(batch[key])
                text = f"non-finite {key} {place} at step {t_env}. No network was updated. {_ADVICE}"
                raise refused(f"{text} Check the environment.")
        self._check_neighbours(int(batch["filled"].sum()))
        self.alarm.see(self._rewards(batch).cpu().numpy())

    def _check_neighbours(self, n_rows: int) -> None:
        config = self.learner.reciprocity.config
        if self.learner.reciprocity.active and config.adjacency == "neighbours" and config.n_adjacent >= n_rows - 1:
            raise refused(
                f"pr_n_adjacent={config.n_adjacent} with pr_adjacency=neighbours, but a batch has {n_rows} steps. Use "
                "fewer adjacent states, or a larger batch_size."
            )

    def check_values(self, own: np.ndarray) -> None:
        """Warn if values are beyond what the rewards allow. Utilities below a mixer have no unit to compare.

        :param own: mean value of each agent, (n_agents,)
        """
        if getattr(self.learner, "mixer", None) is None:
            self.alarm.check(own, self.learner.args.gamma, self.learner.pr_updates)

    def state_dict(self) -> dict[str, Any]:
        """What the alarm knows, for a checkpoint."""
        return self.alarm.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""
        self.alarm.load_state_dict(state)

    def _check_gradients(self, name: str) -> Callable[..., None]:
        def check(optimiser: th.optim.Optimizer, *_: Any) -> None:
            found = [p.grad for group in optimiser.param_groups for p in group["params"] if p.grad is not None]
            if found and not th.isfinite(th.nn.utils.get_total_norm(found)):
                broken = sorted(self.learner.reciprocity.broken_peers)
                known = f" The values of agent(s) {broken} are not finite." if broken else ""
                text = f"non-finite gradient in {name}, update {self.learner.pr_updates}: its step was not made."
                raise refused(f"{text}{known} {_ADVICE} A smaller lr or grad_norm_clip may help.")

        return check

    def _rewards(self, batch: EpisodeBatch) -> th.Tensor:
        """In the units that the critics learn."""
        rewards: th.Tensor = batch["reward"]
        if not self.learner.args.standardise_rewards:
            return rewards
        moments = self.learner.rew_ms
        standardised: th.Tensor = (rewards - moments.mean) / moments.var.sqrt()
        return standardised


def _place(values: th.Tensor) -> str:
    """Where the first NaN or infinity of (batch, time, ...) is."""
    episode, t, *rest = (int(index) for index in (~th.isfinite(values)).nonzero()[0])
    where = f"in episode {episode} of the batch, t={t}"
    value = float(values[(episode, t, *rest)])
    if values.ndim == 4:
        return f"of agent {rest[0]}, coordinate {rest[1]}, {where}: {value}"
    if values.shape[-1] == 1:
        return f"of the team, {where}: {value}"
    return f"{where}, entry {rest[0]}: {value}"
