"""States of random generators as trees."""

from __future__ import annotations

import random
import sys
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from marl_pr_common.checkpoint.errors import CheckpointError

if TYPE_CHECKING:  # whoever has something of torch has imported it; nobody else waits for it
    import torch as th

Generator: TypeAlias = "np.random.Generator | np.random.RandomState | th.Generator"


def of_torch(value: object, kind: str) -> bool:
    """Whether ``value`` is torch's ``kind``, "Tensor" or "Generator", without importing torch to find out."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, getattr(torch, kind))


def rng_state() -> dict[str, Any]:
    """The global generators of Python's ``random``, NumPy, torch on the CPU and on every CUDA device."""
    import torch as th

    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(legacy=False),  # noqa: NPY002 - hosts draw from it
        "torch": th.get_rng_state(),
        "cuda": th.cuda.get_rng_state_all() if th.cuda.is_available() else [],
    }


def set_rng_state(state: dict[str, Any]) -> None:
    """Put the global generators where :func:`rng_state` found them.

    :raises CheckpointError: if there are fewer CUDA devices now than then
    """
    import torch as th

    random.setstate(state["python"])
    np.random.set_state(state["numpy"])  # noqa: NPY002
    th.set_rng_state(state["torch"])
    if state["cuda"]:
        if th.cuda.device_count() < len(state["cuda"]):
            raise CheckpointError(
                f"the checkpoint holds generators of {len(state['cuda'])} CUDA device(s), here are "
                f"{th.cuda.device_count()}. Resume on a machine with as many."
            )
        th.cuda.set_rng_state_all(state["cuda"][: th.cuda.device_count()])


def generator_state(generator: Any) -> dict[str, Any]:
    """The state of one :data:`Generator`, of NumPy or torch."""
    if of_torch(generator, "Generator"):
        return {"kind": "torch", "device": generator.device.type, "state": generator.get_state()}
    if isinstance(generator, np.random.RandomState):
        return {"kind": "RandomState", "state": generator.get_state(legacy=False)}
    return {"kind": "Generator", "state": dict(generator.bit_generator.state)}


def set_generator_state(generator: Any, state: dict[str, Any]) -> None:
    """Put one generator where :func:`generator_state` found it.

    :raises CheckpointError: if the state is of another kind of generator or device
    """
    if of_torch(generator, "Generator"):
        found, expected = (state["kind"], state.get("device")), ("torch", generator.device.type)
    else:
        now = generator_state(generator)
        found, expected = ((s["kind"], s["state"].get("bit_generator")) for s in (state, now))
    if found != expected:
        raise CheckpointError(f"a generator's state is of kind {found}; the generator here is {expected}")
    if isinstance(generator, np.random.RandomState) or of_torch(generator, "Generator"):
        generator.set_state(state["state"])
    else:
        generator.bit_generator.state = state["state"]
