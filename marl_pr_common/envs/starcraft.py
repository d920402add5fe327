"""Where StarCraft II is, and what to do if it is nowhere. Nothing of it is imported."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "SC2PATH"
ADVICE = (
    "download the Linux package 4.10 from https://github.com/Blizzard/s2client-proto#linux-packages, unzip it, copy "
    "SMAC's maps to its Maps/SMAC_Maps, and set SC2PATH to its folder StarCraftII"
)
NO_GAME = "--env-config=smax needs no game"


def candidates() -> list[Path]:
    """Where the game is looked for: ``$SC2PATH`` alone if it is set, else EPyMARL's place and pysc2's."""
    named = os.environ.get(VARIABLE)
    if named:
        return [Path(named).expanduser()]
    return [Path.cwd() / "3rdparty" / "StarCraftII", Path.home() / "StarCraftII"]


def find() -> Path | None:
    """The folder of the game, or None."""
    return next((folder for folder in candidates() if any((folder / "Versions").glob("Base*"))), None)


def problem(map_name: str | None = None) -> str | None:
    """What keeps a battle from starting, and what to do; None if nothing does.

    :param map_name: such as "3s_vs_5z": one of SMAC's maps that the game must have
    """
    folder = find()
    if folder is None:
        places = " and ".join(map(str, candidates()))
        return f"StarCraft II is not in {places}: {ADVICE}; {NO_GAME}"
    maps = folder / "Maps"
    if map_name and not next(maps.rglob(f"{map_name}.SC2Map"), None):
        return f"{maps} has no {map_name}.SC2Map: copy SMAC's maps to {maps / 'SMAC_Maps'}; {NO_GAME}"
    return None
