"""The table of docs/evidence.md: every claim about learners with networks, from the results that are shipped.

    python benchmarks/evidence_table.py [docs/results] [--write docs/evidence.md]

Each number is that of `marl-pr report`: to the baseline with the study's own reference, to a control with the control
as --reference. One word follows from them: whether the test tells a difference of the final return or of the area under
the curve from 0. None below ten seeds and where the baseline has not learnt.
"""

from __future__ import annotations

import argparse
import functools
from dataclasses import dataclass
from pathlib import Path

from pages import add_write, deliver

from marl_pr_common.report import ReportContext
from marl_pr_common.report.measure import Measured, TaskResult, measure
from marl_pr_common.report.numbers import interval_text
from marl_pr_common.report.verdicts import learnt
from marl_pr_common.results.stats import Difference
from marl_pr_common.runs.table import read_results
from marl_pr_common.study.config import load_study

SCORES = {"final": "final", "area": "area"}
HEADER = (
    *("claim", "task", "env steps per agent / in total, seeds", "has the baseline learnt?"),
    *("difference to the baseline", "to each control", "verdict", "report, command"),
)


@dataclass(frozen=True)
class Claim:
    """What an arm is said to do on a task."""

    text: str
    study: str
    arm: str
    task: str
    controls: tuple[str, ...] = ()
    scale: str = ""


PENDULUM, POLES, CHEETAH = "Pendulum-v1", "InvertedDoublePendulum-v5", "HalfCheetah-v5"
NAVIGATION = "epymarl_pr:navigation-{}-v0"
ENSEMBLE = "iql_ns_deciding_own_critics"
DATA = ("td3_shared_replay", "td3_own_critics")
CLAIMS = (
    Claim("TD3, eq. 12 with equal weights", "controls", "td3_pr", PENDULUM, DATA),
    Claim("the same", "controls", "td3_pr", POLES, DATA),
    Claim("the same, kappa 2/3", "copies", "td3_pr", CHEETAH, scale="claim"),
    Claim("the same, kappa 0.5, longer", "fig5_cheetah", "td3_pr", CHEETAH, ("td3_shared_replay",)),
    Claim('TD3, `trust="td"`', "copies", "td3_pr_trust", CHEETAH, scale="claim"),
    Claim("the same, kappa 0.5, longer", "fig5_cheetah", "td3_pr_trust", CHEETAH, ("td3_shared_replay",)),
    Claim("TD3, `one_voice` instead of all peers", "voices", "td3_pr_one_voice", PENDULUM, ("td3_independent",)),
    Claim("TD3, common data without PR", "controls", "td3_shared_replay", PENDULUM, ("td3_own_critics",)),
    Claim("the same", "controls", "td3_shared_replay", POLES, ("td3_own_critics",)),
    Claim("the same, longer", "fig5_cheetah", "td3_shared_replay", CHEETAH),
    Claim("IQL, `pr_act=True`", "deciding", "iql_ns_deciding", NAVIGATION.format(4), (ENSEMBLE,), "size"),
    Claim(
        "the same, on a task that took no part in choosing it",
        *("deciding_held_out", "iql_ns_deciding", NAVIGATION.format(6), (ENSEMBLE,)),
    ),
    Claim("`pr_act=True` among unlike agents", "deciding_unlike", "iql_ns_deciding", NAVIGATION.format(4)),
    Claim("the same with `pr_trust=td`", "deciding_unlike", "iql_ns_deciding_trust", NAVIGATION.format(4)),
)


@functools.cache
def measured(results: Path, study: str, reference: str) -> Measured:
    """All numbers of a study against one of its arms, as the report has them."""
    config = load_study(study)
    own = reference == next(iter(config.arms))
    thresholds = {task: entry.threshold for task, entry in config.tasks.items() if own and entry.threshold is not None}
    return measure(read_results([results / study]), ReportContext(reference=reference, thresholds=thresholds))


def told(task: TaskResult, arm: str) -> tuple[str, list[Difference]]:
    """The differences of the scores, in words and for the verdict."""
    found = {name: task.differences[arm, key] for key, name in SCORES.items() if (arm, key) in task.differences}
    texts = []
    for name, one in found.items():
        text = interval_text(one.value, one.low, one.high).replace("+", "")
        texts.append(f"{name} **{text}**" if one.different else f"{name} {text}")
    return ", ".join(texts) or "not compared", list(found.values())


def verdict(gain_low: float, differences: list[Difference]) -> str:
    """One word."""
    if not differences or not gain_low > 0:
        return "no verdict"
    shown = {one.value > 0 for one in differences if one.different}
    return {(): "no difference shown", (True,): "**helps**", (False,): "**hurts**"}.get(tuple(shown), "**both**")


def line(claim: Claim, results: Path) -> str | None:
    """A row; None if its arm has no results."""
    if not (results / claim.study / "results.parquet").is_file():
        return None
    base = next(iter(load_study(claim.study).arms))
    task = measured(results, claim.study, base).tasks[claim.task]
    if claim.arm not in task.arms:
        return None
    gain = learnt(task.arms[base])
    assert gain is not None
    text, differences = told(task, claim.arm)
    against = []
    for control in (one for one in claim.controls if one in task.arms):
        against.append(f"`{control}`: {told(measured(results, claim.study, control).tasks[claim.task], claim.arm)[0]}")
    data = task.arms[claim.arm].data
    steps = f"{data.env_steps_per_agent[-1]:,} / {data.last_totals[0]:,}, {len(data.seeds)} seeds"
    command = f"`marl-pr study {claim.study}{f' --scale {claim.scale}' if claim.scale else ''}`"
    cells = (
        *(claim.text, claim.task.removeprefix("epymarl_pr:"), steps),
        f"{'yes' if gain.low > 0 else 'no'}: {interval_text(gain.value, gain.low, gain.high).replace('+', '')}",
        *(f"{text}, to `{base}`", "; ".join(against), verdict(gain.low, differences)),
        f"[report](results/{claim.study}/summary.md), {command}",
    )
    return f"| {' | '.join(cells)} |"


def table(results: Path) -> str:
    """All rows that have results."""
    lines = [found for one in CLAIMS if (found := line(one, results)) is not None]
    return "\n".join([f"| {' | '.join(HEADER)} |", "|" + "---|" * len(HEADER), *lines])


def main() -> None:
    """Print the table, or put it between the marks of a page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, nargs="?", default=Path("docs/results"))
    add_write(parser, "evidence")
    given = parser.parse_args()
    deliver(table(given.results), "evidence", given.write)


if __name__ == "__main__":
    main()
