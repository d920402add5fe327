"""Tabular IQL and IQL+PR, batched over agents and over seeds (Algorithm 1 of arXiv 2304.05632).

every step, for all agents at once:
    act epsilon-greedily on Q (faithful) or on Q_hat (decision)
    Q_star from the tables of the peers, eq. 4 and 6                       every ``refresh`` steps
    faithful: Q += alpha (r + gamma max Q(s') - Q) + beta (Q_star - Q)     eq. 5
    decision: Q += alpha (r + gamma max Q_hat(s') - Q),  Q_hat = (1 - w) Q + w Q_star,  w = m_b / (m_b + n)
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from marl_pr_common.envs.jit import HAS_NUMBA
from marl_pr_common.tabular import kernels, vectorised
from marl_pr_common.tabular.config import TabularConfig
from marl_pr_common.tabular.reciprocity import Reciprocity
from marl_pr_common.tabular.resume import copy_arrays
from marl_pr_common.tabular.schedules import Constant, check_steps, pull_schedule, theory_messages, warn_theory
from marl_pr_common.tabular.structs import NEAR_SUM, NEAR_WEIGHT, SUM, TOTAL, WEIGHT, Links, Rules, Tables

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Backend = Literal["auto", "numba", "numpy"]


class TabularPR:
    """N agents with tables, in ``n_seeds`` independent copies.

    IQL is the special case ``TabularConfig(mode="faithful", beta=Constant(0))``; one table for all agents of a class
    (parameter sharing) is ``share=True``. Options and their meaning: ``TabularConfig``.

    :param reciprocity: who shares what with whom
    :param n_actions: number of actions, the same for all agents
    :param config: how to learn
    :param gamma: discount, in [0, 1)
    :param n_seeds: number of independent copies B
    :param backend: "numba" (compiled, needs the extra ``fast``), "numpy", or "auto": compiled where possible
    :raises ValueError: for a discount outside [0, 1), no action, or step sizes that make eq. 5 non-convex
    :raises ImportError: if backend "numba" is asked for without numba
    """

    def __init__(
        self,
        reciprocity: Reciprocity,
        n_actions: int,
        config: TabularConfig | None = None,
        gamma: float = 0.99,
        n_seeds: int = 1,
        backend: Backend = "auto",
    ) -> None:
        config = config or TabularConfig()
        if not 0.0 <= gamma < 1.0:
            raise ValueError(f"gamma={gamma}: expected a discount in [0, 1).")
        if n_actions < 1 or n_seeds < 1:
            raise ValueError(f"n_actions={n_actions}, n_seeds={n_seeds}: expected numbers >= 1.")
        if backend == "numba" and not HAS_NUMBA:
            raise ImportError('backend="numba" needs numba. Install it with: pip install "marl-pr[fast]"')
        self.reciprocity, self.config, self.n_actions, self.n_seeds = reciprocity, config, n_actions, n_seeds
        self.n_agents = reciprocity.n_agents
        self.compiled = HAS_NUMBA if backend == "auto" else backend == "numba"
        faithful = config.mode == "faithful"
        beta = config.beta if faithful else Constant(0.0)
        check_steps(config.alpha, beta)
        if faithful:
            warn_theory(theory_messages(config.alpha, beta, config.kappa, reciprocity.lambda_2))
        self.links = _links(reciprocity, config.share)
        self.rules = Rules(
            decision=not faithful,
            star=faithful and beta.c > 0,
            complete=reciprocity.complete,
            pushed=not faithful and reciprocity.complete,
            by_count=reciprocity.weighting == "count",
            gamma=gamma,
            trust=-1.0 if config.trust is None else float(config.trust),
            alpha=config.alpha.code,
            beta=beta.code,
            pull=pull_schedule(config.kappa).code,
        )
        self.tables = _tables(reciprocity, self.links, self.rules, n_actions, n_seeds, config.q_init)
        """All arrays with a leading seed axis, (n_seeds, ...)."""
        self.frozen = self.tables if config.refresh == 1 else _copy(self.tables)
        self.steps = 0
        """Environment steps per agent so far."""

    @property
    def q(self) -> Floats:
        """(n_seeds, n_agents, S, A): the agents' own values."""
        return np.asarray(self.tables.q[:, self.links.table])

    def q_star(self, seed: int = 0) -> Floats:
        """(n_agents, S, A): Q_star of eq. 6 with the current kappa, from the reference implementation."""
        n = self.tables.n[seed][self.links.table]
        pull = vectorised.schedule(self.rules.pull, n, self._class_visits(seed))
        return self.reciprocity.q_star(self.q[seed], pull, n, self.steps)

    def q_hat(self, seed: int = 0) -> Floats:
        """(n_agents, S, A): the values that are acted on."""
        own = np.asarray(self.q[seed])
        if not self.rules.decision:
            return own
        star = self.q_star(seed)
        if self.rules.trust < 0:
            return star
        trust = self.rules.trust / (self.rules.trust + self.tables.n[seed][self.links.table])
        return np.asarray(own + trust * (star - own))

    def act(self, states: Ints, epsilon: float, uniforms: Floats, active: Flags | None = None) -> Ints:
        """Epsilon-greedy actions, (n_seeds, n_agents).

        :param states: (n_seeds, n_agents) state indices
        :param epsilon: probability of a uniform action, in [0, 1)
        :param uniforms: (n_seeds, n_agents) numbers in [0, 1), one per agent: exploration and ties
        :param active: (n_seeds, n_agents): agents that act; the action of the others is 0
        """
        active = np.ones(states.shape, dtype=np.bool_) if active is None else active
        if not self.compiled:
            return vectorised.act(self.tables, self.links, self.rules, states, active, epsilon, uniforms, self.steps)
        actions = np.zeros(states.shape, dtype=np.int64)
        for b in range(self.n_seeds):
            kernels.act(
                self.seed_tables(b),
                self.links,
                self.rules,
                states[b],
                active[b],
                epsilon,
                uniforms[b],
                self.steps,
                actions[b],
            )
        return actions

    def update(
        self,
        states: Ints,
        actions: Ints,
        rewards: Floats,
        next_states: Ints,
        terminated: Flags,
        active: Flags | None = None,
    ) -> None:
        """Learn from one transition of every active agent; all arrays (n_seeds, n_agents).

        :param terminated: the episode ended for this agent, so nothing is bootstrapped; a time limit is not a
            termination
        """
        active = np.ones(states.shape, dtype=np.bool_) if active is None else active
        self.refresh()
        transition = (states, actions, rewards, next_states, terminated, active)
        if self.compiled:
            work = np.empty((2, self.n_agents))
            for b in range(self.n_seeds):
                tables, frozen = self.seed_tables(b), self.seed_tables(b, True)
                kernels.update(
                    tables, frozen, self.links, self.rules, states[b], actions[b], rewards[b], next_states[b],
                    terminated[b], active[b], self.steps, work,
                )  # fmt: skip
        else:
            vectorised.update(self.tables, self.frozen, self.links, self.rules, transition, self.steps)
        self.steps += 1

    def refresh(self) -> None:
        """Take the snapshot that Q_star is read from, every ``refresh`` steps (Algorithm 1, line 3)."""
        if self.frozen is not self.tables and self.steps % self.config.refresh == 0:
            self.frozen.q[:], self.frozen.n[:], self.frozen.pool[:] = self.tables

    def seed_tables(self, seed: int, frozen: bool = False) -> Tables:
        """Views of one seed's tables, or of their snapshot."""
        q, n, pool = self.frozen if frozen else self.tables
        return Tables(q[seed], n[seed], pool[seed])

    def state_dict(self) -> dict[str, Any]:
        """Tables, snapshot and steps, for a checkpoint."""
        frozen = None if self.frozen is self.tables else self.frozen._asdict()
        return {"tables": self.tables._asdict(), "frozen": frozen, "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict` of a learner that was constructed the same way.

        :raises CheckpointError: if its tables have other shapes
        """
        copy_arrays(self.tables._asdict(), state["tables"])
        if state["frozen"] is not None:
            copy_arrays(self.frozen._asdict(), state["frozen"])
        self.steps = state["steps"]

    def _class_visits(self, seed: int) -> Ints:
        visits = np.zeros(self.q.shape[1:], dtype=np.int64)
        for i in range(self.n_agents):
            rows = self.reciprocity.rows(i)
            visits[i, : rows.stop - rows.start] = self.tables.pool[seed, rows, :, TOTAL]
        return visits


def _copy(tables: Tables) -> Tables:
    return Tables(tables.q.copy(), tables.n.copy(), tables.pool.copy())


def _links(reciprocity: Reciprocity, share: bool) -> Links:
    a = reciprocity.adjacency
    t = a.T.tocsr()
    index = [array.astype(np.int64) for array in (a.indptr, a.indices, t.indptr, t.indices)]
    table = reciprocity.cls if share else np.arange(reciprocity.n_agents)
    return Links(
        table,
        reciprocity.cls,
        reciprocity.first,
        index[0],
        index[1],
        a.data,
        index[2],
        index[3],
        t.data,
        reciprocity.mix,
    )


def _tables(
    reciprocity: Reciprocity, links: Links, rules: Rules, n_actions: int, n_seeds: int, q_init: float
) -> Tables:
    shape = (n_seeds, int(links.table.max()) + 1, reciprocity.n_states, n_actions)
    members = np.repeat(np.bincount(reciprocity.cls), np.diff(reciprocity.first))
    pool = np.zeros((n_seeds, reciprocity.n_rows, n_actions, 5))
    if not rules.by_count:
        pool[..., WEIGHT] = members[:, None]
        pool[..., SUM] = members[:, None] * q_init
    if rules.pushed:
        pool[..., NEAR_SUM] = reciprocity.adjacency @ pool[0, ..., SUM]
        pool[..., NEAR_WEIGHT] = reciprocity.adjacency @ pool[0, ..., WEIGHT]
    return Tables(np.full(shape, float(q_init)), np.zeros(shape, dtype=np.int64), pool)
