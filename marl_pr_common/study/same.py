"""Whether what is in a study's directory is what is asked for now."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence

from marl_pr_common.runs.provenance import differences
from marl_pr_common.study.cell import DONE, Manifest, is_done, read_manifest
from marl_pr_common.study.hosts import load_host
from marl_pr_common.study.plan import Cell


def require_same_settings(cells: Sequence[Cell], evaluations: bool = True) -> list[Cell]:
    """The cells that are not done and have a manifest of other settings.

    :param evaluations: whether those of an earlier release, which evaluated otherwise, are other settings
    :raises ValueError: if a done cell has other settings, or no manifest that says which
    """
    changed = []
    for cell in cells:
        found = _manifest(cell)
        if found is None and (cell.directory / DONE).is_file():
            raise ValueError(
                f"{cell.directory} has {DONE}, but no manifest.json that says of what. Nothing was changed; move that "
                "directory away to run the cell again."
            )
        if found is None:
            continue
        if not evaluations:
            found = _evaluated(found, cell.manifest)
        if _meaning(cell.manifest) in (_meaning(found), _meaning(_now(found))):
            continue
        if is_done(cell.directory):
            if _meaning(cell.manifest) == _meaning(_evaluated(_now(found), cell.manifest)):
                raise ValueError(
                    f"{cell.directory} is done and was evaluated otherwise, by an earlier version: "
                    f"{found.plan.evaluation!r}, now {cell.manifest.plan.evaluation!r}. Nothing was changed; choose "
                    "another --out, or report on what is done with --report-only."
                )
            what = "; ".join(differences(_meaning(_now(found)), _meaning(cell.manifest)))
            raise ValueError(
                f"{cell.directory} is done with other settings: {what}. Nothing was changed; choose another --out, or "
                "give the old settings to go on with it."
            )
        changed.append(cell)
    return changed


def _manifest(cell: Cell) -> Manifest | None:
    """The manifest that is there; None if there is none, or half of one."""
    try:
        return read_manifest(cell.directory)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


def _evaluated(manifest: Manifest, as_in: Manifest) -> Manifest:
    """The manifest with the other one's evaluation."""
    return dataclasses.replace(manifest, plan=dataclasses.replace(manifest.plan, evaluation=as_in.plan.evaluation))


def _now(manifest: Manifest) -> Manifest:
    """What an earlier release wrote, as this one would; as it is, if this one does not take it."""
    with contextlib.suppress(ValueError):
        settings = dict(load_host(manifest.host).completed(manifest.plan.settings))
        return dataclasses.replace(manifest, plan=dataclasses.replace(manifest.plan, settings=settings))
    return manifest


def _meaning(manifest: Manifest) -> dict[str, object]:
    """What two manifests must share to give the same results: all but the label."""
    return {key: value for key, value in dataclasses.asdict(manifest).items() if key != "label"}
