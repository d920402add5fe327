"""To whom each agent listens, and how much: the graph N_i, trust by the peers' errors, and the rule for a batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch as th

from marl_pr_common.reciprocity.config import ReciprocityConfig
from marl_pr_common.reciprocity.peers import Matrix
from marl_pr_common.reciprocity.weights import RULES, TRUST, peer_matrix

DECAY = 0.99
"""Of the running TD errors, per update: they remember about 100."""


def rule_of(config: ReciprocityConfig) -> str:
    """The rule that option ``trust`` names; a kind of trust goes with the graph's own weights in every row."""
    return config.trust if config.trust in RULES else "uniform"


class Listening:
    """The weights w_ij of a group, and what they come from.

    :param config: the options
    :param n_agents: agents in the group
    :param rng: for random graphs
    """

    rule: str
    """How much each peer counts in each row: a name of :data:`marl_pr_common.reciprocity.weights.RULES`."""
    errors: Matrix | None = None
    """D_ij: running mean squared TD error of peer j's values on agent i's own data, (n_agents, n_agents), NaN where
    nothing is known, infinite where j's last values were not finite; None before any was observed."""
    _seen: Matrix | None = None
    """How much of a long run's weight the running means hold so far, (n_agents, n_agents); None is all of it."""
    _news = False

    def __init__(self, config: ReciprocityConfig, n_agents: int, rng: np.random.Generator):
        self.config = config
        self.n_agents = self.team_size = n_agents
        self.rng = rng
        self.rule = rule_of(config)
        self.peer_weights = peer_matrix(config, n_agents, rng)

    @property
    def active(self) -> bool:
        """Whether any agent's target differs from its own value."""
        return self.config.kappa > 0 and bool(self.peer_weights.any())

    @property
    def watches_errors(self) -> bool:
        """Whether the host is to call :meth:`observe_errors`."""
        return self._trusts and (self.active or self.averages)

    @property
    def _trusts(self) -> bool:
        return self.config.trust in TRUST and self.config.trust != "uniform"

    @property
    def averages(self) -> bool:
        """Whether the agents' parameters are drawn together."""
        return self.config.consensus > 0 and bool(self.peer_weights.any())

    @property
    def shifts(self) -> list[int]:
        """Distances k such that some agent i listens to agent (i + k) mod n_agents: at least one in active graphs."""
        agent, peer = np.nonzero(self.peer_weights)
        return sorted(set(((peer - agent) % self.n_agents).tolist()))

    @property
    def shifts_to_judge(self) -> list[int]:
        """The same for whose errors are to be known, the agent itself first: also of those who may be heard later."""
        found = range(self.n_agents) if self.config.peers == "random" else self.shifts
        return [0, *(k for k in found if k > 0)]

    @property
    def weights(self) -> Matrix:
        """W_ij, (n_agents, n_agents): what is left of the graph's weights with trust, and what the agent keeps."""
        unknown = np.full((self.n_agents, self.n_agents), np.nan)
        known = unknown if self.errors is None else self.errors
        if self.config.trust not in TRUST:  # a rule for every row
            return self.peer_weights
        return TRUST[self.config.trust](self.peer_weights, known, self.config.trust_power)

    def observe_errors(self, errors: np.ndarray | th.Tensor, updates: int = 1) -> None:
        """Take in how well the peers predict: D <- d D + (1 - d) errors with d = 0.99^updates, from 0, over the weight
        that came in so far. So the first errors, of networks that have learnt nothing, weigh no more than others.

        :param errors: (n_agents, n_agents), [i, j] = mean over some of agent i's own transitions of
            (Z_j(s, a) - y_i)^2; NaN where nobody was asked, which says nothing; infinite where the answer was not
            finite: so is D then, until an answer is
        :param updates: gradient steps since the last call
        :raises ValueError: for another shape, or errors < 0
        """
        new = np.asarray(errors.detach().cpu() if isinstance(errors, th.Tensor) else errors, dtype=np.float64)
        if new.shape != self.peer_weights.shape:
            raise ValueError(f"errors of shape {new.shape}: expected (n_agents, n_agents) = {self.peer_weights.shape}.")
        if (new < 0).any():
            raise ValueError(f"errors={new.tolist()}: expected squares, >= 0.")
        errors = np.full_like(new, np.nan) if self.errors is None else self.errors
        known, said, kept = np.isfinite(errors), ~np.isnan(new), DECAY**updates
        seen = np.where(known, 1.0 if self._seen is None else self._seen, 0.0)
        share = (1 - kept) / (kept * seen + 1 - kept)
        self.errors = np.where(said, share * new + (1 - share) * np.where(known, errors, 0.0), errors)
        self._seen = np.where(said, kept * seen + 1 - kept, seen)
        self._news = True

    def pop_trust(self) -> Matrix | None:
        """:attr:`weights` with trust, if errors were observed since the last call."""
        news, self._news = self._news, False
        return self.weights if news else None

    def _listening_state(self) -> dict[str, Any]:
        return {"peer_weights": self.peer_weights, "errors": self.errors, "errors_seen": self._seen}

    def _restore_listening(self, state: dict[str, Any]) -> None:
        self.peer_weights, self.errors = state["peer_weights"], state.get("errors")
        self._seen = state.get("errors_seen")

    def redraw_peers(self) -> None:
        """Draw new random neighbour sets, if ``peers="random"``; other graphs stay."""
        if self.config.peers == "random":
            self.peer_weights = peer_matrix(self.config, self.n_agents, self.rng)

    def configure(self, config: ReciprocityConfig) -> None:
        """Change the options; what has a state goes on, the graph is drawn anew only if its options changed."""
        graph = ("peers", "n_peers", "peer_matrix", "normalize")
        changed = any(getattr(config, name) != getattr(self.config, name) for name in graph)
        self.config, self.rule = config, rule_of(config)
        if changed:
            self.peer_weights = peer_matrix(config, self.n_agents, self.rng)

    def peers_and_itself(self) -> tuple[Matrix, Matrix | None]:
        """The weights of the peers (n_agents, n_agents), and what each agent keeps for its own value of s (n_agents,);
        None without trust. An agent that its graph makes a peer of its own keeps nothing beside that."""
        if not self._trusts:
            return self.peer_weights, None
        weights = self.weights
        kept = np.where(self.peer_weights.diagonal() > 0, 0.0, weights.diagonal())
        return weights - np.diag(kept), kept

    def _weights(
        self, own: th.Tensor | None, values: th.Tensor | None, states: th.Tensor, dtype: th.dtype
    ) -> tuple[th.Tensor, th.Tensor | None]:
        """w_j of this batch, see :data:`marl_pr_common.reciprocity.weights.Rule`, and what each agent keeps."""
        graph, kept = (
            None if part is None else th.as_tensor(part, dtype=dtype, device=states.device)
            for part in self.peers_and_itself()
        )
        assert graph is not None
        return (graph if own is None else RULES[self.rule](graph, own, values, states)), kept
