"""Names that EPyMARL looks up in its registries, asked of the checkout's own: what a user added there is known.

A registry is asked without starting anything; names that are added later (``register_smac``) stand in its source.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from epymarl_pr.envs import smax, starcraft
from epymarl_pr.launch import options
from epymarl_pr.launch.errors import UsageError
from epymarl_pr.launch.values import UPSTREAM
from epymarl_pr.learners import table
from epymarl_pr.transfer import table as transfer
from marl_pr_common.config.mapping import suggest

ALWAYS = {"learner": "learners", "mac": "controllers", "agent": "modules.agents", "env": "envs", "runner": "runners"}
"""Setting -> the checkout's module with the registry in which every run looks it up."""
OF_ALGORITHMS = {"action_selector": "components.action_selectors"}
OF_UPSTREAM = {"critic_type": "modules.critics", "state_value_type": "modules.critics"}
"""Likewise, where the algorithm has it; a learner of the user's may take its critics from elsewhere."""
OURS = {
    "learner": [table.OURS + host for host in table.LEARNERS] + [one.learner for one in transfer.ALGORITHMS.values()],
    "env": [smax.NAME, starcraft.SMACV2],
    "runner": ["vectorised"],
}
"""What this package adds before the run."""


def check(config: Mapping[str, Any]) -> None:
    """Whether everything that is looked up by name is there. The checkout must be importable.

    :param config: the whole configuration of the run
    :raises UsageError: naming the setting, what there is, and the nearest of it
    """
    for key in ALWAYS:
        require(key, config.get(key))
    learner = options.host_learner(config.get("learner"))
    for key in [*OF_ALGORITHMS, *(OF_UPSTREAM if learner in UPSTREAM else ())]:
        if config.get(key) is not None:
            require(key, config[key])
    if config.get("mixer") is not None:
        _mixer(config["mixer"], str(config.get("learner")), learner)


def require(key: str, name: object) -> None:
    """Whether a setting names something that is registered.

    :raises UsageError: if not
    """
    module = importlib.import_module((ALWAYS | OF_ALGORITHMS | OF_UPSTREAM)[key])
    known = {str(found) for found in module.REGISTRY} | {*OURS.get(key, ())}
    if str(name) not in known and str(name) not in (later := _named_later(module)):
        raise _unknown(key, name, known | later)


def _named_later(module: Any) -> set[str]:
    """What functions of the module, or the checkout's programs beside it, add to a registry when they run."""
    own = Path(str(module.__file__))
    src = own.parents[len(module.__name__.split(".")) - (own.name != "__init__.py")]
    files = [file for file in (own, src / "run.py", src / "main.py") if file.is_file()]
    return {name for file in files for name in re.findall(r"REGISTRY\[[\"'](\w+)[\"']\]\s*=", file.read_text())}


def _mixer(name: object, learner: str, host: str) -> None:
    """Mixers are in no registry: a learner's source compares their names."""
    registry = importlib.import_module("learners").REGISTRY
    made = registry.get(host, registry.get(learner))
    try:
        source = inspect.getsource(inspect.getmodule(made))  # type: ignore[arg-type]
    except (OSError, TypeError):
        return
    known = set(re.findall(r"args\.mixer\s*==\s*[\"'](\w+)[\"']", source))
    if known and name not in known and not re.search(rf"[\"']{re.escape(str(name))}[\"']", source):
        raise _unknown("mixer", name, known)


def _unknown(key: str, name: object, known: Collection[str]) -> UsageError:
    return UsageError(f"{key}={name}: expected one of {', '.join(sorted(known))}.{suggest(name, known, bare=True)}")
