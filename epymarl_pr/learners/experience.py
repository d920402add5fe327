"""Shared experience, a control: every network is regressed on what all agents lived through, as in SEAC (2006.07169).

The host's ``train`` gets the batch once for each shift k, in which the agent in place j lived through what agent
``(j - k) % n_agents`` did: its observations, actions, availability and, where each agent has its own, reward. What
belongs to the team stays as it is.
"""

from __future__ import annotations

import torch as th

from epymarl_pr.learners.shadow import EpisodeBatch, shadow


def everyones(batch: EpisodeBatch, n_agents: int) -> EpisodeBatch:
    """``n_agents * batch_size`` episodes, the batch itself first."""

    def turned(key: str, value: th.Tensor) -> th.Tensor:
        own = batch.scheme[key].get("group") == "agents" or (key == "reward" and value.shape[2] == n_agents)
        return th.cat([value.roll(shift, dims=2) if own else value for shift in range(n_agents)])

    data = {key: turned(key, value) for key, value in batch.data.transition_data.items()}
    return shadow(batch, n_agents * batch.batch_size, batch.max_seq_length, **data)
