"""To see the target that the host's ``train`` regresses on, without a line of it: values that are followed.

What is computed from a followed value is followed too, and computed as ever; where a prediction, which has a gradient,
meets it in a difference, it has arrived.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import torch as th

DIFFERENCES = (th.Tensor.sub, th.Tensor.__sub__, th.sub)


class Traced(th.Tensor):
    """A followed value."""

    tell: ClassVar[Callable[[th.Tensor], None] | None] = None
    """Whom to tell of a target; None while nobody watches."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        arrived = func in DIFFERENCES and isinstance(args[1], Traced) and args[0].requires_grad
        if not arrived:
            return super().__torch_function__(func, types, args, kwargs or {})
        target = args[1].as_subclass(th.Tensor)
        if Traced.tell is not None:
            tell, Traced.tell = Traced.tell, None
            tell(target.detach())
        with th._C.DisableTorchFunctionSubclass():
            return func(args[0].as_subclass(th.Tensor), target, *args[2:], **(kwargs or {}))


def traced(values: th.Tensor) -> th.Tensor:
    """The values, followed if somebody watches."""
    return values if Traced.tell is None else values.as_subclass(Traced)


@contextmanager
def watching(tell: Callable[[th.Tensor], None]) -> Iterator[None]:
    """Follow the values of :func:`traced` inside, to the first target that is made of them.

    :param tell: gets that target, before the host goes on
    :raises RuntimeError: at the end, if there was none
    """
    Traced.tell = tell
    try:
        yield
        if Traced.tell is not None:
            raise RuntimeError("the host's train compared no prediction with a target")
    finally:
        Traced.tell = None
