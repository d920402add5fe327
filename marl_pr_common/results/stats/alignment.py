"""Steps at which arms are compared: those that all were evaluated over, however each was evaluated itself.

The area under a curve is a mean over the steps between its first and its last evaluation, by straight lines between
them. Of a curve that begins later it is the mean of a later part, and of one with fewer evaluations it leaves out what
bends between them: neither is a difference of the arms.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from marl_pr_common.config.arrays import Floats
from marl_pr_common.results.stats.curves import TeamCurves

Steps = npt.NDArray[np.int64]


class Aligned(NamedTuple):
    """Where the curves of all arms are read off."""

    arm: str
    """Whose evaluations these are: of those in the common range, the fewest."""
    steps: Mapping[str, Steps]
    """Arm -> (n_points,) steps of its agents; only of arms that were evaluated elsewhere."""
    differs: bool
    """Whether an arm begins later than others or has other steps between evaluations, by more than a tenth of one."""


def aligned(arms: Mapping[str, TeamCurves], reference: str, in_total: tuple[str, ...] = ()) -> Aligned | None:
    """Common steps of arms on one task, in the range that all of them cover.

    :param arms: as each was evaluated
    :param reference: one of them, whose steps are kept where others have as few
    :param in_total: arms whose agents took other numbers of steps than the reference's: they are lined up with it by
        the steps of all agents together
    :return: None if all have the same steps already, or share no range
    """
    base = arms[reference]

    def place(arm: str) -> Floats:
        """(n_points,) its evaluations, on the axis of the reference's agents."""
        curves = arms[arm]
        if arm not in in_total:
            return curves.env_steps_per_agent.astype(np.float64)
        return np.asarray(np.interp(curves.total_env_steps, base.total_env_steps, base.env_steps_per_agent))

    several = [arm for arm in arms if len(arms[arm].env_steps_per_agent) > 1]  # a single one has no area
    if reference not in several:
        return None
    places = {arm: place(arm) for arm in [reference, *several]}
    first, last = max(at[0] for at in places.values()), min(at[-1] for at in places.values())
    if first >= last:
        return None
    within = {arm: at[(at >= first) & (at <= last)] for arm, at in places.items()}
    fewest = min(within, key=lambda arm: len(within[arm]))
    begins = [first] * _is_near(first, places[fewest])  # not in the middle of what bends
    chosen = np.unique([*begins, *within[fewest], last])
    if len(chosen) < 2:
        chosen = np.array([first, last])
    steps = {}
    for arm in places:
        if arm in in_total:
            mine = np.interp(np.interp(chosen, base.env_steps_per_agent, base.total_env_steps), *_axes(arms[arm]))
        else:
            mine = chosen
        if not np.array_equal(np.rint(mine), arms[arm].env_steps_per_agent):
            steps[arm] = np.unique(np.rint(mine).astype(np.int64))
    if not steps:
        return None
    return Aligned(fewest, steps, any(_differ(places[fewest], at) for arm, at in places.items() if arm != fewest))


def _axes(curves: TeamCurves) -> tuple[Steps, Steps]:
    return curves.total_env_steps, curves.env_steps_per_agent


def _is_near(step: float, places: Floats) -> bool:
    """Whether an arm was evaluated there, but for a tenth of the distance of its evaluations."""
    return bool(np.abs(places - step).min() <= 0.1 * float(np.median(np.diff(places))))


def _differ(one: Floats, other: Floats) -> bool:
    """Whether two arms have other numbers of evaluations, or one of them a tenth of their distance away."""
    return len(one) != len(other) or bool(np.abs(one - other).max() > 0.1 * float(np.median(np.diff(one))))
