"""An object that stands in for another one in a host framework and changes one answer of it."""

from __future__ import annotations

from typing import Any


class Delegate:
    """Everything that a subclass does not define reaches the wrapped object itself, unprefixed.

    A plain object, not a ``torch.nn.Module``: it registers nothing, so that parameters, state dicts, target updates
    and saved files stay the host's. (EPyMARL's critics of separate agents return a *list* from ``state_dict()``.)

    :param wrapped: the host's object
    """

    def __init__(self, wrapped: Any):
        self.wrapped = wrapped

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "wrapped":
            raise AttributeError(name)
        return getattr(self.wrapped, name)
