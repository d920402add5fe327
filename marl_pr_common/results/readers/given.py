"""What the user says of runs: ``FOLDER:arm=td3,seed=3``, for that run and every run below the folder."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from marl_pr_common.results.readers.rows import IDENTITY

Given = Mapping[Path, Mapping[str, Any]]
"""Folder or file -> what to take instead of what is found."""
NAMES = (*IDENTITY, "n_agents")
GUESS = "guess"
"""Key beside them: what nothing tells of a run is made up, with a note, since the user named its folder as an arm."""
_NUMBERS = ("seed", "n_agents")
_TEXT = re.compile(r"^(?P<path>.+?):(?P<pairs>\w+=[^,]*(?:,\w+=[^,]*)*)$")


def parse(texts: Iterable[str]) -> dict[Path, dict[str, Any]]:
    """The texts of ``--given``.

    :raises ValueError: for another form, an unknown name, a number that is none, or a folder that is not there
    """
    found: dict[Path, dict[str, Any]] = {}
    for text in texts:
        match = _TEXT.match(text)
        if match is None:
            raise ValueError(f"given {text!r}: expected FOLDER:NAME=VALUE,... with names among {', '.join(NAMES)}.")
        path = Path(match["path"])
        if not path.exists():
            raise ValueError(f"given {text!r}: there is no {path}.")
        pairs = [pair.split("=", 1) for pair in match["pairs"].split(",")]
        if unknown := [name for name, _ in pairs if name not in NAMES]:
            raise ValueError(f"given {text!r}: {', '.join(unknown)} is none of {', '.join(NAMES)}.")
        found.setdefault(path, {}).update({name: _value(name, value, text) for name, value in pairs})
    return found


def named(paths: Iterable[Path | str]) -> tuple[list[Path], dict[Path, dict[str, Any]]]:
    """``NAME=PATH`` as the path, and the arm that everything in and below it is; other paths as they are.

    :raises ValueError: if one path is given two names
    """
    found: list[Path] = []
    arms: dict[Path, dict[str, Any]] = {}
    for path in map(Path, paths):
        name, equals, rest = str(path).partition("=")
        if path.exists() or not (equals and name and rest) or "/" in name:
            found.append(path)
            continue
        folder = Path(rest)
        if arms.get(folder, {}).get("arm", name) != name:
            raise ValueError(f"{path}: {folder} is {arms[folder]['arm']} already. Give each folder one name.")
        found.append(folder)
        arms[folder] = {"arm": name, GUESS: True}
    return found, arms


def of(path: Path, given: Given) -> dict[str, Any]:
    """What is said of one run: what is nearer to it counts."""
    places = (path.absolute(), path.resolve())  # what a link is called counts, and what it leads to
    around = [one for one in given if any(map(Path.is_relative_to, places, (one.absolute(), one.resolve())))]
    merged: dict[str, Any] = {}
    for folder in sorted(around, key=lambda folder: len(folder.absolute().parts)):
        merged |= given[folder]
    return merged


def _value(name: str, value: str, text: str) -> Any:
    if name not in _NUMBERS:
        return value
    if not re.fullmatch(r"\d+", value):
        raise ValueError(f"given {text!r}: {name}={value!r}, expected an integer >= {int(name == 'n_agents')}.")
    return int(value)
