"""Which names are those of our environments. Nothing is imported for it."""

from __future__ import annotations

import re

from marl_pr_common.envs.smax.maps import PREFIX

FAMILIES = ("Landmarks", "Navigation", "Blocker", "Courier", "Cliff", "PredatorPrey", "CooperativeNavigation")


def is_ours(name: str) -> bool:
    """Whether ``marl_pr_common.envs.make`` rather than gymnasium makes the environment of this name."""
    families = "|".join(FAMILIES)
    return name.startswith(PREFIX) or name == "Digital" or bool(re.fullmatch(rf"({families})-\d+(-maptf)?", name))
