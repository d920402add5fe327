"""Stable-Baselines3 as host of a study: its algorithms, each with reciprocity, and the controls that tell why."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from marl_pr_common.config import from_mapping
from marl_pr_common.envs.registry import is_ours
from marl_pr_common.runs.directory import RunDirectory
from marl_pr_common.runs.files import read_json
from marl_pr_common.runs.lean import without_compiler
from marl_pr_common.runs.provenance import RUN, as_plain
from marl_pr_common.runs.table import CHECKPOINTS, set_aside
from marl_pr_common.study.hosts import Arm, CellRun, Plan
from sb3_pr.algorithms.spec import MODULES
from sb3_pr.study.config import SELDOM, TrainConfig
from sb3_pr.study.cost import cost as cost
from sb3_pr.study.teams import fitted, require_named, versioned

logger = logging.getLogger("marl_pr")
_ALONE = {"pr": {"kappa": 0.0}}
"""The agents never hear of each other's values."""
_BY_ENTROPY = ("sac",)
"""Algorithms that explore by their own policy's noise."""
STEPS_OF_ALL = "steps_of_all"
"""Setting of the arm of upstream's one agent that takes as many env steps as the agents of a team together."""


def _family(algo: str) -> dict[str, Arm]:
    """Upstream, the same with reciprocity, and the controls that tell why."""
    name, pr = algo.upper(), {"algo": f"{algo}_pr"}
    found = {
        algo: Arm(name, {"algo": algo}),
        f"{algo}_all_steps": Arm(f"{name}, one agent with the steps of all", {"algo": algo, STEPS_OF_ALL: True}),
        f"{algo}_pr": Arm(f"{name}PR", pr),
        f"{algo}_pr_trust": Arm(f"{name}PR, trust", pr | {"pr": {"trust": "td"}}),
        f"{algo}_pr_one_voice": Arm(f"{name}PR, one voice", pr | {"pr": {"estimator": "one_voice"}}),
        f"{algo}_random_peer": Arm(f"{name}PR, a random peer", pr | {"pr": {"peers": "random", "n_peers": 1}}),
        f"{algo}_independent": Arm(f"{name}, independent", pr | _ALONE),
        f"{algo}_shared_replay": Arm(f"{name}, shared replay", pr | _ALONE | {"shared_replay": True}),
        f"{algo}_pr_shared_replay": Arm(f"{name}PR, shared replay", pr | {"shared_replay": True}),
        # further critics of the agent's own in the place of its peers'
        f"{algo}_own_critics": Arm(f"{name}, own critics", pr | {"own_critics": True}),
    }
    if algo not in _BY_ENTROPY:
        found[f"{algo}_noise"] = Arm(f"{name}, independent, twice the noise", pr | _ALONE | {"noise_factor": 2.0})
    return found


ARMS: dict[str, Arm] = {arm: found for algo in MODULES for arm, found in _family(algo).items()}

_SHORT = 2_000
"""Env steps of all agents that take about as long as the start of a process."""


def plan(task: str, seed: int, settings: Mapping[str, Any]) -> Plan:
    """A run of :class:`TrainConfig`; see :class:`marl_pr_common.study.hosts.Host`.

    :raises ValueError: for an unknown or refused setting, or a task that gymnasium cannot make
    """
    for name in ("env", "seed"):
        if name in settings:
            raise ValueError(f"settings: {name}={settings[name]!r}: the study's tasks and seeds say that.")
    fixed = {"env": task, "seed": seed, "final_checkpoint": False}
    given = {name: value for name, value in settings.items() if name != STEPS_OF_ALL}
    config = from_mapping(TrainConfig, {"eval_every": SELDOM, **given, **fixed}, where="settings")
    _check_task(task, json.dumps(config.env_kwargs))
    config = fitted(config)
    if settings.get(STEPS_OF_ALL, False):
        config = _with_the_steps_of_all(config)
    _check_options(config)
    total = config.timesteps_per_agent * config.team_size
    return Plan(as_plain(config), config.team_size, config.timesteps_per_agent, total, config.evaluation_protocol)


def completed(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """With the fields of :class:`TrainConfig` that came later. See :class:`marl_pr_common.study.hosts.Host`."""
    plain: Mapping[str, Any] = as_plain(from_mapping(TrainConfig, settings, where="settings"))
    return plain


def _with_the_steps_of_all(config: TrainConfig) -> TrainConfig:
    """Upstream's one agent as n_agents would spend the budget; evaluated and saved at the same steps in total.

    :raises ValueError: for an algorithm of several agents
    """
    if config.reciprocal:
        raise ValueError(
            f"settings: {STEPS_OF_ALL} with algo={config.algo}: it is for one agent, "
            f"algo={config.algo.removesuffix('_pr')}."
        )
    config = replace(config, eval_every=config.evaluation_interval)
    counts = ("timesteps_per_agent", "eval_every", "checkpoint_every")
    return replace(config, **{name: config.n_agents * getattr(config, name) for name in counts})


def may_share(task: str, plan: Plan) -> bool:
    """Whether the cell is short and its task ours or gymnasium's own; see :class:`marl_pr_common.study.hosts.Host`."""
    return plan.total_env_steps <= _SHORT and _is_known(task)


def _is_known(task: str) -> bool:
    """Whether a task is ours or gymnasium's own, which keep nothing in modules or classes."""
    if is_ours(task):
        return True
    import gymnasium as gym  # slow

    spec = gym.registry.get(task)  # none for module:Id
    if spec is None or not isinstance(spec.entry_point, str):
        return False
    used = [spec.entry_point, *(wrapper.entry_point for wrapper in spec.additional_wrappers)]
    return all(place.startswith(("gymnasium.envs.", "gymnasium.wrappers.")) for place in used)


def why_alone(task: str, plan: Plan, asked: bool) -> str:
    """Why a cell can't be a team of a stack, empty if it can; see :class:`marl_pr_common.study.hosts.Host`."""
    config = from_mapping(TrainConfig, plan.settings)
    if config.multi_agent:
        return "its agents share one world, of which every team would need one"
    if not asked and not config.reciprocal:
        return f"algo={config.algo} is upstream's own loop"
    return (
        "" if asked or _is_known(task) else "an environment that isn't known may keep something in modules or classes"
    )


def run_stack(cells: Sequence[CellRun], directories: Sequence[Path], stack: Path) -> None:
    """Train cells that differ in their seeds as stacked teams; see :class:`marl_pr_common.study.hosts.Host`."""
    without_compiler()
    from sb3_pr.study.stack import STACKED as ENTRY
    from sb3_pr.study.stack import train

    runs = [RunDirectory(path, cell.plan.total_env_steps) for path, cell in zip(directories, cells, strict=True)]
    of_this = {ENTRY: [cell.seed for cell in cells]}
    go_on = (
        any(run.state in ("running", "stopped") for run in runs)
        and any((stack / CHECKPOINTS).glob("*/manifest.json"))
        and all(run.is_of(**of_this) and _same(run, cell.plan) for run, cell in zip(runs, cells, strict=True))
    )
    if not go_on:
        for path in (*directories, stack / CHECKPOINTS):
            set_aside(path)
    train(cells, directories, stack, go_on)


def run(cell: CellRun, directory: Path) -> None:
    """Train, or go on from the newest checkpoint; see :class:`marl_pr_common.study.hosts.Host`."""
    without_compiler()
    from sb3_pr.study.run import resume, train

    if _can_resume(directory, cell.plan):
        resume(directory)
        return
    set_aside(directory)
    config = from_mapping(TrainConfig, cell.plan.settings, where=cell.name)
    train(config, directory, cell.arm, name=cell.name)


def _can_resume(directory: Path, plan: Plan) -> bool:
    """Whether a run of the same settings was interrupted, not failed, with a checkpoint, or is complete."""
    run = RunDirectory(directory, plan.total_env_steps)
    if run.state in (None, "failed") or not _same(run, plan):
        return False
    return run.state == "complete" or any((directory / CHECKPOINTS).glob("*/manifest.json"))


def _same(run: RunDirectory, plan: Plan) -> bool:
    """Whether the run's settings are the plan's; those that its release did not have are at their defaults."""
    try:
        return bool(completed(read_json(run.path / RUN)["config"]) == json.loads(json.dumps(plan.settings)))
    except (OSError, KeyError, ValueError, TypeError, AttributeError):
        return False


def _check_options(config: TrainConfig) -> None:
    """What the model would refuse, before the first cell is run."""
    if not config.reciprocal:
        return
    from sb3_pr import checks, own_critics  # slow to import

    if config.own_critics:
        own_critics.check(config.pr, config.team_size)
    if config.team_size > 1:
        checks.one_voice(config.pr)


@functools.lru_cache
def _check_task(task: str, options: str) -> None:
    require_named(task)
    if (meant := versioned(task)) != task:
        logger.warning("task %s: no version is named, and %s is run; name it, for versions differ.", task, meant)
    from sb3_pr.study.tasks import check_task  # slow to import

    check_task(task, json.loads(options))
