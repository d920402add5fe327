"""``marl-pr figure 2|3|4``: options, progress bar, and which function draws what."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from marl_pr_common.study.config import StudyConfig, Task, load_study


@dataclass(frozen=True)
class FigureConfig:
    """Make a figure of the paper's tabular experiments again: 2 and 3 as PNG and SVG, with the tidy data behind them
    (CSV) and a summary (Markdown); 4 as a study, with its report."""

    FIGURES: ClassVar[tuple[int, ...]] = (2, 3, 4)

    number: int
    """2: consensus and convergence on Digital. 3: the case kappa = 1, and how
    fast Q* is reached on random MDPs. 4: learning curves on the grid worlds."""
    out: Path = Path("runs/figures")
    """Folder that is written to."""
    seeds: int = 0
    """Independent repetitions; 0 is the default of the figure: 5 for 2 and 3, 20 for 4."""
    steps: int = 0
    """Environment steps per agent; 0 is the default of the figure: 10 million for 2 and 3, the environment's budget
    for 4."""
    envs: tuple[str, ...] = ("Landmarks-2", "Blocker-3", "Landmarks-10")
    """Environments of figure 4; any registered name. The default is the paper's choice."""
    name: str = ""
    """Name of the folder of figure 4 to 8 in `out`; empty is "figure4" and so on."""
    jobs: int = 2
    """Processes at the same time, for figure 4 to 8."""
    progress: bool = True
    """Whether to show a progress bar."""

    def __post_init__(self) -> None:
        if self.number not in self.FIGURES:
            raise ValueError(f"number={self.number}: the figures are {', '.join(map(str, self.FIGURES))}.")
        if self.seeds < 0 or self.steps < 0:
            raise ValueError(
                f"seeds={self.seeds}, steps={self.steps}: expected numbers >= 0; 0 is the figure's default."
            )
        if not self.envs:
            raise ValueError("envs is empty: name at least one environment, for instance Navigation-10.")

    def study(self) -> StudyConfig:
        """Figure 4: the shipped study at the paper's scale, on these environments and this budget."""
        paper = load_study("fig4").at("paper")
        tasks = {env: paper.tasks.get(env, Task()) for env in self.envs}
        if self.steps:
            budget = {"steps_per_agent": self.steps, "eval_every": max(self.steps // 40, 1)}
            tasks = {env: replace(task, settings={**task.settings, **budget}) for env, task in tasks.items()}
        return replace(paper, tasks=tasks, seeds=tuple(range(self.seeds)) if self.seeds else paper.seeds)


def run_figure(config: FigureConfig) -> Path:
    """Make figure 2 or 3 and return the path of its PNG; SVG, CSV and a Markdown summary lie beside it."""
    from marl_pr_common.tabular.theory import convergence  # slow to import: after the options are checked
    from marl_pr_common.tabular.theory import figures as theory

    seeds, steps = config.seeds or 5, config.steps or 10_000_000
    extra = 2 * 20 * convergence.CHECKPOINTS[-1] if config.number == 3 else 0
    columns = (
        TextColumn(f"figure {config.number}"),
        BarColumn(),
        TextColumn("{task.percentage:.0f} %"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, disable=not config.progress) as bar:
        task = bar.add_task("steps", total=len(theory.KAPPAS) * seeds * steps + extra)

        def advance(done: int) -> None:
            bar.advance(task, done)

        draw = theory.figure2 if config.number == 2 else theory.figure3
        path = draw(seeds, steps, config.out, advance)
        if config.number == 3:
            convergence.convergence(config.out, advance=advance)
        return path
