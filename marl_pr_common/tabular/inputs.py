"""What reaches the tables in one step: states, actions, rewards, masks, checked before a kernel indexes with them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from marl_pr_common.config.arrays import Flags, Floats, Ints
from marl_pr_common.envs.jit import jit

KINDS: dict[type, str] = {np.int64: "iu", np.float64: "iuf", np.bool_: "b"}


@jit
def first_wrong(
    sizes: Ints, n_actions: int, states: Ints, actions: Ints, rewards: Floats, masks: Flags, active: Flags
) -> int:
    """The first active agent whose arguments no table has room for: -1 if there is none.

    :param sizes: (N,) states of each agent
    """
    for i in range(states.shape[0]):
        if active[i]:
            inside = 0 <= states[i] < sizes[i] and 0 <= actions[i] < n_actions
            if not (inside and np.isfinite(rewards[i])) or (masks.shape[1] > 0 and not masks[i].any()):
                return i
    return -1


class Asked(NamedTuple):
    """Who is to act where, (n_seeds, n_agents) each; masks (n_seeds, n_agents, n_actions or 0)."""

    states: Ints
    active: Flags
    masks: Flags
    uniforms: Floats


class Inputs:
    """The shapes and ranges of one learner's tables.

    :param sizes: (n_agents,) number of states of each agent
    """

    def __init__(self, sizes: Ints, n_actions: int, n_seeds: int) -> None:
        self.sizes, self.n_actions, self.n_seeds = sizes, n_actions, n_seeds
        self.shape = (n_seeds, len(sizes))
        self.everything: Flags = np.ones((*self.shape, 0), dtype=np.bool_)
        """The mask that allows every action."""
        self._zeros, self._nothing = np.zeros(self.shape, dtype=np.int64), np.zeros(self.shape)

    def asked(self, states: Any, active: Any, masks: Any, uniforms: Any) -> Asked:
        """Arguments of acting.

        :raises ValueError: for other shapes and types, a state outside its table, or a mask that allows nothing
        """
        asked = Asked(
            self._array("states", states, np.int64),
            self._active(active),
            self._masks(masks),
            self._array("uniforms", uniforms, np.float64),
        )
        self._check("state", asked.states, self._zeros, self._nothing, asked.masks, asked.active)
        return asked

    def transition(
        self,
        states: Any,
        actions: Any,
        rewards: Any,
        next_states: Any,
        terminated: Any,
        active: Any,
        masks: Any,
        discounts: Any,
    ) -> tuple[Ints, Ints, Floats, Ints, Flags, Flags, Flags, Floats]:
        """Arguments of an update.

        :raises ValueError: for other shapes and types, states and actions outside their table, a reward that is not
            finite, or a mask that allows nothing
        """
        s, a = self._array("states", states, np.int64), self._array("actions", actions, np.int64)
        r, following = self._array("rewards", rewards, np.float64), self._array("next_states", next_states, np.int64)
        ended, on, allowed = self._array("terminated", terminated, np.bool_), self._active(active), self._masks(masks)
        self._check("state", s, a, r, self.everything, on)
        self._check("next state", following, self._zeros, self._nothing, allowed, on & ~ended)
        return s, a, r, following, ended, on, allowed, self._array("discounts", discounts, np.float64)

    def _active(self, active: Any) -> Flags:
        return np.ones(self.shape, dtype=np.bool_) if active is None else self._array("active", active, np.bool_)

    def _masks(self, masks: Any) -> Flags:
        return self.everything if masks is None else self._array("masks", masks, np.bool_, (self.n_actions,))

    def _array(self, name: str, value: Any, dtype: type, more: tuple[int, ...] = ()) -> NDArray[Any]:
        array, shape = np.asarray(value), self.shape + more
        if array.dtype == dtype and array.shape == shape and array.flags.c_contiguous:
            return array
        if array.shape != shape or array.dtype.kind not in KINDS[dtype]:
            raise ValueError(
                f"{name} is {array.dtype} of shape {array.shape}: expected {dtype.__name__} of shape {shape}, "
                "(n_seeds, n_agents, ...)."
            )
        return np.ascontiguousarray(array, dtype=dtype)

    def _check(self, what: str, states: Ints, actions: Ints, rewards: Floats, masks: Flags, active: Flags) -> None:
        for b in range(self.n_seeds):
            i = first_wrong(self.sizes, self.n_actions, states[b], actions[b], rewards[b], masks[b], active[b])
            if i >= 0:
                mask = f", mask {masks[b, i].tolist()}" if masks.shape[-1] else ""
                what = f"{what} {states[b, i]}, action {actions[b, i]}, reward {rewards[b, i]}{mask}"
                raise ValueError(
                    f"agent {i} of seed {b}: {what}: expected a state in 0 .. {self.sizes[i] - 1}, an action in 0 .. "
                    f"{self.n_actions - 1}, a finite reward, and a mask that allows one."
                )
