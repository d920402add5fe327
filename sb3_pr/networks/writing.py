"""Writing into the weights of several agents: what acts on every agent as on a lone layer, and what is refused.

A lone layer's weights are (out, in), several agents' (n_agents, in, out): an index would choose agents instead of
units, a matrix of the lone layer's shape would be taken transposed. Neither is an error of torch's.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch as th

_UNCHANGED = ("requires_grad_", "detach_", "share_memory_", "rename_", "retains_grad_", "apply_")
"""Methods that are named like those that write."""
_BY_PLACE = ("index_", "scatter", "put_", "masked_scatter_", "fill_diagonal_", "tril_", "triu_", "renorm_", "cum")
_OTHER_SHAPE = ("t_", "transpose_", "swap", "squeeze_", "unsqueeze_", "resize", "as_strided_")
_OPERATORS = [f"__{form}{name}__" for name in ("add", "sub", "mul", "truediv", "pow") for form in ("", "i", "r")]
_HOW = (
    "Set each agent's: `for matrix in layer.matrices(): matrix[units] = ...`, (out_features, in_features) as alone, "
    "and `for bias in layer.biases(): bias[units] = ...`."
)


def install(cls: type[th.Tensor], error: type[ValueError]) -> None:
    """Give a class of tensors methods that look at their operands before they write.

    :param error: what they raise, before anything is changed
    """
    for name in (*dir(th.Tensor), *_OPERATORS):
        writes = name.endswith("_") and not name.startswith("_") and name not in _UNCHANGED
        if (writes or name in _OPERATORS) and callable(getattr(th.Tensor, name, None)):
            setattr(cls, name, _checked(name, getattr(th.Tensor, name), error))
    setattr(cls, "__setitem__", _by_whole_index(error))  # noqa: B010  mypy: of another signature


def _checked(name: str, write: Callable[..., Any], error: type[ValueError]) -> Callable[..., Any]:
    refused = name.startswith((*_BY_PLACE, *_OTHER_SHAPE))

    @functools.wraps(write)
    def checked(self: th.Tensor, *args: Any, **kwargs: Any) -> Any:
        if refused:
            raise error(f"{name} on the weights of several agents, {_shaped(self)}: it acts on places. {_HOW}")
        for operand in (*args, *kwargs.values()):
            _require_fitting(self, operand, name, error)
        return write(self, *args, **kwargs)

    return checked


def _by_whole_index(error: type[ValueError]) -> Callable[..., None]:
    def __setitem__(self: th.Tensor, index: Any, value: Any) -> None:
        of_elements = isinstance(index, th.Tensor) and index.dtype == th.bool and index.shape == self.shape
        if not (of_elements or index is Ellipsis or (isinstance(index, slice) and index == slice(None))):
            raise error(f"an index into the weights of several agents, {_shaped(self)}: it chooses agents. {_HOW}")
        if not of_elements:
            _require_fitting(self, value, "an assignment", error)
        th.Tensor.__setitem__(self, index, value)

    return __setitem__


def _require_fitting(self: th.Tensor, operand: Any, name: str, error: type[ValueError]) -> None:
    """A number, a tensor with an axis of agents, or for biases one unit after the other, fits."""
    if not isinstance(operand, th.Tensor) or operand.ndim == 0 or operand.ndim >= self.ndim or operand.numel() == 1:
        return
    if self.ndim == 2 and operand.ndim == 1:
        return
    raise error(
        f"{name} on the weights of several agents, {_shaped(self)}, with a tensor of shape {tuple(operand.shape)}: it "
        f"would be taken for (in_features, out_features) of each. {_HOW}"
    )


def _shaped(tensor: th.Tensor) -> str:
    axes = "(n_agents, in_features, out_features)" if tensor.ndim == 3 else "(n_agents, out_features)"
    return f"{axes} = {tuple(tensor.shape)}"
