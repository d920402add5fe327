"""Weights and biases of several agents in one tensor: what looks at a whole tensor, or reshapes it, is refused."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import torch as th
from torch import nn
from torch.optim import optimizer as torch_optimizer


class SurgeryError(ValueError):
    """A change of a stacked network that would mix its agents; it was not made."""


def stacked_axes(axes: int = 3) -> int:
    """In the place of ``dim()`` of a stacked layer's weights.

    :raises SurgeryError: if ``torch.nn.init`` asks, in order to compute fans, an orthogonal matrix, ...
    """
    if sys._getframe(1).f_globals.get("__name__") == "torch.nn.init":
        _refuse_initialisation()
    return axes


def _refuse_initialisation() -> NoReturn:
    raise SurgeryError(
        "the weights of several agents in one tensor, (n_agents, in_features, out_features): torch.nn.init would "
        "take them for one layer's. Initialise each agent's: "
        "`for matrix in layer.matrices(): torch.nn.init.orthogonal_(matrix)`."
    )


def _of_several(tensor: th.Tensor) -> bool:
    """Whether ``tensor`` is a view of more than one agent's part of a stacked layer, such as ``weight[:]``."""
    base = tensor._base
    return base is not None and tensor.ndim > 2 and (isinstance(base, StackedParameter) or "dim" in vars(base))


def _one_agents(initialise: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(initialise)
    def checked(tensor: th.Tensor, *args: Any, **kwargs: Any) -> Any:
        if _of_several(tensor):
            _refuse_initialisation()
        return initialise(tensor, *args, **kwargs)

    return checked


def install() -> None:
    """Have what in ``torch.nn.init`` looks at whole matrices refuse views of several agents' weights, too."""
    for name in ("_calculate_fan_in_and_fan_out", "orthogonal_", "dirac_"):
        setattr(nn.init, name, _one_agents(getattr(nn.init, name)))


def _no_state() -> None:
    """A tensor under guard is pickled as the plain tensor that it is."""


_GUARDS: dict[int, dict[str, Any]] = {
    axes: {
        "dim": functools.partial(stacked_axes, axes),
        "ndimension": functools.partial(stacked_axes, axes),
        "__getstate__": _no_state,
    }
    for axes in range(4)
}


def _guarded(tensor: th.Tensor, axes: int) -> th.Tensor:
    vars(tensor).update(_GUARDS[axes])
    return tensor


class StackedParameter(nn.Parameter):
    """A weight (n_agents, in, out) or bias (n_agents, out) whose shape stays, and which ``torch.nn.init`` does not take
    for one layer's: neither the parameter nor its ``.data`` or ``.detach()``. Pickled, it is a plain parameter."""

    def dim(self) -> int:
        """See :func:`stacked_axes`."""
        if sys._getframe(1).f_globals.get("__name__") == "torch.nn.init":
            _refuse_initialisation()
        return len(self.shape)

    ndimension = dim

    @property
    def data(self) -> th.Tensor:
        """As torch's. Setting it raises SurgeryError for another shape."""
        return _guarded(th.Tensor.data.__get__(self), len(self.shape))  # type: ignore[attr-defined]

    @data.setter
    def data(self, value: th.Tensor) -> None:
        if value.shape != self.shape:
            raise SurgeryError(
                f"the weights of several agents in one tensor of shape {tuple(self.shape)}: .data would have shape "
                f"{tuple(value.shape)}. Give each agent's: `for matrix in layer.matrices(): matrix.copy_(...)`."
            )
        th.Tensor.data.__set__(self, value)  # type: ignore[attr-defined]

    def detach(self) -> th.Tensor:
        """As torch's."""
        plain = super().detach()
        if sys._getframe(1).f_globals.get("__name__") == "torch.nn.parameter":  # nn.Parameter(weight) wants its kind
            return th.Tensor._make_subclass(StackedParameter, plain, False)
        return _guarded(plain, len(self.shape))

    def __getstate__(self) -> dict[str, Any] | None:
        return {name: value for name, value in vars(self).items() if name not in (*_GUARDS[0], "_is_param")} or None


_FOREACH = getattr(torch_optimizer, "_foreach_supported_types", [])
_FOREACH.append(StackedParameter)  # torch chooses the kernels that it chooses for any parameter


class OwnParameters(dict[str, Any]):
    """``weight`` and ``bias`` of a stacked layer, and nothing else: no parametrisation, pruning or other shape."""

    def __setitem__(self, name: str, value: Any) -> None:
        before = self.get(name)
        if name not in ("weight", "bias"):
            self._refuse(f"{name} would be added")
        if before is not None and (value is None or value.shape != before.shape):
            found = None if value is None else tuple(value.shape)
            self._refuse(f"{name} would be {found} instead of {tuple(before.shape)}")
        if type(value) is nn.Parameter:
            for guard in _GUARDS[0]:  # which earlier versions pickled with it
                vars(value).pop(guard, None)
            value.__class__ = StackedParameter
        super().__setitem__(name, value)

    def __delitem__(self, name: str) -> None:
        self._refuse(f"{name} would be replaced by what is computed from it")

    def _refuse(self, what: str) -> NoReturn:
        raise SurgeryError(
            f"a layer that holds the weights of several agents: {what}. Pruning, weight norm, spectral norm and other "
            "parametrisations look at whole tensors and would mix the agents. Give each agent a module of its own: "
            "build it in make_actor or make_critic of your policy class, or put `sb3_pr.stack([...])`, one module per "
            "agent, in this layer's place; or change `model.agent(i)` and use `from_agents`."
        )
