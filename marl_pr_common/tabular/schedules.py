"""Step sizes of eq. 8 and schedules of kappa, by visit counts; and the conditions under which the theorems speak."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np

from marl_pr_common.config.arrays import Floats, Ints

Code = tuple[int, float, float]
"""A schedule for the compiled kernels: 0 constant, 1 power, 2 shrink, with its two numbers."""


class TheoryWarning(UserWarning):
    """A setting under which a theorem of the paper does not apply, or is known to fail."""


@dataclass(frozen=True)
class Constant:
    """The same value at every visit."""

    c: float

    @property
    def code(self) -> Code:
        """For the kernels."""
        return 0, float(self.c), 0.0

    def __call__(self, k: Ints, total: Ints) -> Floats:
        """Value at visit number k = 0, 1, ... of (s, a)."""
        return np.full(np.shape(k), float(self.c))


@dataclass(frozen=True)
class Power:
    """c / (k + 1)^tau, k the agent's earlier visits of (s, a): eq. 8."""

    c: float
    tau: float

    @property
    def code(self) -> Code:
        """For the kernels."""
        return 1, float(self.c), float(self.tau)

    def __call__(self, k: Ints, total: Ints) -> Floats:
        """Value at visit number k = 0, 1, ... of (s, a)."""
        return np.asarray(self.c * (np.asarray(k) + 1.0) ** -self.tau, dtype=np.float64)


@dataclass(frozen=True)
class Shrink:
    """m / (m + n), n the earlier visits of (s, a) by all agents that share the observation matrix."""

    m: float = 1.0

    @property
    def code(self) -> Code:
        """For the kernels."""
        return 2, float(self.m), 0.0

    def __call__(self, k: Ints, total: Ints) -> Floats:
        """Value after ``total`` visits of all agents."""
        return np.asarray(self.m / (self.m + np.asarray(total)))


Schedule = Constant | Power | Shrink
Step = Constant | Power


def pull_schedule(kappa: float | Schedule) -> Schedule:
    """The schedule of 1 - kappa: a number or ``Constant`` is kappa itself, ``Power`` and ``Shrink`` describe 1 - kappa.

    :raises ValueError: unless 0 <= kappa <= 1 at every visit
    """
    if isinstance(kappa, int | float):
        kappa = Constant(float(kappa))
    if not isinstance(kappa, Constant | Power | Shrink):
        raise ValueError(f"kappa={kappa!r}: expected a number, Constant(c), Power(c, nu) or Shrink(m).")
    if isinstance(kappa, Constant):
        if not 0.0 <= kappa.c <= 1.0:
            raise ValueError(f"kappa={kappa.c}: expected a number in [0, 1]; 1 uses the same state only.")
        return Constant(1.0 - kappa.c)
    first = kappa.c if isinstance(kappa, Power) else kappa.m
    if isinstance(kappa, Power) and not (0.0 <= first <= 1.0 and kappa.tau > 0):
        raise ValueError(f"kappa={kappa}: 1 - kappa_k = c / (k + 1)^tau must stay in [0, 1]. Use 0 <= c <= 1, tau > 0.")
    if isinstance(kappa, Shrink) and not 0 < first < math.inf:
        raise ValueError(f"kappa={kappa}: expected a finite m > 0 in 1 - kappa = m / (m + n).")
    return kappa


def check_step_kinds(alpha: object, beta: object) -> None:
    """:raises ValueError: unless both are ``Constant`` or ``Power``"""
    for name, step in (("alpha", alpha), ("beta", beta)):
        if not isinstance(step, Constant | Power):
            raise ValueError(f"{name}={step!r}: expected a step size, Constant(c) or Power(c, tau).")


def check_steps(alpha: Step, beta: Step) -> None:
    """Refuse step sizes for which eq. 5 is not a convex combination of values.

    :raises ValueError: if alpha_0 or beta_0 is negative or not finite, or alpha_0 + beta_0 > 1
    """
    check_step_kinds(alpha, beta)
    for name, step in (("alpha", alpha), ("beta", beta)):
        if not (math.isfinite(step.c) and step.c >= 0 and (isinstance(step, Constant) or step.tau >= 0)):
            raise ValueError(f"{name}={step}: expected a finite step size >= 0 that does not grow.")
    if alpha.c + beta.c > 1.0 + 1e-12:
        raise ValueError(
            f"alpha_0 + beta_0 = {alpha.c} + {beta.c} = {alpha.c + beta.c:g} > 1: eq. 5 is then no convex combination "
            f"and can diverge. Lower alpha or beta so that they add up to at most 1."
        )


def ratio_exponent(alpha: Step, beta: Step, kappa: float | Schedule) -> float:
    """Exponent e of (1 - kappa_k) beta_k / alpha_k ~ k^-e; infinity when the numerator is zero."""
    pull = pull_schedule(kappa)
    if beta.c == 0 or (not isinstance(pull, Shrink) and pull.c == 0):
        return math.inf
    return _exponent(pull) + _exponent(beta) - _exponent(alpha)


def _exponent(schedule: Schedule) -> float:
    if isinstance(schedule, Power):
        return schedule.tau
    return 1.0 if isinstance(schedule, Shrink) else 0.0


def theory_messages(
    alpha: Step, beta: Step, kappa: float | Schedule, lambda_2: float | None = None, epsilon_1: float = math.inf
) -> list[str]:
    """Which conditions of Theorems 1 to 3 a setting violates, one sentence each; empty if none is.

    :param lambda_2: second smallest eigenvalue of the mean graph Laplacian, if known
    :param epsilon_1: moments of the reward (Assumption 1); infinity for a bounded reward
    """
    if beta.c == 0:
        return []
    found = []
    tau_1 = alpha.tau if isinstance(alpha, Power) else 0.0
    tau_2 = beta.tau if isinstance(beta, Power) else 0.0
    upper = tau_1 - 1.0 / (2.0 + epsilon_1)
    if not 0.5 < tau_1 <= 1.0:
        found.append(f"tau_1={tau_1:g} of alpha is outside (1/2, 1] (eq. 8, Theorem 1): values need not converge.")
    if not 0.0 < tau_2 < upper:
        found.append(
            f"tau_2={tau_2:g} of beta is outside (0, tau_1 - 1/(2 + epsilon_1)) = (0, {upper:g}) (eq. 8, Theorem 1): "
            f"consensus (Theorem 2) is not covered."
        )
    if lambda_2 is not None and lambda_2 <= 1e-9:
        found.append(
            f"lambda_2={lambda_2:.2g} of the mean graph Laplacian is not positive (Assumption 3): the graph is "
            f"disconnected and its parts never agree. Add edges between them."
        )
    if ratio_exponent(alpha, beta, kappa) <= 0:
        found.append(
            f"(1 - kappa_k) beta_k / alpha_k does not vanish for kappa={kappa}, beta={beta}, alpha={alpha}: values "
            f"flatten over adjacent states and do not reach Q* (docs/tabular.md, Theorem 3). "
            f"Use kappa=Shrink(m) or kappa=1."
        )
    return found


def warn_theory(messages: list[str]) -> None:
    """Emit every message as a ``TheoryWarning``."""
    for message in messages:
        warnings.warn(message, TheoryWarning, stacklevel=3)
