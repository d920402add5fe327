"""Units of values where a learner standardises returns: one scale per agent, so peers are brought to raw units."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch as th


class Units:
    """Between an agent's standardised values and raw ones.

    :param moments: returns the learner's running statistics, with ``mean`` and ``var`` (n_agents,); None where values
        are raw, or have a scale that no agent knows (utilities below a mixer)
    """

    def __init__(self, moments: Callable[[], Any] | None = None):
        self.moments = moments

    def raw(self, values: th.Tensor, agent: th.Tensor) -> th.Tensor:
        """Values in raw units; ``agent`` says whose they are, indices that broadcast with ``values``."""
        if self.moments is None:
            return values
        result: th.Tensor = values * self.std(values, agent) + self.moments().mean[agent].to(values.dtype)
        return result

    def standardised(self, values: th.Tensor, agent: th.Tensor) -> th.Tensor:
        """Raw values in the units of ``agent``."""
        if self.moments is None:
            return values
        result: th.Tensor = (values - self.moments().mean[agent].to(values.dtype)) / self.std(values, agent)
        return result

    def std(self, values: th.Tensor, agent: th.Tensor) -> th.Tensor:
        """Standard deviation of each agent's returns; 1 where values are raw."""
        if self.moments is None:
            return values.new_ones(())
        result: th.Tensor = self.moments().var[agent].sqrt().to(values.dtype)
        return result
