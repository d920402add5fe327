"""PR's own random numbers: no other generator is ever read."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch as th

from marl_pr_common.checkpoint.rng import generator_state, set_generator_state


class Draws:
    """NumPy's generator for graphs, and torch's for batches, made on the device of the first states.

    :param seed: of both
    """

    def __init__(self, seed: int | None):
        entropy = np.random.SeedSequence(seed)
        self.rng = np.random.default_rng(entropy.spawn(1)[0])
        self._seed = int(entropy.generate_state(1, np.uint64)[0] >> np.uint64(1))
        self._generator: th.Generator | None = None
        self._generator_state: tuple[str, th.Tensor] | None = None  # device type and state, until states come

    def generator(self, device: th.device) -> th.Generator:
        """Torch's, on the device of the first states."""
        if self._generator is None:
            self._generator = th.Generator(device=device)
            self._generator.manual_seed(self._seed)
            # a state only fits the kind of device that it came from; elsewhere the stream starts anew
            if self._generator_state is not None and self._generator_state[0] == device.type:
                self._generator.set_state(self._generator_state[1])
            self._generator_state = None
        return self._generator

    def _draws_state(self) -> dict[str, Any]:
        made = self._generator
        return {
            "rng": generator_state(self.rng),
            "seed": self._seed,
            "generator": self._generator_state if made is None else (made.device.type, made.get_state()),
        }

    def _restore_draws(self, state: dict[str, Any]) -> None:
        set_generator_state(self.rng, state["rng"])
        self._seed, self._generator, self._generator_state = state["seed"], None, state["generator"]
