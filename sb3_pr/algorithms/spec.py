"""One record for each of Stable-Baselines3's algorithms that reciprocity was added to.

An algorithm ``sac`` is a module ``sac`` in this package with the class ``SACPR``, whose ``spec`` is its record. From
the modules' names come the choices of ``--algo`` (``sac`` is upstream's class, ``sac_pr`` ours), the arms of studies
and what ``sb3_pr`` exports; they are known without importing Stable-Baselines3 or torch. The rest is in the record.
"""

from __future__ import annotations

import functools
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch as th
    from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

_OTHERS = ("multi_agent", "signature", "spec")
"""Modules in this package that are no algorithm."""
MODULES: Mapping[str, str] = {
    name: f"{__package__}.{name}"
    for _, name, _ in pkgutil.iter_modules([str(Path(__file__).parent)])
    if name not in _OTHERS
}
"""Upstream's name of an algorithm -> the module of its class."""
ALGORITHMS = tuple(choice for name in MODULES for choice in (name, f"{name}_pr"))
"""What ``--algo`` may be."""


@dataclass(frozen=True)
class Learnt:
    """A tensor that every agent learns beside its networks: names of attributes of the model.

    Of one agent it is upstream's tensor, of n agents a leaf with a further first axis, (n_agents, ...).
    """

    tensor: str
    optimizer: str
    """Which moves this tensor alone; None in a model that does not learn it."""
    loss: str
    """What upstream logs, without "train/"."""
    setting: str
    """The parameter that says whether it is learnt, and from where on."""


@dataclass(frozen=True)
class Spec:
    """What this package must know of one of Stable-Baselines3's algorithms."""

    upstream: type[OffPolicyAlgorithm]
    networks: tuple[str, ...]
    """The policy's attributes that hold actor and critic, which are trained, and targets."""
    statistics: Mapping[str, str]
    """Attribute of the model with the running statistics of batch norm -> the network whose they are."""
    objective: Literal["q1_forward", "critic"]
    """Whom upstream's ``train`` asks for the value that the actor climbs: the first critic, or all, for the least."""
    options: tuple[str, ...] = ()
    """Fields of ``TrainConfig`` that concern this algorithm and not all."""
    settings: tuple[str, ...] = ()
    """Parameters of upstream's class that checkpoints compare, beside those of every algorithm."""
    own_settings: tuple[str, ...] = ()
    """Parameters that each agent may have for itself: ``own_x`` of a group is None, or a list with each agent's x."""
    learnt: tuple[Learnt, ...] = field(default=())

    def learnt_by(self, model: Any) -> list[tuple[Learnt, th.Tensor, th.optim.Optimizer]]:
        """What a model does learn beside its networks: tensors and their optimisers."""
        found = [(one, getattr(model, one.optimizer)) for one in self.learnt]
        return [(one, by.param_groups[0]["params"][0], by) for one, by in found if by is not None]


def class_name(name: str) -> str:
    """Of an algorithm with reciprocity: ``SACPR`` of ``sac``."""
    return f"{name.upper()}PR"


@functools.cache
def spec(name: str) -> Spec:
    """The record of an algorithm, by upstream's name or ours."""
    found: Spec = model_class(f"{name.removesuffix('_pr')}_pr").spec
    return found


def model_class(algo: str) -> Any:
    """What ``--algo`` stands for: upstream's class, or ours."""
    name = algo.removesuffix("_pr")
    ours = getattr(import_module(MODULES[name]), class_name(name))
    return ours if algo.endswith("_pr") else ours.spec.upstream


def spec_of(model: Any) -> Spec:
    """The record of a model's algorithm, of upstream's class, ours, or one derived from these.

    :raises TypeError: for a model of another algorithm
    """
    records = {spec(name).upstream: spec(name) for name in MODULES}
    for cls in type(model).__mro__:
        if cls in records:
            return records[cls]
    raise TypeError(f"{type(model).__name__} is none of the algorithms that have reciprocity: {said('or')}.")


def said(conjunction: str = "and") -> str:
    """The algorithms in a sentence: "DDPG, SAC and TD3"."""
    *most, last = (name.upper() for name in MODULES)
    return f"{', '.join(most)} {conjunction} {last}"
