"""The options' replay: what every agent of the team saw, in the order in which it happened."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch as th


@dataclass(frozen=True)
class Transitions:
    """Transitions of single agents. The action itself is in the labels: nothing else asks for it.

    obs, next_obs: (rows, obs_dim)
    reward: (rows,), of the agent
    done: (rows,), 1 where the task ended; a time limit is no end
    option: (rows,), the agent that was imitated
    labels: (rows, n_agents), opa
    agent: (rows,), whose transition it is
    """

    obs: th.Tensor
    next_obs: th.Tensor
    reward: th.Tensor
    done: th.Tensor
    option: th.Tensor
    labels: th.Tensor
    agent: th.Tensor

    def parts(self) -> dict[str, th.Tensor]:
        """Name -> column."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def take(self, index: th.Tensor) -> Transitions:
        """Some of the rows."""
        return Transitions(**{name: column[index] for name, column in self.parts().items()})


class OptionReplay:
    """A ring of transitions, on the CPU.

    :param capacity: rows
    """

    def __init__(self, capacity: int):
        self.capacity = capacity
        self.total = 0
        """Rows that were ever added."""
        self._held: Transitions | None = None

    def __len__(self) -> int:
        return min(self.total, self.capacity)

    def add(self, rows: Transitions) -> None:
        """Keep rows; the oldest make room.

        :raises ValueError: for more rows at once than there is room for
        """
        n = len(rows.obs)
        if n > self.capacity:
            raise ValueError(
                f"option_replay={self.capacity}: one round of episodes has {n} transitions of single agents. "
                "Use a larger one."
            )
        if self._held is None:
            empty = {name: part.new_zeros(self.capacity, *part.shape[1:]) for name, part in rows.parts().items()}
            self._held = Transitions(**empty)
        place = (self.total + th.arange(n)) % self.capacity
        for name, column in rows.parts().items():
            getattr(self._held, name)[place] = column
        self.total += n

    def window(self, first: int, last: int) -> Transitions:
        """The rows from the ``first``-th ever added up to the ``last``-th; they must still be held."""
        assert self._held is not None
        return self._held.take(th.arange(first, last) % self.capacity)

    def sample(self, rng: np.random.Generator, n: int) -> Transitions:
        """Rows drawn uniformly, with replacement."""
        assert self._held is not None
        return self._held.take(th.from_numpy(rng.integers(len(self), size=n)))

    def state_dict(self) -> dict[str, Any]:
        """Everything, for a checkpoint."""
        rows = {} if self._held is None else self._held.parts()
        return {"total": self.total, "rows": {name: column[: len(self)] for name, column in rows.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`.

        :raises ValueError: if the state is that of a larger replay
        """
        held = len(next(iter(state["rows"].values()))) if state["rows"] else 0
        if held != min(state["total"], self.capacity):
            raise ValueError(f"option_replay={self.capacity}: the checkpoint holds {held} of {state['total']} rows.")
        self.total, self._held = 0, None
        if state["rows"]:
            self.add(Transitions(**state["rows"]))
        self.total = state["total"]
