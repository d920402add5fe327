"""IQL+PR on one shared (s, a) trajectory: the setting of the theorems and of QD-learning (section III.C, Digital).

Every step draws an action uniformly, all agents receive their own reward for the same (s, a, s') and update by eq. 5.
Uniform behaviour visits every pair forever (Assumption 2) and is the same for every kappa, so that two runs with the
same
seed differ by kappa alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np

from marl_pr_common.checkpoint.rng import generator_state
from marl_pr_common.config.arrays import Floats, Ints
from marl_pr_common.envs.grids.mdp import FiniteMDP
from marl_pr_common.envs.jit import HAS_NUMBA
from marl_pr_common.tabular import digital_kernels as kernels
from marl_pr_common.tabular.reciprocity import Reciprocity
from marl_pr_common.tabular.resume import copy_arrays, restore_generators
from marl_pr_common.tabular.schedules import (
    Schedule,
    Step,
    check_steps,
    pull_schedule,
    theory_messages,
    warn_theory,
)


class DigitalRun:
    """N agents on one chain, in B independent seeds.

    :param mdp: the chain and every agent's mean reward
    :param reciprocity: adjacency spaces and peer graph; all agents must see the same states, weighting "mean"
    :param alpha: step size of local autonomy, eq. 8
    :param beta: step size of the reciprocity potential, eq. 8
    :param kappa: weight of the same-state term, a number or a schedule of 1 - kappa
    :param rngs: one generator per seed; two runs with equal generators see the same transitions and rewards
    :param refresh: E of Algorithm 1, steps between two snapshots for Q_star
    :param backend: "numba", "numpy" or "auto"
    :raises ValueError: if agents see different states, weighting is not "mean", or alpha_0 + beta_0 > 1

    Warns with ``TheoryWarning`` for every condition of Theorems 1 to 3 that the setting violates.
    """

    def __init__(
        self,
        mdp: FiniteMDP,
        reciprocity: Reciprocity,
        alpha: Step,
        beta: Step,
        kappa: float | Schedule,
        rngs: Sequence[np.random.Generator],
        refresh: int = 1,
        backend: Literal["auto", "numba", "numpy"] = "auto",
    ) -> None:
        if len(reciprocity.first) != 2 or reciprocity.weighting != "mean" or reciprocity.n_rows != mdp.n_states:
            raise ValueError(
                "DigitalRun needs agents that all see the chain's states, and weighting='mean'. For agents with "
                "different views use TabularPR."
            )
        if reciprocity.n_agents != mdp.n_agents:
            raise ValueError(f"{reciprocity.n_agents} agents in reciprocity but {mdp.n_agents} reward functions.")
        if not np.allclose(mdp.transition.sum(axis=-1), 1.0):
            raise ValueError(
                "DigitalRun follows one endless chain: expected rows of mdp.transition that sum to 1. An episode that "
                "can end needs TabularPR and a ParallelEnv."
            )
        check_steps(alpha, beta)
        warn_theory(theory_messages(alpha, beta, kappa, reciprocity.lambda_2))
        self.mdp, self.reciprocity, self.rngs, self.refresh = mdp, reciprocity, list(rngs), refresh
        self.compiled = HAS_NUMBA if backend == "auto" else backend == "numba"
        shape = (len(self.rngs), mdp.n_states, mdp.n_actions)
        self.values: Floats = np.zeros((*shape, mdp.n_agents))
        """(B, S, A, N): agents last, so that one update is one contiguous row."""
        self.visits: Ints = np.zeros(shape, dtype=np.int64)
        """(B, S, A)."""
        self.means: Floats = np.zeros(shape)
        """(B, S, A): mean over the agents, kept up to date."""
        self._frozen = (self.values, self.means)
        if refresh > 1:
            self._frozen = (self.values.copy(), self.means.copy())
        self._schedules = (alpha, beta, pull_schedule(kappa))
        self._codes = (alpha.code, beta.code, self._schedules[2].code)
        self._alias = kernels.alias_table(mdp.transition)
        self._state = np.zeros(len(self.rngs), dtype=np.int64)
        self.steps = 0
        """Steps so far: environment steps per agent, and updates of every agent's table."""
        a = reciprocity.adjacency
        self._adjacency = (a.indptr.astype(np.int64), a.indices.astype(np.int64), a.data)
        self._dense = np.asarray(a.toarray())
        self._neighbours = _neighbour_lists(reciprocity.mix)
        self._rewards = np.ascontiguousarray(np.moveaxis(mdp.reward, 0, -1))

    @property
    def q(self) -> Floats:
        """(B, N, S, A)."""
        return np.moveaxis(self.values, -1, 1)

    def train(self, steps: int) -> None:
        """Go on for ``steps`` steps in every seed."""
        if self.compiled:
            for b, rng in enumerate(self.rngs):
                tables = (self.values[b], self.visits[b], self.means[b], self._frozen[0][b], self._frozen[1][b])
                self._state[b] = kernels.train_digital(
                    *self._alias, self._rewards, self.mdp.noise, self.mdp.gamma, *tables, *self._adjacency,
                    *self._neighbours, self.reciprocity.complete, *self._codes,
                    self.refresh, self._state[b], self.steps, steps, rng,
                )  # fmt: skip
        else:
            for step in range(self.steps, self.steps + steps):
                self._step(step)
        self.steps += steps

    def state_dict(self) -> dict[str, Any]:
        """Values, chains and generators, for :func:`marl_pr_common.checkpoint.save`."""
        return {"arrays": self._arrays(), "steps": self.steps, "rngs": [generator_state(rng) for rng in self.rngs]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on, bit for bit, from :meth:`state_dict` of a run that was constructed the same way.

        :raises CheckpointError: if shapes or generators differ
        """
        copy_arrays(self._arrays(), state["arrays"])
        restore_generators(self.rngs, state["rngs"])
        self.steps = state["steps"]

    def _arrays(self) -> dict[str, Any]:
        arrays = {"values": self.values, "visits": self.visits, "means": self.means, "state": self._state}
        return arrays | {"frozen_values": self._frozen[0], "frozen_means": self._frozen[1]}

    def snapshots(self, at: Sequence[int]) -> Iterator[tuple[int, Floats]]:
        """Train up to each number of steps in ``at``, increasing, and yield (steps, copy of q (B, N, S, A))."""
        for steps in at:
            self.train(steps - self.steps)
            yield steps, self.q.copy()

    def _step(self, step: int) -> None:
        """One step of all seeds in NumPy: the oracle of the compiled loop, draw by draw."""
        mdp, (alpha, beta, pull) = self.mdp, self._schedules
        if self.refresh > 1 and step % self.refresh == 0:
            self._frozen[0][:], self._frozen[1][:] = self.values, self.means
        uniforms = np.stack([rng.random(2 + mdp.n_agents) for rng in self.rngs])
        b, s = np.arange(len(self.rngs)), self._state
        a = (uniforms[:, 0] * mdp.n_actions).astype(np.int64)
        cell = uniforms[:, 1] * mdp.n_states
        other = (cell % 1.0) >= self._alias[0][s, a, cell.astype(np.int64)]
        following = np.where(other, self._alias[1][s, a, cell.astype(np.int64)], cell.astype(np.int64))
        reward = self._rewards[s, a] + mdp.noise * (2.0 * uniforms[:, 2:] - 1.0)
        k = self.visits[b, s, a]
        old = self.values[b, s, a]
        target = reward + mdp.gamma * self.values[b, following].max(axis=1)
        shrink = pull(k, k * mdp.n_agents)[:, None]
        values = self._frozen[0]
        near = np.einsum("bx,bxn->bn", self._dense[s], values[b, :, a])
        mixed = values[b, s, a] + shrink * (near - values[b, s, a])
        star = mixed @ self.reciprocity.mix[step % len(self.reciprocity.mix)].T
        new = old + alpha(k, k)[:, None] * (target - old) + beta(k, k)[:, None] * (star - old)
        self.values[b, s, a] = new
        self.means[b, s, a] = new.mean(axis=-1)
        self.visits[b, s, a] += 1
        self._state = following


def _neighbour_lists(mix: Floats) -> tuple[Ints, Floats]:
    """The peers with a positive weight, padded with weight 0: indices and weights, (M, N, K) each."""
    size = max(int((mix > 0).sum(axis=-1).max()), 1)
    index = np.argsort(-mix, axis=-1, kind="stable")[..., :size]
    return index, np.ascontiguousarray(np.take_along_axis(mix, index, axis=-1))
