"""Runs of one arm are runs of one thing: what differs in more than the seed is averaged only if the user says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_OF_A_RUN = (
    "seed pr_seed n_timesteps timesteps_per_agent t_max total_timesteps env env_args.key env_args.seed "
    "env_args.map_name device threads use_cuda checkpoint_every final_checkpoint checkpoint_path load_step "
    "unique_token name label local_results_path save_model save_model_interval save_replay use_tensorboard use_wandb "
    "pr_full_checkpoint wandb_team wandb_project wandb_mode wandb_save_model log_interval learner_log_interval "
    "runner_log_interval test_interval eval_every eval_max_steps evaluate render buffer_cpu_only hypergroup algo "
    "task pr_version arm"
)
_DIFFERING = frozenset(_OF_A_RUN.split())
"""Settings in which runs of one arm may differ: they say where and how long, or are told apart elsewhere."""
_OF_THE_TASK = ("env_args.", "env_kwargs.")
_SHOWN = 4


@dataclass(frozen=True)
class Source:
    """One run and where it was read."""

    path: Path
    run: str
    arm: str
    task: str
    seed: int
    settings: Mapping[str, Any]
    """How it learnt; empty where nothing tells it."""
    family: str
    """What its path says but for seed and number; "" where the settings are enough."""
    said: bool = False
    """Whether the user named its arm."""
    task_said: bool = False
    """Whether the user named its task."""
    kind: str = ""
    """What wrote the settings, and in which version: where that is the same, a name that is missing says something."""


def require_apart(sources: Sequence[Source]) -> None:
    """Refuse what would be averaged though it is not the same.

    :raises ValueError: naming the folders, if a seed of an arm comes twice, or its runs differ in their settings or,
        where these are unknown, in the folders above them, and the user has not named that arm himself; or if arms ran
        one task with different arguments, and he has not named that task
    """
    _require_one_task(sources)
    groups: dict[tuple[str, str], list[Source]] = {}
    for source in sources:
        groups.setdefault((source.arm, source.task), []).append(source)
    for (arm, task), runs in groups.items():
        _require_once(arm, task, runs)
        guessed = [run for run in runs if not run.said]
        if not guessed:
            continue
        first = guessed[0]
        for other in runs:
            if other is not first and (found := _difference(first, other)):
                raise ValueError(
                    f"{first.path} and {other.path} would both be arm {arm} on {task}, but {found}. Give them other "
                    f"names: --given '{other.path}:arm=NAME'. If they are one arm all the same, say that of both: "
                    f"--given '{first.path}:arm={arm}' '{other.path}:arm={arm}'."
                )


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as ``pr.kappa``, without those in which runs of one arm may differ."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if name in _DIFFERING or str(key) == "seed":
            continue
        if isinstance(value, Mapping):
            found |= flat(value, f"{name}.")
        else:
            found[name] = value
    return found


def _require_one_task(sources: Sequence[Source]) -> None:
    """Arms are compared on a task of one name: it has to be one, with its time limit, number of agents, ..."""
    first: dict[str, tuple[Source, dict[str, Any]]] = {}
    for source in sources:
        if source.task_said or not source.settings:
            continue
        mine = {name: value for name, value in flat(source.settings).items() if name.startswith(_OF_THE_TASK)}
        other, theirs = first.setdefault(source.task, (source, mine))
        names = [name for name in {**theirs, **mine} if _counts(name, other, source, theirs, mine)]
        names = [name for name in names if str(theirs.get(name)) != str(mine.get(name))]
        if names and other.arm != source.arm:
            shown = "; ".join(f"{name} is {_shown(theirs, name)} and {_shown(mine, name)}" for name in names[:_SHOWN])
            raise ValueError(
                f"{other.path} and {source.path} are both of {source.task}, but not of one task: {shown}. Run them "
                f"alike, or say what the other's is: --given '{source.path}:task=NAME'. If they shall be compared all "
                f"the same, say task={source.task} of both."
            )


def _require_once(arm: str, task: str, runs: Sequence[Source]) -> None:
    seen: dict[int, Source] = {}
    for run in runs:
        other = seen.setdefault(run.seed, run)
        if other is not run:
            raise ValueError(
                f"{other.path} and {run.path} are both seed {run.seed} of arm {arm} on {task}: the same rows twice. "
                f"Give each run once, or say what the other is: --given '{run.path}:seed=...' or "
                f"'{run.path}:arm=...'. A run that was gone on with in a second folder has to be one file."
            )


def _difference(one: Source, other: Source) -> str:
    """In words; empty if nothing tells them apart."""
    if one.settings and other.settings:
        left, right = flat(one.settings), flat(other.settings)
        names = [name for name in {**left, **right} if _counts(name, one, other, left, right)]
        names = [name for name in names if str(left.get(name)) != str(right.get(name))]
        shown = [f"{name} is {_shown(left, name)} in one and {_shown(right, name)} in the other" for name in names]
        return "; ".join(shown[:_SHOWN]) + (f"; {len(names) - _SHOWN} more differ" if len(names) > _SHOWN else "")
    if one.family != other.family:
        return "they lie in different folders, and no saved model or config.yml beside them says that they learnt alike"
    return ""


def _counts(name: str, one: Source, other: Source, left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    """Whether a setting can tell two runs apart: one that only one of them has may be of a later release."""
    if name in left and name in right:
        return True
    releases = [source.settings.get("pr_version") for source in (one, other)]
    later = name.startswith("pr_") and None not in releases and releases[0] != releases[1]
    return one.kind == other.kind and not later


def _shown(settings: Mapping[str, Any], name: str) -> str:
    return repr(settings[name]) if name in settings else "missing"
