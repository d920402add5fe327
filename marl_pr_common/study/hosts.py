"""What a study asks of a framework: its arms, what a cell will do, and to run it. One module per framework.

Such a module has ``ARMS``, ``plan``, ``may_share`` and ``run`` as in :class:`Host`; imported when a study names it.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

from marl_pr_common.config.mapping import suggest

MODULES = {
    "sb3": "sb3_pr.study.host",
    "epymarl": "epymarl_pr.study.host",
    "tabular": "marl_pr_common.tabular.host",
}
"""Name of a host in a study's YAML -> the module that runs it."""
ENGINES = {"sb3": "stable-baselines3 ", "epymarl": "epymarl ", "tabular": "marl-pr tabular "}
"""Name of a host -> how the column ``engine`` of its results begins."""


@dataclass(frozen=True)
class Arm:
    """What distinguishes an arm from the settings that all arms of a study share."""

    label: str
    """Its name for readers."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the host, laid over those of the study and the task; a mapping is laid over a mapping key by key."""
    numbers: str = ""
    """What of these the label goes on with, as long as a study leaves them as they are."""

    @property
    def text(self) -> str:
        """The whole label."""
        return f"{self.label}, {self.numbers}" if self.numbers else self.label


@dataclass(frozen=True)
class Plan:
    """What one cell will do: everything is known before the first process starts. Plain data, kept as JSON."""

    settings: dict[str, Any]
    """All that :meth:`Host.run` needs to know; the same settings give the same run."""
    n_agents: int
    env_steps_per_agent: int
    total_env_steps: int
    """Of all agents together."""
    evaluation: str
    """The protocol of evaluation in words, equal for all arms that may be compared."""


@dataclass(frozen=True)
class Cost:
    """What a cell will take, roughly: a host may have a function ``cost(task, plan)`` that says it."""

    seconds: float | None = None
    """Of one core; None if it isn't known."""
    shared: float = 0.0
    """Those of them that cells which run as one process take once: its start, and Python."""
    kept: int | None = None
    """Bytes that a done cell leaves."""
    running: int = 0
    """Bytes beside them while it runs: its checkpoints."""
    memory: int | None = None
    """Bytes of memory that its data take, most of all its replay buffer; None if it isn't known."""
    process: int = 0
    """Bytes of memory that a process takes beside the data of its cells."""


@dataclass(frozen=True)
class CellRun:
    """One cell as its host is to run it."""

    name: str
    """Column ``run`` of its results, unique in the study."""
    arm: str
    task: str
    seed: int
    plan: Plan


class Host(Protocol):
    """A framework whose algorithms a study compares.

    One that can run cells of one arm and task, which differ in their seeds, as one process has two functions more:

    ``why_alone(task, plan, asked)``: why such a cell can't share a process with them, empty if it can. ``asked``:
    whether the user has asked for it (``stack: true``), or it is to be done where nothing else changes (``auto``).

    ``run_stack(cells, directories, stack)``: as :meth:`run`, of all of them; ``stack`` is a directory for what they
    have in common, such as checkpoints. A cell that fails alone has that in its ``status.json``; the others go on.
    """

    ARMS: Mapping[str, Arm]
    """The arms that a study may name."""

    def plan(self, task: str, seed: int, settings: Mapping[str, Any]) -> Plan:
        """What a cell with these settings will do; cheap, nothing is written or trained.

        :param settings: those of study, task, scale and arm, merged
        :raises ValueError: for an unknown setting, or a value that is refused; the message names it
        """

    def may_share(self, task: str, plan: Plan) -> bool:
        """Whether such a cell may run in a process after other cells, with the results that it has in one of its own.

        Only worth it for one that is over about as soon as a process has started, and only right for a task whose code
        is known to keep nothing in modules or classes. The task is not made.
        """

    def completed(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """Settings of a plan of an earlier release, with what that release did not have at its default.

        :raises ValueError: if this release does not take them
        """

    def run(self, cell: CellRun, directory: Path) -> None:
        """Run the cell to its end in ``directory``: go on from its newest checkpoint if there is one, else anew.

        ``directory`` is absent, or what an interrupted run of the same cell left. What can't be gone on with is renamed
        (:func:`marl_pr_common.runs.table.set_aside`), never deleted. Leaves ``results.parquet`` in the schema of
        :mod:`marl_pr_common.runs.table`, ``run.json``, and while it runs ``status.json``. SIGTERM saves what can be
        saved and ends the process.
        """


def load_host(name: str) -> Host:
    """The host of that name.

    :raises ValueError: if there is none
    :raises ImportError: if its framework is not installed
    """
    if name not in MODULES:
        raise ValueError(f"host: {name!r} is not one of {', '.join(MODULES)}.{suggest(name, MODULES)}")
    return cast(Host, importlib.import_module(MODULES[name]))


def require_arm(host: Host, name: str) -> Arm:
    """The host's arm of that name.

    :raises ValueError: if there is none; the nearest name is suggested
    """
    if name not in host.ARMS:
        raise ValueError(f"arms: {name!r} is not one of {', '.join(host.ARMS)}.{suggest(name, host.ARMS)}")
    return host.ARMS[name]


def labels(engines: Iterable[str]) -> dict[str, str]:
    """The names that arms have for readers.

    :param engines: column ``engine`` of results: of the hosts that made them, if they are installed, all arms are named
    """
    found: dict[str, str] = {}
    for engine in engines:
        for name, prefix in ENGINES.items():
            if engine.startswith(prefix):
                with suppress(ImportError):
                    found |= {arm: known.text for arm, known in load_host(name).ARMS.items()}
    return found
