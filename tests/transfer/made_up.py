"""Made-up options: a learner whose weights matter, and transitions of a team."""

from __future__ import annotations

from typing import Any

import torch as th

from marl_pr_common.transfer.config import MAPTFConfig
from marl_pr_common.transfer.losses import option_labels
from marl_pr_common.transfer.option_learner import OptionLearner
from marl_pr_common.transfer.replay import Transitions

GAMMA = 0.9


def rows(n: int, n_agents: int = 2, obs_dim: int = 3, seed: int = 0) -> Transitions:
    """``n`` made-up steps of a team, the agents of a step side by side."""
    rng = th.Generator().manual_seed(seed)
    k = n * n_agents
    option = th.randint(n_agents, (k,), generator=rng)
    return Transitions(
        obs=th.randn(k, obs_dim, generator=rng),
        next_obs=th.randn(k, obs_dim, generator=rng),
        reward=th.randn(k, generator=rng),
        done=(th.rand(k, generator=rng) < 0.3).float(),
        option=option,
        labels=option_labels(option, option, option[:, None].expand(-1, n_agents)),
        agent=th.arange(n_agents).repeat(n),
    )


def learner(n_agents: int = 2, obs_dim: int = 3, std: float = 0.5, **options: Any) -> OptionLearner:
    """A learner whose weights are large enough to matter."""
    made = OptionLearner(obs_dim, n_agents, GAMMA, MAPTFConfig(**options), [1, 2])
    generator = th.Generator().manual_seed(3)
    for parameter in made.network.parameters():
        parameter.data.normal_(0, std, generator=generator)
    made.target.load_state_dict(made.network.state_dict())
    return made
