"""The control "as many own critics": is it the peers' knowledge that helps, or an ensemble's averaging?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch as th
from stable_baselines3.common.type_aliases import PyTorchObs

from marl_pr_common.reciprocity import ReciprocityConfig
from sb3_pr.target import ReciprocalTarget

N_CRITICS = "n_critics"
CRITICS = 2
"""SB3's default; its DDPG writes 1 into ``policy_kwargs``."""


class OwnCriticsTarget(ReciprocalTarget):
    """``critic_target`` of agents that have n_agents sets of critics each, and mix their own sets.

    The first set is the agent's value Z_i; the others stand where the peers stand in eq. 12. All sets regress on the
    same target and differ by their first weights alone, as the members of an ensemble do.
    """

    def __call__(self, obs: PyTorchObs, actions: th.Tensor) -> tuple[th.Tensor, ...]:
        """A tuple of (n_agents * batch, 1), as SB3's critic gives."""
        self.n_updates += self._counts
        n_sets = self.reciprocity.team_size
        values = th.stack(self.wrapped(obs, actions))
        # (sets, n_critics, n_agents, batch)
        sets = values.view(n_sets, len(values) // n_sets, self.reciprocity.n_agents, -1)
        own, others = sets[0], sets[1:]
        if self.reciprocity.active:
            own = self.reciprocity.ensemble_value(own, others)
        else:
            self.reciprocity.record_own(own)
        return tuple(critic.reshape(-1, 1) for critic in own)

    def own_critics(self, values: tuple[th.Tensor, ...]) -> tuple[th.Tensor, ...]:
        return values[: len(values) // self.reciprocity.team_size]


def with_own_critics(policy_kwargs: Mapping[str, Any], n_agents: int) -> dict[str, Any]:
    """SB3's ``policy_kwargs`` with ``n_agents`` sets of critics for every agent."""
    return {**policy_kwargs, N_CRITICS: policy_kwargs.get(N_CRITICS, CRITICS) * n_agents}


def check(config: ReciprocityConfig, n_agents: int) -> None:
    """The control has no peers, so that what concerns peers and adjacent states has no meaning in it.

    :raises ValueError: for one agent, or an option of PR that they can't follow
    """
    if n_agents == 1:
        raise ValueError("own_critics=True with n_agents=1: a group of N gets N - 1 further critics each. Give N > 1.")
    plain_options = {"adjacency": "same", "peers": "complete", "sync_interval": 1, "in_actor": False}
    plain_options |= {"trust": "uniform", "consensus": 0}
    for name, plain in plain_options.items():
        value = getattr(config, name)
        if value != plain:
            raise ValueError(f"own_critics=True with {name}={value!r}: an agent's own critics need {name}={plain!r}.")
    if config.estimator == "one_voice":
        raise ValueError(
            'own_critics=True with estimator="one_voice": an agent\'s own critics are all asked at once, and their '
            'mean costs nothing more. Use estimator="full".'
        )
