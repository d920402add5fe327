"""The YAML files of ``configs/``: found by name in a checkout or in the installed package, read as data only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from marl_pr_common.config.mapping import from_mapping, suggest
from marl_pr_common.config.yaml import load_mapping

ConfigT = TypeVar("ConfigT")


def config_root() -> Path:
    """The folder of the shipped configurations.

    The wheel carries it inside this package; an editable install has it at the top of the repository.

    :raises FileNotFoundError: if neither is there
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "configs", package.parent / "configs"):
        if (folder / "sb3").is_dir():
            return folder
    raise FileNotFoundError(f"No configs folder in {package} or beside it: the installation is incomplete. Reinstall.")


def config_names() -> list[str]:
    """Names of the shipped configurations, as ``find_config`` takes them: ``sb3/pendulum``."""
    root = config_root()
    return sorted(file.relative_to(root).with_suffix("").as_posix() for file in root.rglob("*.yaml"))


def find_config(name: str) -> Path:
    """The YAML file that ``name`` means: a path, or a shipped configuration with or without its folder.

    :raises FileNotFoundError: if there is none; the message lists what exists and the nearest name
    :raises ValueError: if two folders have that name
    """
    path = Path(name).expanduser()
    if path.is_file():
        return path
    names = config_names()
    wanted = name.removesuffix(".yaml")
    matches = [known for known in names if wanted in (known, known.rpartition("/")[2])]
    if len(matches) > 1:
        raise ValueError(f"config {name!r} is ambiguous: {', '.join(matches)}. Give it with its folder.")
    if not matches:
        hint = suggest(wanted, [*names, *(known.rpartition("/")[2] for known in names)])
        raise FileNotFoundError(f"config {name!r} is neither a file nor one of {', '.join(names)}.{hint}")
    return config_root() / f"{matches[0]}.yaml"


def read_yaml(path: Path) -> Mapping[str, Any]:
    """The mapping in a YAML file, read as data only.

    :raises FileNotFoundError: if there is no such file
    :raises ValueError: if it is not YAML, not a mapping, or beyond the limits of :mod:`marl_pr_common.config.yaml`
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not valid YAML: {error}") from error
    return load_mapping(text, str(path))


def load_config(cls: type[ConfigT], name: str) -> ConfigT:
    """Read the configuration that ``name`` means into the dataclass ``cls``.

    :raises ValueError: for an unknown key (the nearest known one is named) or a value that ``cls`` refuses
    """
    path = find_config(name)
    return from_mapping(cls, read_yaml(path), where=path.name)
