"""The table of docs/evidence.md: every claim about learners with networks, from the results that are shipped.

    python benchmarks/evidence_table.py [docs/results] [--write docs/evidence.md]

Each number is that of `marl-pr report`: to the baseline with --study STUDY, to a control with --reference CONTROL. One
word follows from the difference to the baseline: whether the test tells it from 0, by the score that was written down
before, by either where none was. None below ten seeds, and where the baseline's last evaluation is not above its first,
or not above the gate that was written down.
"""

from __future__ import annotations

import argparse
import functools
import math
from dataclasses import dataclass
from pathlib import Path

from pages import add_write, deliver

from marl_pr_common.report import ReportContext
from marl_pr_common.report.measure import Measured, TaskResult, measure
from marl_pr_common.report.numbers import interval_text
from marl_pr_common.report.verdicts import learnt
from marl_pr_common.runs.table import read_results
from marl_pr_common.study.config import load_study

SCORES = ("final", "area")
HEADER = (
    *("claim", "task", "env steps per agent / in total, seeds", "baseline: last evaluation minus first"),
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
    score: str = ""
    """The one that was written down before; empty: both decide."""
    gate: float = -math.inf
    """What the baseline's mean return has to end above, beside its first evaluation, where that was written down."""


PENDULUM, POLES, CHEETAH = "Pendulum-v1", "InvertedDoublePendulum-v5", "HalfCheetah-v5"
NAVIGATION = "epymarl_pr:navigation-{}-v0"
ENSEMBLE = "iql_ns_deciding_own_critics"
SHARING = ("iql_ns_shared_experience", "iql")
FORAGING = "lbforaging:Foraging-{}-2p-1f-v3"
MARINES = "smax:3m"
DATA = ("td3_shared_replay", "td3_own_critics")
DDPG_DATA = ("ddpg_shared_replay", "ddpg_own_critics")
CONTROLS = (*DATA, "td3_random_peer", "td3_all_steps")
CLAIMS = (
    Claim("TD3, eq. 12 with equal weights", "controls", "td3_pr", PENDULUM, DATA),
    Claim("the same", "controls", "td3_pr", POLES, DATA),
    Claim("the same, kappa 2/3", "copies", "td3_pr", CHEETAH, scale="claim", score="area"),
    Claim("the same, kappa 0.5, longer", "fig5_cheetah", "td3_pr", CHEETAH, CONTROLS),
    Claim('TD3, `trust="td"`', "copies", "td3_pr_trust", CHEETAH, scale="claim", score="area"),
    Claim("the same, kappa 0.5, longer", "fig5_cheetah", "td3_pr_trust", CHEETAH, CONTROLS),
    Claim("DDPG, eq. 12 with equal weights", "fig5_ddpg", "ddpg_pr", CHEETAH, DDPG_DATA, "controls", gate=1_000.0),
    Claim('DDPG, `trust="td"`', "fig5_ddpg", "ddpg_pr_trust", CHEETAH, DDPG_DATA, "controls", gate=1_000.0),
    Claim(
        *("TD3, `one_voice` instead of all peers", "voices", "td3_pr_one_voice", PENDULUM, ("td3_independent",)),
        score="area",
    ),
    Claim("TD3, common data without PR", "controls", "td3_shared_replay", PENDULUM, ("td3_own_critics",)),
    Claim("the same", "controls", "td3_shared_replay", POLES, ("td3_own_critics",)),
    Claim("the same, longer", "fig5_cheetah", "td3_shared_replay", CHEETAH),
    Claim(
        *("DDPG, common data without PR", "fig5_ddpg", "ddpg_shared_replay", CHEETAH, DDPG_DATA[1:], "controls"),
        gate=1_000.0,
    ),
    Claim(
        "IQL, `pr_act=True`",
        "deciding",
        "iql_ns_deciding",
        NAVIGATION.format(4),
        (ENSEMBLE, *SHARING),
        "controls",
        "area",
    ),
    Claim(
        "the same, on a task that took no part in choosing it",
        *("deciding_held_out", "iql_ns_deciding", NAVIGATION.format(6), (ENSEMBLE, "iql")),
        score="area",
    ),
    Claim(
        "the same, on a task of another kind",
        *("deciding_foraging", "iql_ns_deciding", FORAGING.format("5x5"), (ENSEMBLE, "iql")),
        score="area",
        gate=0.23,
    ),
    Claim(
        "the same",
        *("deciding_foraging", "iql_ns_deciding", FORAGING.format("6x6"), (ENSEMBLE, "iql")),
        score="area",
        gate=0.18,
    ),
    Claim(
        "`pr_act=True` among unlike agents", "deciding_unlike", "iql_ns_deciding", NAVIGATION.format(4), score="area"
    ),
    Claim(
        "the same with `pr_trust=td`", "deciding_unlike", "iql_ns_deciding_trust", NAVIGATION.format(4), score="area"
    ),
    Claim(
        "MAPPO, eq. 12 with equal weights (Figure 6)",
        *("fig6_3m", "mappo_ns_pr", MARINES, ("mappo",), "controls", "area", 10.0),
    ),
    Claim("the same with `pr_trust=td`", "fig6_3m", "mappo_ns_pr_trust", MARINES, ("mappo",), "controls", "area", 10.0),
    *(
        Claim(f"MAPPO, eq. 12, kappa 0.{n} (Figure 7(b))", "fig7b_3m", f"kappa_0{n}", MARINES, score="area", gate=10.0)
        for n in (2, 5, 8)
    ),
    *(
        Claim(f"MAPPO, eq. 12, {n} (Figure 7(c))", "fig7c_3m", arm, MARINES, score="area", gate=10.0)
        for n, arm in (("one peer of two", "peers_1"), ("both peers", "peers_2"))
    ),
)


@functools.cache
def measured(results: Path, study: str, reference: str) -> Measured:
    """All numbers of a study against one of its arms, as the report has them."""
    config = load_study(study)
    own = reference == next(iter(config.arms))
    thresholds = {task: entry.threshold for task, entry in config.tasks.items() if own and entry.threshold is not None}
    return measure(read_results([results / study]), ReportContext(reference=reference, thresholds=thresholds))


def told(task: TaskResult, arm: str) -> str:
    """The differences of the scores in words."""
    found = ((name, task.differences[arm, name]) for name in SCORES if (arm, name) in task.differences)
    texts = [(name, interval_text(one.value, one.low, one.high).replace("+", ""), one.different) for name, one in found]
    return ", ".join(f"{name} **{text}**" if told else f"{name} {text}" for name, text, told in texts) or "not compared"


def verdict(gain_low: float, task: TaskResult, claim: Claim, base: str) -> str:
    """One word."""
    ends = float(task.arms[base].data.curves[:, -1].mean())
    scores = [claim.score] if claim.score else SCORES
    differences = [task.differences[claim.arm, score] for score in scores if (claim.arm, score) in task.differences]
    if not differences or not gain_low > 0 or not ends > claim.gate:
        return "no verdict"
    shown = {one.value > 0 for one in differences if one.different}
    return {(): "no difference shown", (True,): "**helps**", (False,): "**hurts**"}.get(tuple(shown), "**both**")


def budget(task: TaskResult, claim: Claim, base: str) -> str:
    """Steps and seeds; updates where the arms made other numbers of them."""
    arm = task.arms[claim.arm]
    text = f"{arm.data.env_steps_per_agent[-1]:,} / {arm.data.last_totals[0]:,}, {len(arm.data.seeds)} seeds"
    if abs(arm.updates - task.arms[base].updates) > 0.02 * arm.updates:
        text += f"; up to {arm.updates:,} updates of each agent, the baseline up to {task.arms[base].updates:,}"
    return text


def line(claim: Claim, results: Path) -> str:
    """A row; of what has not been run, that."""
    command = f"`marl-pr study {claim.study}{f' --scale {claim.scale}' if claim.scale else ''}`"
    found = results / claim.study / "results.parquet"
    base = next(iter(load_study(claim.study).arms))
    task = measured(results, claim.study, base).tasks.get(claim.task) if found.is_file() else None
    if task is None or claim.arm not in task.arms:
        return f"| {claim.text} | {claim.task} | not run yet | | | | | {command} |"
    gain = learnt(task.arms[base])
    assert gain is not None
    against = []
    for control in claim.controls:
        run = control in task.arms
        other = told(measured(results, claim.study, control).tasks[claim.task], claim.arm) if run else "not run"
        against.append(f"`{control}`: {other}")
    cells = (
        *(claim.text, claim.task.removeprefix("epymarl_pr:"), budget(task, claim, base)),
        interval_text(gain.value, gain.low, gain.high).replace("+", ""),
        *(f"`{base}`: {told(task, claim.arm)}", "; ".join(against), verdict(gain.low, task, claim, base)),
        f"[report](results/{claim.study}/summary.md), {command}",
    )
    return f"| {' | '.join(cells)} |"


def table(results: Path) -> str:
    """All rows."""
    return "\n".join([f"| {' | '.join(HEADER)} |", "|" + "---|" * len(HEADER), *(line(one, results) for one in CLAIMS)])


def main() -> None:
    """Print the table, or put it between the marks of a page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, nargs="?", default=Path("docs/results"))
    add_write(parser, "evidence")
    given = parser.parse_args()
    deliver(table(given.results), "evidence", given.write)


if __name__ == "__main__":
    main()
