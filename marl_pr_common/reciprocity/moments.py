"""Running mean and standard deviation of every agent's observation, coordinate by coordinate."""

from __future__ import annotations

import torch as th


class RunningMoments:
    """Mean and variance over all batches seen so far, merged by the parallel algorithm of Chan, Golub and LeVeque.

    :param n_agents: agents; each has its own moments
    :param dim: coordinates of a state
    """

    def __init__(self, n_agents: int, dim: int, device: th.device | str = "cpu"):
        self.count = 0
        self.mean = th.zeros(n_agents, dim, dtype=th.float64, device=device)
        self.squares = th.zeros(n_agents, dim, dtype=th.float64, device=device)

    @classmethod
    def restored(cls, count: int, mean: th.Tensor, squares: th.Tensor) -> RunningMoments:
        """The moments with these contents, (n_agents, dim) each."""
        moments = cls(mean.shape[0], mean.shape[1], mean.device)
        moments.count, moments.mean, moments.squares = count, mean, squares
        return moments

    def update(self, states: th.Tensor) -> None:
        """Take in one batch, (n_agents, batch, dim)."""
        states = states.double()
        batch = states.shape[1]
        mean = states.mean(dim=1)
        squares = (states - mean[:, None]).square().sum(dim=1)
        total = self.count + batch
        delta = mean - self.mean
        self.mean = self.mean + delta * (batch / total)
        self.squares = self.squares + squares + delta.square() * (self.count * batch / total)
        self.count = total

    @classmethod
    def updated(cls, moments: RunningMoments | None, states: th.Tensor) -> RunningMoments:
        """``moments`` (new ones if None) on the device of ``states``, (n_agents, batch, dim), which they take in."""
        found = cls(len(states), states.shape[-1]) if moments is None else moments
        found = found.to(states.device)
        found.update(states)
        return found

    def state(self) -> tuple[int, th.Tensor, th.Tensor]:
        """Arguments of :meth:`restored`."""
        return self.count, self.mean, self.squares

    @property
    def std(self) -> th.Tensor:
        """Standard deviation, (n_agents, dim); 0 for a coordinate that has never varied."""
        return (self.squares / max(self.count, 1)).sqrt()

    def to(self, device: th.device | str) -> RunningMoments:
        """The same moments on ``device``; themselves if they are there."""
        if self.mean.device == th.device(device):
            return self
        return self.restored(self.count, self.mean.to(device), self.squares.to(device))
