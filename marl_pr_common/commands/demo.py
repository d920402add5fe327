"""``marl-pr demo``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from marl_pr_common.compare import CompareConfig, compare, require_comparison_or_unused
from marl_pr_common.config.shipped import load_config
from marl_pr_common.display import Display
from marl_pr_common.figures import show_navigation_demo
from marl_pr_common.figures.navigation_demo import FILES as NAVIGATION
from sb3_pr.train_config import TrainConfig


@dataclass(frozen=True)
class Command:
    """First, in seconds, tabular IQL, one shared table and IQL+PR on Navigation with 10 agents. Then TD3, TD3PR and
    both control arms on Pendulum-v1: 3 agents, 5 seeds, a few minutes on two cores.

    The second part is `marl-pr compare --config pendulum` with these arms.
    """

    out: Path = Path("runs/demo")
    """Directory of the comparison. Given again it goes on with what is missing."""
    arms: tuple[str, ...] = ("td3", "td3_pr", "td3_independent", "td3_shared_replay")
    """Arms, the reference first; the last two are the same agents without reciprocity, on own and on common data."""
    seeds: tuple[int, ...] = CompareConfig.seeds
    """Seeds; every arm runs every seed."""
    jobs: int = CompareConfig.jobs
    """Processes at the same time."""

    def run(self) -> int:
        """Compare; exit code 0, or 1 if a run failed."""
        display = Display()
        settings = load_config(TrainConfig, "sb3/pendulum")
        config = CompareConfig(self.arms, self.seeds, self.jobs, settings)
        require_comparison_or_unused(self.out, NAVIGATION)
        show_navigation_demo(self.out, display.console)
        outcome = compare(config, self.out, display, beside=NAVIGATION)
        display.result(self.out, outcome.failed)
        return 1 if outcome.failed else 0
