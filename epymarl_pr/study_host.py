"""EPyMARL as host of a study: its algorithms, each with reciprocity, and the controls that tell why.

Importing it needs no checkout; planning and running do. See :mod:`epymarl_pr.study` and docs/studies.md.
"""

from __future__ import annotations

from collections.abc import Mapping

from epymarl_pr.study.arms import arms
from epymarl_pr.study.plan import plan
from epymarl_pr.study.run import run
from marl_pr_common.study.hosts import Arm

ARMS: Mapping[str, Arm] = arms()
LIGHT = 0

__all__ = ["ARMS", "LIGHT", "plan", "run"]
