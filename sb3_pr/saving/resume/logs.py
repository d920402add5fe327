"""What a logger has collected and written, so that a resumed run's files hold one curve: what an interrupted run wrote
after its checkpoint is cut off, and nothing comes twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.logger import (
    CSVOutputFormat,
    HumanOutputFormat,
    JSONOutputFormat,
    KVWriter,
    Logger,
    TensorBoardOutputFormat,
)


def logger_state(logger: Logger) -> dict[str, Any]:
    """Values not written yet, and the text of every file that the logger writes."""
    values = {key: value for key, value in logger.name_to_value.items() if isinstance(value, (int, float, np.number))}
    files = {}
    for output in logger.output_formats:
        path = _path(output)
        if path is not None:
            output.file.flush()  # type: ignore[attr-defined]
            files[_name(output, path)] = {"text": path.read_text(), "keys": list(getattr(output, "keys", []))}
    return {
        "values": values,
        "counts": {key: logger.name_to_count[key] for key in values},
        "excluded": {key: logger.name_to_excluded[key] for key in values if key in logger.name_to_excluded},
        "files": files,
    }


def restore_logger(logger: Logger, state: dict[str, Any], step: int) -> None:
    """Let a new logger go on; its files get the text that the old ones had at the checkpoint."""
    logger.name_to_value.update(state["values"])
    logger.name_to_count.update(state["counts"])
    logger.name_to_excluded.update(state["excluded"])
    for output in logger.output_formats:
        path = _path(output)
        if path is not None and (name := _name(output, path)) in state["files"]:
            _continue_file(output, state["files"][name])
        if isinstance(output, TensorBoardOutputFormat):
            folder = output.writer.log_dir
            output.writer.close()
            output.writer = type(output.writer)(log_dir=folder, purge_step=step + 1)


def _continue_file(output: Any, saved: dict[str, Any]) -> None:
    output.file.seek(0)
    output.file.truncate()
    output.file.write(saved["text"])
    output.file.flush()
    if isinstance(output, CSVOutputFormat):
        output.keys = list(saved["keys"])


def _name(output: KVWriter, path: Path) -> str:
    """Of a file in a checkpoint; an output that isn't the only one with a file of that name has a ``label``."""
    return str(getattr(output, "label", path.name))


def _path(output: KVWriter) -> Path | None:
    """The file that an output writes itself; None for the terminal, tensorboard and a user's own."""
    if isinstance(output, HumanOutputFormat) and not output.own_file:
        return None
    if isinstance(output, (CSVOutputFormat, JSONOutputFormat, HumanOutputFormat)):
        return Path(output.file.name)
    return None
