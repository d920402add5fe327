"""Optimisers that treat every element by itself: one of them serves all agents."""

from __future__ import annotations

from typing import Any

from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike
from torch import optim

ELEMENTWISE: set[type[optim.Optimizer]] = {
    *(optim.Adam, optim.AdamW, optim.NAdam, optim.RAdam, optim.Adamax, optim.Adagrad, optim.Adadelta, optim.ASGD),
    *(optim.RMSprop, optim.Rprop, optim.SGD, RMSpropTFLike),
}
"""What they do to an element depends on that element alone, so that agents side by side in one tensor do not meet.
Of a class derived from one of them this is not known."""
ONE_KERNEL = ("fused", "foreach", "capturable", "differentiable")
"""Options that decide how Adam is computed."""


def fused_adam(optimizer_class: type[optim.Optimizer], options: dict[str, Any]) -> dict[str, Any]:
    """Options of Adam with the same update in one kernel, unless the user decides how it is computed."""
    if optimizer_class is optim.Adam and not any(options.get(name) for name in ONE_KERNEL) and "fused" not in options:
        return {"fused": True, **options}
    return options
