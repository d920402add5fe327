"""What lies beside Stable-Baselines3's logs and says more than they do: a saved model, rl_zoo3's YAML files."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 64 << 20
_SETTINGS_WORDS = (
    "batch_size buffer_size ent_coef gamma gradient_steps learning_rate learning_starts n_agents n_critics "
    "n_steps own_critics policy_delay policy_kwargs pr shared_replay target_noise_clip target_policy_noise tau "
    "use_sde clip_range gae_lambda n_epochs vf_coef max_grad_norm target_update_interval"
)
_SETTINGS = frozenset(_SETTINGS_WORDS.split())
"""Entries of a saved model that say how it learns."""
UNSAID = {"n_agents": 1, "n_steps": 1, "own_critics": False, "shared_replay": False}
"""What a model learns with that does not have these entries: of upstream's, or of an earlier release."""


def engine(folder: Path) -> str:
    """Stable-Baselines3 with the version that a saved model beside the logs names."""
    for archive in _archives(folder):
        try:
            return f"stable-baselines3 {archive.read('_stable_baselines3_version').decode().strip()}"
        except (KeyError, ValueError):
            continue
    return "stable-baselines3, version unknown"


def model(folder: Path) -> dict[str, Any]:
    """How a saved model beside the logs was made, as far as it is plain data (nothing is unpickled); {} without one."""
    for archive in _archives(folder):
        try:
            if archive.getinfo("data").file_size <= MAX_BYTES:
                content = json.loads(archive.read("data"))
                return {key: _plain(value) for key, value in content.items() if key in _SETTINGS}
        except (KeyError, ValueError, AttributeError, RecursionError):
            continue
    return {}


def arguments(folder: Path) -> dict[str, Any]:
    """rl_zoo3's ``args.yml`` of the run: algo, env, seed. Empty without one."""
    return _zoo(folder, "args.yml")


def hyperparameters(folder: Path) -> dict[str, Any]:
    """rl_zoo3's ``config.yml`` of the run. Empty without one."""
    return _zoo(folder, "config.yml")


def _archives(folder: Path) -> Iterator[zipfile.ZipFile]:
    files = [*folder.glob("*.zip"), *folder.glob("best_model/*.zip"), *folder.glob("eval*/*.zip")]
    # a checkpoint is of the same model, but the last one says it all
    for path in sorted(files, key=lambda path: (path.name != "model.zip", path.parent != folder, path.name)):
        try:
            with zipfile.ZipFile(path) as archive:
                yield archive
        except (OSError, zipfile.BadZipFile):
            continue


def _plain(value: Any) -> Any:
    """Without what SB3 pickled and what differs from process to process."""
    if not isinstance(value, dict):
        return value
    return {key: one for key, one in value.items() if not key.startswith(":") and " at 0x" not in str(one)}


class _Loader(yaml.SafeLoader):
    """Data only. rl_zoo3 writes ordered dictionaries and tuples with tags of Python; every other tag is its text."""


def _ordered(loader: yaml.SafeLoader, _suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.SequenceNode):
        found = loader.construct_sequence(node, deep=True)
        pairs = found[0] if len(found) == 1 and isinstance(found[0], list) else found
        is_mapping = all(isinstance(pair, list) and len(pair) == 2 for pair in pairs)
        return {str(key): value for key, value in pairs} if is_mapping else found
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    return str(node.value)


_Loader.add_multi_constructor("tag:yaml.org,2002:python/", _ordered)


def _zoo(folder: Path, name: str) -> dict[str, Any]:
    for path in [folder / name, *sorted(folder.glob(f"*/{name}"))]:
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            continue
        try:
            content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
        except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
            raise ValueError(f"{path} is not what rl_zoo3 writes ({error}). Mend it or leave this run out.") from error
        return content if isinstance(content, dict) else {}
    return {}
