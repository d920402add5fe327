"""Which option each agent follows (MAPTF, algorithm 1).

with probability beta of the step before, 1 at the first:  option <- greedy in Q_i with probability e_g, else any
beta <- beta_i(o_i, option)

An option changes what the actor learns, not what the agent does: actions stay the host's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch as th

from marl_pr_common.checkpoint.rng import generator_state, set_generator_state
from marl_pr_common.transfer.config import MAPTFConfig
from marl_pr_common.transfer.networks import OptionNetwork


class OptionChooser:
    """Options of a number of teams that act side by side.

    :param seed: of a generator of its own
    """

    def __init__(self, network: OptionNetwork, n_agents: int, config: MAPTFConfig, seed: list[int]):
        self.network, self.n_agents, self.config = network, n_agents, config
        self.rng = np.random.default_rng(seed)
        self.episodes = 0
        """Episodes that were begun."""
        self.counts = np.zeros((n_agents, n_agents))
        """How often agent i followed option w since :meth:`pop_statistics`."""
        self.ended = np.zeros(2)
        """Options that ended, and that could have: the first step of an episode does not count."""
        self._greedy = 0.0
        self._option = np.zeros((0, n_agents), int)
        self._ends = np.zeros((0, n_agents))

    def begin(self, n_teams: int) -> None:
        """New episodes: every agent selects an option."""
        self._greedy = min(self.config.greedy_max, self.config.greedy_step * self.episodes)
        self.episodes += n_teams
        self._option = np.full((n_teams, self.n_agents), -1)
        self._ends = np.ones((n_teams, self.n_agents))

    @th.no_grad()
    def choose(self, obs: th.Tensor, teams: Any = slice(None)) -> np.ndarray:
        """The options to follow now.

        :param obs: (n_teams, n_agents, obs_dim), of those ``teams`` that still play
        :return: (n_teams, n_agents), indices of agents
        """
        _, successor, beta = self.network(obs)
        agent = th.arange(self.n_agents, device=obs.device)
        values = self.network.values(successor)[:, agent, agent].cpu().numpy()
        beta = beta[:, agent, agent].cpu().numpy()
        draws = self.rng.random((2, *values.shape[:2]))
        anyone = self.rng.integers(self.n_agents, size=values.shape[:2])
        before, ends = self._option[teams], draws[0] < self._ends[teams]
        chosen = np.where(draws[1] < self._greedy, values.argmax(-1), anyone)
        option = np.where(ends, chosen, before)
        self._count(before, ends, option)
        self._option[teams] = option
        self._ends[teams] = np.take_along_axis(beta, option[..., None], -1)[..., 0]
        return option

    def _count(self, before: np.ndarray, ends: np.ndarray, option: np.ndarray) -> None:
        going_on = before >= 0
        self.ended += (ends & going_on).sum(), going_on.sum()
        np.add.at(self.counts, (np.broadcast_to(np.arange(self.n_agents), option.shape), option), 1)

    def pop_statistics(self) -> dict[str, float]:
        """Since the last call: shares of the options over all agents, of no transfer, and of options that ended."""
        total = max(self.counts.sum(), 1.0)
        found = {f"option_{w}": float(self.counts[:, w].sum() / total) for w in range(self.n_agents)}
        found["option_self"] = float(np.trace(self.counts) / total)
        found["termination_rate"] = float(self.ended[0] / max(self.ended[1], 1.0))
        self.counts[:], self.ended[:] = 0, 0
        return found

    def state_dict(self) -> dict[str, Any]:
        """Everything between two episodes, for a checkpoint."""
        own = {"episodes": self.episodes, "counts": self.counts.copy(), "ended": self.ended.copy()}
        return {**own, "rng": generator_state(self.rng)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""
        self.episodes = state["episodes"]
        self.counts, self.ended = state["counts"].copy(), state["ended"].copy()
        set_generator_state(self.rng, state["rng"])
