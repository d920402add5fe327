"""A run followed in TensorBoard or Weights & Biases, beside its own files: what SB3 logs, and every evaluation."""

from __future__ import annotations

import importlib.util
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from marl_pr_common.runs.provenance import as_plain

if TYPE_CHECKING:
    from stable_baselines3.common.logger import KVWriter

    from sb3_pr.study.config import TrainConfig

Tracker = Literal["tensorboard", "wandb"]
Track = Mapping[str, str]
"""What ``run.json`` keeps, so that a resumed run goes on: ``kind``, and the ``id`` of the run there."""
PROJECT = "marl-pr"


def prepared(kind: Tracker | None) -> Track | None:
    """What a new run is followed as.

    :raises ValueError: if the package is not installed
    """
    if kind is None:
        return None
    if importlib.util.find_spec(kind) is None:
        extra = "sb3" if kind == "tensorboard" else kind
        raise ValueError(f'--track {kind}: the package {kind} is not installed: pip install "marl-pr[{extra}]"')
    return {"kind": kind, "id": secrets.token_hex(4)}  # the system's random numbers: no generator of the run's


def begin(track: Track | None, out: Path, name: str, config: TrainConfig) -> list[KVWriter]:
    """Writers for SB3's logger; none if nobody follows the run.

    :raises ValueError: if the package is not installed any more
    """
    if track is None:
        return []
    prepared(track["kind"])  # type: ignore[arg-type]
    if track["kind"] == "tensorboard":
        from stable_baselines3.common.logger import TensorBoardOutputFormat

        return [TensorBoardOutputFormat(str(out / "tensorboard"))]
    import wandb

    try:
        run = wandb.init(
            project=PROJECT, id=track["id"], name=name, config=as_plain(config), dir=str(out), resume="allow"
        )
    except Exception as error:  # no login, no network: of wandb's own classes
        raise ValueError(
            f"--track wandb: {type(error).__name__}: {error} Log in with `wandb login`, or set WANDB_MODE=offline."
        ) from error
    return [_writer(run)]


def _writer(run: Any) -> KVWriter:
    """A writer of SB3's whose values go to a run of wandb; its steps are those of all agents together."""
    from stable_baselines3.common.logger import KVWriter

    class Wandb(KVWriter):
        def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
            values = {
                key: value
                for key, value in key_values.items()
                if not {"wandb", "tensorboard"} & {*(key_excluded.get(key) or ())} and isinstance(value, (int, float))
            }
            run.log({**values, "total_env_steps": step}, step=step)

        def close(self) -> None:
            run.finish()

    return Wandb()
