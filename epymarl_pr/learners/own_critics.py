"""The control "as many own critics": is it the peers' knowledge that helps, or an ensemble's averaging?

Every agent has n_agents - 1 further critics of its own, which stand where the peers stand in eq. 12. Each belongs to
one more of EPyMARL's ``MADDPGLearner``, whose own ``train`` trains it: on the same batch, loss and target as the first,
with an optimiser of its own. They differ by their first weights alone, as the members of an ensemble do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch as th
from learners.maddpg_learner import MADDPGLearner

from epymarl_pr.learners.action_critics import ReciprocalActionCritic
from epymarl_pr.learners.shadow import EpisodeBatch, filled_rows, replace_rows, rows
from epymarl_pr.resume.state import parts
from marl_pr_common.reciprocity.stand_in import Delegate


class ActorsTurn(Exception):
    """The host's ``train`` has trained its critic and turns to the actor."""


class CriticsOnly(Delegate):
    """Stands in for ``mac`` in a learner that has only a critic to train.

    The host resets its live controller once in ``train``: when it turns to the actor. There it ends.
    """

    def init_hidden(self, batch_size: int) -> None:
        """:raises ActorsTurn: always"""
        raise ActorsTurn


class SameTarget(Delegate):
    """Stands in for ``target_critic`` of a further learner: it answers with the ensemble's value, as the first does."""

    def __init__(self, critic: Any, ensemble: Callable[[th.Tensor, th.Tensor], th.Tensor]):
        super().__init__(critic)
        self.ensemble = ensemble

    def __call__(self, inputs: th.Tensor, actions: th.Tensor) -> th.Tensor:
        """(batch, time, n_agents, 1)."""
        return self.ensemble(inputs, actions)


class OthersOfTheOwn:
    """The further learners, each for one more critic of every agent.

    :param make: makes one of the host's learners
    :param number: how many
    """

    def __init__(self, make: Callable[[], MADDPGLearner], number: int):
        self.learners = [make() for _ in range(number)]
        self.targets = [learner.target_critic for learner in self.learners]
        for learner in self.learners:
            learner.mac = CriticsOnly(learner.mac)

    def follow(self, ensemble: Callable[[th.Tensor, th.Tensor], th.Tensor]) -> None:
        """Let all regress on the same value."""
        for learner, target in zip(self.learners, self.targets, strict=True):
            learner.target_critic = SameTarget(target, ensemble)

    def train(self, batch: EpisodeBatch, t_env: int, episode_num: int) -> None:
        """The host's ``train`` of each, up to where it turns to the actor."""
        for learner in self.learners:
            try:
                learner.train(batch, t_env, episode_num)
            except ActorsTurn:
                continue
            raise RuntimeError("MADDPGLearner.train did not reset its controller before the actor's part")

    def each(self, method: str, *arguments: Any) -> None:
        """Call a method of every learner, for what the host does with its networks."""
        for learner in self.learners:
            getattr(learner, method)(*arguments)

    def parameters(self) -> Iterator[th.nn.Parameter]:
        """Of all target critics."""
        for target in self.targets:
            yield from target.parameters()

    def state_dict(self) -> dict[str, Any]:
        """Critics, targets, optimisers and running statistics, for a complete checkpoint."""
        return {
            str(index): {name: save() for name, save, _ in parts(learner)}
            for index, learner in enumerate(self.learners)
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""
        for index, learner in enumerate(self.learners):
            for name, _, load in parts(learner):
                load(state[str(index)][name])


class OwnCritics(ReciprocalActionCritic):
    """Stands in for ``target_critic``: the mixture of an agent's own critics, all at s itself."""

    def __call__(self, inputs: th.Tensor, actions: th.Tensor) -> th.Tensor:
        """(batch, time, n_agents, 1); the host's own tensor where reciprocity is off."""
        own = self.wrapped(inputs, actions)
        if not self.reciprocity.active:
            return own  # type: ignore[no-any-return]
        with th.no_grad():
            index = filled_rows(own.new_ones(own.shape[:2]) if self.filled is None else self.filled)
            return self.mix(own, inputs, actions, index)

    def mix(
        self, own: th.Tensor, inputs: th.Tensor, actions: th.Tensor, index: th.Tensor, record: bool = True
    ) -> th.Tensor:
        """The ensemble's value; differentiable in ``actions``."""
        values = rows(own, index).permute(2, 0, 1)
        others = [rows(target(inputs, actions), index).permute(2, 0, 1) for target in self.peers.targets]
        return replace_rows(own, index, self.reciprocity.ensemble_value(values, th.stack(others)))
