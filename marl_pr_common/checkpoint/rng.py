"""States of random generators as trees."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch as th

from marl_pr_common.checkpoint.errors import CheckpointError

Generator = np.random.Generator | np.random.RandomState | th.Generator


def rng_state() -> dict[str, Any]:
    """The global generators of Python's ``random``, NumPy, torch on the CPU and on every CUDA device."""
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


def generator_state(generator: Generator) -> dict[str, Any]:
    """The state of one generator of NumPy or torch."""
    if isinstance(generator, th.Generator):
        return {"kind": "torch", "device": generator.device.type, "state": generator.get_state()}
    if isinstance(generator, np.random.RandomState):
        return {"kind": "RandomState", "state": generator.get_state(legacy=False)}
    return {"kind": "Generator", "state": dict(generator.bit_generator.state)}


def set_generator_state(generator: Generator, state: dict[str, Any]) -> None:
    """Put one generator where :func:`generator_state` found it.

    :raises CheckpointError: if the state is of another kind of generator or device
    """
    if isinstance(generator, th.Generator):
        found, expected = (state["kind"], state.get("device")), ("torch", generator.device.type)
    else:
        now = generator_state(generator)
        found, expected = ((s["kind"], s["state"].get("bit_generator")) for s in (state, now))
    if found != expected:
        raise CheckpointError(f"a generator's state is of kind {found}; the generator here is {expected}")
    if isinstance(generator, (th.Generator, np.random.RandomState)):
        generator.set_state(state["state"])
    else:
        generator.bit_generator.state = state["state"]
