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

from marl_pr_common.config.arrays import Flags, Floats, Ints
from marl_pr_common.envs.jit import HAS_NUMBA, Function, plain
from marl_pr_common.tabular import kernels
from marl_pr_common.tabular.build import copy_tables, links_of, pool_tried, tables_of
from marl_pr_common.tabular.config import TabularConfig
from marl_pr_common.tabular.inputs import Inputs
from marl_pr_common.tabular.reciprocity import Reciprocity
from marl_pr_common.tabular.resume import copy_arrays
from marl_pr_common.tabular.schedules import Constant, check_steps, pull_schedule, theory_messages, warn_theory
from marl_pr_common.tabular.structs import TOTAL, Rules, Tables

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
    :param backend: "numba" (compiled, needs the extra ``fast``), "numpy" (the same loops as plain Python over NumPy's
        arrays), or "auto": compiled where possible
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
        self.links = links_of(reciprocity, config.share)
        self.rules = Rules(
            decision=not faithful,
            star=faithful and beta.c > 0,
            complete=reciprocity.complete,
            pushed=not faithful and reciprocity.complete,
            by_count=reciprocity.weighting == "count",
            tried=False,
            gamma=gamma,
            trust=-1.0 if config.trust is None else max(float(config.trust), float(np.finfo(float).tiny)),
            alpha=config.alpha.code,
            beta=beta.code,
            pull=pull_schedule(config.kappa).code,
        )
        self.tables = tables_of(reciprocity, self.links, self.rules, n_actions, n_seeds, config.q_init)
        """All arrays with a leading seed axis, (n_seeds, ...)."""
        self.frozen = self.tables if config.refresh == 1 else copy_tables(self.tables)
        sizes = np.diff(reciprocity.first)[reciprocity.cls]
        self.inputs = Inputs(sizes, n_actions, n_seeds)
        self.steps = 0
        """Environment steps per agent so far."""

    @property
    def q(self) -> Floats:
        """(n_seeds, n_agents, S, A): the agents' own values."""
        return np.asarray(self.tables.q[:, self.links.table])

    def q_star(self, seed: int = 0) -> Floats:
        """(n_agents, S, A): Q_star of eq. 6 with the current kappa, from the reference implementation."""
        n = self.tables.n[seed][self.links.table]
        pull = pull_schedule(self.config.kappa)(n, self._class_visits(seed))
        return self.reciprocity.q_star(self.q[seed], pull, n, self.steps, self.rules.tried)

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

    def expect_masks(self) -> None:
        """From now on actions may be forbidden: with weighting "mean", tables with no visit of (s, a) take no part."""
        if not self.rules.tried and self.reciprocity.weighting == "mean":
            self.rules = self.rules._replace(tried=True)
            for tables in (self.tables, self.frozen):
                pool_tried(tables, self.reciprocity, self.links, self.rules.pushed)

    def act(
        self, states: Ints, epsilon: float, uniforms: Floats, active: Flags | None = None, masks: Flags | None = None
    ) -> Ints:
        """Epsilon-greedy actions, (n_seeds, n_agents).

        :param states: (n_seeds, n_agents) state indices
        :param epsilon: probability of a uniform action, in [0, 1)
        :param uniforms: (n_seeds, n_agents) numbers in [0, 1), one per agent: exploration and ties
        :param active: (n_seeds, n_agents): agents that act; the action of the others is 0
        :param masks: (n_seeds, n_agents, n_actions): allowed actions, at least one for each that acts; None: all
        :raises ValueError: if a state of an agent that acts is outside its table, or arrays have other shapes
        """
        asked = self.inputs.asked(states, active, masks, uniforms)
        actions, act = np.zeros(asked.states.shape, dtype=np.int64), self.kernel(kernels.act)
        for b in range(self.n_seeds):
            act(
                self.seed_tables(b), self.links, self.rules, asked.states[b], asked.active[b], asked.masks[b],
                epsilon, asked.uniforms[b], self.steps, actions[b],
            )  # fmt: skip
        return actions

    def update(
        self,
        states: Ints,
        actions: Ints,
        rewards: Floats,
        next_states: Ints,
        terminated: Flags,
        active: Flags | None = None,
        masks: Flags | None = None,
        discounts: Floats | None = None,
    ) -> None:
        """Learn from one transition of every active agent; all arrays (n_seeds, n_agents).

        :param terminated: the episode ended for this agent, so nothing is bootstrapped; a time limit is not a
            termination
        :param masks: (n_seeds, n_agents, n_actions): actions allowed in the next state; None: all
        :param discounts: of the next state; None: gamma. A power of it where a transition took several steps
        :raises ValueError: if a state or an action is outside its table, a reward is not finite, or shapes are others
        """
        if discounts is None:
            discounts = np.full(self.inputs.shape, self.rules.gamma)
        transition = self.inputs.transition(states, actions, rewards, next_states, terminated, active, masks, discounts)
        self.refresh()
        work, update = np.empty((2, self.n_agents)), self.kernel(kernels.update)
        for b in range(self.n_seeds):
            tables, frozen = self.seed_tables(b), self.seed_tables(b, True)
            s, a, r, following, ended, on, allowed, factors = (array[b] for array in transition)
            update(
                tables, frozen, self.links, self.rules, s, a, r, following, ended, on, allowed, factors,
                self.steps, work,
            )  # fmt: skip
        self.steps += 1

    def kernel(self, function: Function) -> Function:
        """A kernel as this learner runs it."""
        return function if self.compiled else plain(function)

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
        return {"tables": self.tables._asdict(), "frozen": frozen, "steps": self.steps, "tried": self.rules.tried}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict` of a learner that was constructed the same way.

        :raises CheckpointError: if its tables have other shapes
        """
        copy_arrays(self.tables._asdict(), state["tables"])
        if state["frozen"] is not None:
            copy_arrays(self.frozen._asdict(), state["frozen"])
        self.steps = state["steps"]
        self.rules = self.rules._replace(tried=state.get("tried", False))

    def _class_visits(self, seed: int) -> Ints:
        visits = np.zeros(self.q.shape[1:], dtype=np.int64)
        for i in range(self.n_agents):
            rows = self.reciprocity.rows(i)
            visits[i, : rows.stop - rows.start] = self.tables.pool[seed, rows, :, TOTAL]
        return visits
