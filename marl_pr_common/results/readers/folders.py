"""Arm, task and seed from the names of folders, as rl_zoo3 and people give them; nothing where names tell two things.

    td3/Pendulum-v1_3    td3/seals-Walker2d-v0_1    td3/Pendulum-v1/seed3    td3-Pendulum-v1-seed3

A task may hold hyphens, as an arm may, so that ``a-b-v0`` alone says nothing: an arm is known by an algorithm's name.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

_ALGORITHMS_WORDS = (
    "a2c acer acktr ars crossq ddpg dqn droq gail her maskable_ppo maskableppo ppo ppo1 ppo2 ppo_lstm ppo_mask "
    "qrdqn recurrent_ppo recurrentppo sac sbx simba td3 tqc trpo td3_bc"
)
EXTENDED = ("td3", "ddpg", "sac", "tqc", "crossq")
"""Algorithms that this package may have arms of its own for."""
_ARMS = (
    *("_pr", "pr", "_independent", "_shared_replay", "_pr_shared_replay", "_own_critics"),
    *("_pr_trust", "_pr_one_voice", "_random_peer", "_noise", "_all_steps"),
)
ALGORITHMS = frozenset(_ALGORITHMS_WORDS.split()) | {name + arm for name in EXTENDED for arm in _ARMS}
_GENERIC_WORDS = (
    "data eval evaluation evaluations exp experiment experiments log logs model models monitor monitors out "
    "output outputs repeat result results run runs tb tensorboard tmp train training trial trials version"
)
_GENERIC = frozenset(_GENERIC_WORDS.split())
"""Names of folders that say nothing about what is in them."""
SEED = re.compile(r"[-_.]?seed[-_=]?(\d+)", re.IGNORECASE)
_ENDING = re.compile(r"[-_](\d+)$")
_TIME = re.compile(
    r"(?<!\d)(?:"
    r"(?:19|20)\d\d([-_.]?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])"  # 2024-01-05, 20240105
    r"(?:[-_T. ]?\d\d[-_.:h]?\d\d(?:[-_.:m]?\d\d)?)?"  # _12-30-44
    r"|[A-Z][a-z]{2}\d\d_\d\d-\d\d-\d\d(?:_\S+)?|1\d{9}(?:\.\d+)?"  # Jan05_12-30-44_host, 1700000000
    r")(?!\d)"
)
"""When a run began, as people, TensorBoard and CleanRL name it: no seed."""
_TASK = re.compile(r"^(?P<task>.*[A-Za-z0-9]-v\d+)(?=$|[-_.])(?P<rest>.*)$")
_DEPTH = 4
"""Innermost folders that are looked at."""


@dataclass(frozen=True)
class Named:
    """What names tell; None is what they do not."""

    arm: str | None
    task: str | None
    seed: int | None


def named(folder: Path, env_id: str | None = None) -> Named:
    """What the names of a run's folder and those above it say.

    :param env_id: the task, where a file tells it
    """
    parts = list(reversed(Path(os.path.abspath(folder)).parts[-_DEPTH:]))
    seed = next((int(match[1]) for part in parts if (match := SEED.search(part))), None)
    parts = [_timeless(part) for part in parts]
    if seed is None and (match := _ENDING.search(parts[0])):
        seed = int(match[1])
    names = [_ENDING.sub("", part).strip("-_. ") for part in parts]
    level = next((i for i, name in enumerate(names) if _TASK.match(name)), None)
    if level is None:
        return Named(_outermost(names), env_id, seed)
    match = _TASK.match(names[level])
    assert match is not None
    arm, task = _split(match["task"], env_id, names[level + 1 :])
    outer = _outermost(names[level + 1 :])
    inner = next((name for name in [*names[:level], match["rest"].strip("-_. ")] if _says(name)), None)
    if arm == "":
        arm = (
            outer
            if inner is None
            else inner
            if _mentions(inner) or not _is_algorithm(outer or "")
            else f"{outer}-{inner}"
        )
    elif arm is not None and inner is not None and inner != arm:  # td3-Pendulum-v1/lr3/seed0
        arm = f"{arm}-{inner}"
    if env_id is not None and _other(match["task"], env_id):
        task = env_id = None
    return Named(arm, env_id or task, seed)


def _other(text: str, env_id: str) -> bool:
    """Whether a folder's name ends in a task, written as gymnasium's are, that is not the one that a file tells."""
    known = env_id.rpartition(":")[2].replace("/", "-")
    ending = re.search(r"(?:^|[-_.])([A-Z][A-Za-z0-9]*-v\d+)$", text)
    return not text.endswith(known) and ending is not None and not known.endswith(ending[1])


def family(folder: Path) -> str:
    """The path without seeds and numbers: equal for runs that differ in nothing else."""
    return "/".join(_ENDING.sub("", _timeless(part)) for part in Path(os.path.abspath(folder)).parts)


def _timeless(name: str) -> str:
    """Without a seed that is called one, and without the time."""
    return _TIME.sub("", SEED.sub("", name)).rstrip("-_. ")


def _split(text: str, env_id: str | None, above: list[str]) -> tuple[str | None, str | None]:
    """Arm and task of ``arm-task-v0``; arm "" if there is only a task; None and None if it can't be told.

    :param above: names of the folders above, the nearest first
    """
    if env_id is not None:
        known = env_id.rpartition(":")[2].replace("/", "-")
        arm = text[: -len(known)].strip("-_. ") if text.endswith(known) else ""
        return arm, env_id
    parent = next((name for name in above if _says(name)), "")
    splits = [i for i, sign in enumerate(text) if sign in "-_" and _is_algorithm(text[:i])]
    if splits and not _is_algorithm(parent):  # td3-Pendulum-v1, td3_Pendulum-v1
        arm, task = text[: splits[-1]], text[splits[-1] + 1 :]
        return (arm, task) if re.fullmatch(r"[^-_]+-v\d+", task) else (None, None)  # td3_large-Pendulum-v1
    arm, hyphen, task = _last_hyphen(text)
    if not hyphen:
        return "", text
    if _is_algorithm(parent):
        if splits:  # td3/td3-Pendulum-v1, but td3/sac-Pendulum-v1 is two things
            same = text[: splits[-1]].lower() == parent.lower()
            return (parent, text[splits[-1] + 1 :]) if same else (None, None)
        return (None, None) if _mentions(arm) else ("", text)
    if _mentions(arm):  # my_td3-Pendulum-v1
        return arm, task
    return ("", text) if _mentions(parent) else (None, None)


def _last_hyphen(text: str) -> tuple[str, str, str]:
    """``a-b-Task-v0`` as ``a-b`` and ``Task-v0``."""
    body, _, version = text.rpartition("-")
    arm, hyphen, name = body.rpartition("-")
    return arm, hyphen, f"{name}-{version}"


def _outermost(names: list[str]) -> str | None:
    """The arm among folders above a task, the nearest first: ``td3/lr3`` is not ``sac/lr3``."""
    said = [name for name in names if _says(name)]
    if not said:
        return None
    nothing = any(
        name for name in names[: names.index(said[0])]
    )  # "logs" between: a guess, unless it is an algorithm's
    above = next((name for name in said[1:] if _is_algorithm(name)), None)
    if _mentions(said[0]):
        return said[0]
    return None if nothing else said[0] if above is None else f"{above}-{said[0]}"


def _says(name: str) -> bool:
    return bool(re.search("[A-Za-z]", name)) and name.lower().rstrip("0123456789_-") not in _GENERIC


def _is_algorithm(name: str) -> bool:
    return name.lower().replace("-", "_") in ALGORITHMS


def _mentions(name: str) -> bool:
    """Whether an algorithm is a word of the name."""
    return any(word in ALGORITHMS for word in re.split(r"[^a-z0-9]+", name.lower()))
