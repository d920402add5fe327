"""The control "as many own critics": is it the peers' knowledge that helps, or an ensemble's averaging?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch as th
from stable_baselines3.common.type_aliases import PyTorchObs

from sb3_pr.target import ReciprocalTarget

N_CRITICS = "n_critics"
TD3_CRITICS = 2
"""SB3's default; its DDPG writes 1 into ``policy_kwargs``."""


class OwnCriticsTarget(ReciprocalTarget):
    """``critic_target`` of agents that have n_agents sets of critics each, and mix their own sets.

    The first set is the agent's value Z_i; the others stand where the peers stand in eq. 12. All sets regress on the
    same target and differ by their first weights alone, as the members of an ensemble do.
    """

    def __call__(self, obs: PyTorchObs, actions: th.Tensor) -> tuple[th.Tensor, ...]:
        """A tuple of (n_agents * batch, 1), as SB3's critic gives."""
        n = self.reciprocity.n_agents
        values = th.stack(self.wrapped(obs, actions))
        sets = values.view(n, len(values) // n, n, -1)  # (sets, n_critics, n_agents, batch)
        own, others = sets[0], sets[1:]
        if self.reciprocity.active:
            own = self.reciprocity.ensemble_value(own, others)
        else:
            self.reciprocity.record_own(own)
        return tuple(critic.reshape(-1, 1) for critic in own)


def with_own_critics(policy_kwargs: Mapping[str, Any], n_agents: int) -> dict[str, Any]:
    """SB3's ``policy_kwargs`` with ``n_agents`` sets of critics for every agent."""
    return {**policy_kwargs, N_CRITICS: policy_kwargs.get(N_CRITICS, TD3_CRITICS) * n_agents}
