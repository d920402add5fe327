"""How a tabular learner learns: one frozen dataclass, and the settings that the figures compare."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from numpy.typing import ArrayLike
from scipy.sparse import csr_array

from marl_pr_common.config import check_literals
from marl_pr_common.envs.spaces import ObsSpace
from marl_pr_common.tabular.adjacency import GridMetric, Missing, adjacency
from marl_pr_common.tabular.reciprocity import Mixing, Reciprocity, Weighting
from marl_pr_common.tabular.schedules import Constant, Power, Schedule, Shrink, Step, check_step_kinds

Mode = Literal["faithful", "decision"]
HALF, OFF, SHRINK = Constant(0.5), Constant(0.0), Shrink(1.0)


@dataclass(frozen=True)
class TabularConfig:
    """Options of tabular IQL+PR; the defaults are the recommended ones (decision mode)."""

    mode: Mode = "decision"
    """"faithful": eq. 5, the reciprocity potential pulls at the visited (s, a). "decision": Definition 3 as worded, the
    agent acts and bootstraps on the reciprocal value."""
    alpha: Step = HALF
    """Step size of local autonomy: Power(a, tau_1) is eq. 8."""
    beta: Step = OFF
    """Step size of the reciprocity potential, faithful mode only: Power(b, tau_2) is eq. 8; 0 is IQL."""
    kappa: float | Schedule = SHRINK
    """Weight of the *same-state* term of eq. 6 (the deep eq. 12 uses the letter for the peers). A number, or a schedule
    of 1 - kappa: Shrink(m) converges to Q*, Power(c, nu) does for nu > tau_1 - tau_2."""
    trust: float | None = 5.0
    """m_b of decision mode: Q_hat = (1 - w) Q + w Q_star, w = m_b / (m_b + n). 5 if features mean the same for every
    agent, else 1; None acts on Q_star alone."""
    weighting: Weighting = "count"
    """Weigh peers' values by their visits (count), or all alike (mean, eq. 6)."""
    level: int = 1
    """Adjacency level rho_#."""
    temperature: float = math.inf
    """Weights exp(-rho / temperature) of eq. 4: 1 is the equation, infinity the paper's experiments."""
    metric: GridMetric = "ordinal"
    """Distance of Definition 2: "l0", or "ordinal" for ordered features."""
    missing: Missing = "ignore"
    """Features that only one of two agents sees: ignored, or counted as in Remark 1."""
    include_self: bool = True
    """Whether s belongs to its own adjacency space."""
    mixing: Mixing = "metropolis"
    """How a peer graph becomes weights; "eq6" is 1 / abs(N_i)."""
    share: bool = False
    """One table for all agents with the same observation matrix (parameter sharing): a control, IQL only."""
    q_init: float = 0.0
    """Initial value of every table. It matters: pessimistic and optimistic values explore differently."""
    refresh: int = 1
    """E of Algorithm 1: steps between two snapshots that Q_star is read from (faithful mode). Above 10 it costs
    accuracy."""

    def __post_init__(self) -> None:
        check_literals(self)
        check_step_kinds(self.alpha, self.beta)
        if self.share and (self.mode != "faithful" or self.beta.c != 0):
            raise ValueError('share=True is a control for IQL: use it with mode="faithful" and beta=Constant(0).')
        if self.refresh < 1 or (self.refresh > 1 and self.mode != "faithful"):
            raise ValueError(f'refresh={self.refresh}: expected an integer >= 1, and 1 in mode="decision".')
        if self.trust is not None and not 0 <= self.trust < math.inf:
            raise ValueError(f"trust={self.trust}: expected a finite m_b >= 0, or None to act on Q_star alone.")
        if not math.isfinite(self.q_init):
            raise ValueError(f"q_init={self.q_init}: expected a finite initial value.")

    def reciprocity(self, spaces: Sequence[ObsSpace], graph: ArrayLike | None = None) -> Reciprocity:
        """The structure that these options give for agents with ``spaces`` on a peer graph (None: complete)."""
        return Reciprocity(spaces, graph, self.mixing, self._adjacent, self.weighting)

    def _adjacent(self, a: ObsSpace, b: ObsSpace) -> csr_array:
        return adjacency(a, b, self.level, self.temperature, self.metric, self.missing, self.include_self)


def iql(alpha: Step = HALF) -> TabularConfig:
    """Independent Q-learning, eq. 1; the paper's step size."""
    return TabularConfig(mode="faithful", alpha=alpha, beta=OFF, kappa=1.0, weighting="mean")


def shared_table(alpha: Step = HALF) -> TabularConfig:
    """Q-learning of all agents with the same view into one table: parameter sharing."""
    return TabularConfig(mode="faithful", alpha=alpha, beta=OFF, kappa=1.0, weighting="mean", share=True)


def faithful(beta: float = 0.4, kappa: float | Schedule = 0.5) -> TabularConfig:
    """IQL+PR with the paper's numbers (section V.A): alpha .3, tau_1 .65, tau_2 .35, uniform weights over S#.

    :param beta: .3 on Navigation and Digital, .4 on Blocker and Landmarks
    """
    return TabularConfig(
        mode="faithful", alpha=Power(0.3, 0.65), beta=Power(beta, 0.35), kappa=kappa, weighting="mean", trust=None
    )


def decision(alpha: Step = HALF, trust: float | None = 5.0) -> TabularConfig:
    """The recommended mode, with the step size of the paper's IQL."""
    return TabularConfig(alpha=alpha, trust=trust)
