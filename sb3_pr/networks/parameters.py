"""Weights and biases of several agents in one tensor: what looks at a whole tensor, or reshapes it, is refused."""

from __future__ import annotations

import copy
import functools
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import torch as th
from torch import nn
from torch.optim import optimizer as torch_optimizer

from sb3_pr.networks import writing

_OLD_GUARDS = ("dim", "ndimension", "__getstate__")
"""Attributes that earlier versions pickled with a parameter."""


class SurgeryError(ValueError):
    """A change of a stacked network that would mix its agents; it was not made."""


class UnevenRows(RuntimeError, ValueError):
    """Rows that are not equally many for every agent. A RuntimeError, as torch's for a shape that there can't be."""

    @classmethod
    def of(cls, rows: int, n_agents: int) -> UnevenRows:
        return cls(
            f"{rows} row(s) for a network of {n_agents} agents: expected {n_agents} or a multiple of it, agent-major "
            "(block i is agent i's). One agent alone is asked by its own network: model.agent(i).critic, or .actor."
        )


def by_agent(rows: th.Tensor, n_agents: int) -> th.Tensor:
    """(n_agents * batch, features) -> (n_agents, batch, features).

    :raises UnevenRows: if they are not equally many for every agent
    """
    try:
        return rows.reshape(n_agents, -1, rows.shape[-1])
    except RuntimeError as error:
        raise UnevenRows.of(rows.shape[:-1].numel(), n_agents) from error


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
    return tensor.ndim > 2 and isinstance(tensor._base, (StackedParameter, StackedValues))


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


class _Stacked(th.Tensor):
    """What a weight (n_agents, in, out) or bias (n_agents, out) does not do: what would act on agents where a lone
    layer's acts on units. See :mod:`sb3_pr.networks.writing`."""

    def dim(self) -> int:
        """See :func:`stacked_axes`."""
        if sys._getframe(1).f_globals.get("__name__") == "torch.nn.init":
            _refuse_initialisation()
        return len(self.shape)

    ndimension = dim

    @property
    def data(self) -> th.Tensor:
        """As torch's. Setting it raises SurgeryError for another shape."""
        return _guarded(th.Tensor.data.__get__(self))  # type: ignore[attr-defined]

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
        plain = th.Tensor.detach(self)
        if sys._getframe(1).f_globals.get("__name__") == "torch.nn.parameter":  # nn.Parameter(weight) wants its kind
            return th.Tensor._make_subclass(type(self), plain, False)
        return _guarded(plain)


_Stacked.__torch_function__ = th._C._disabled_torch_function_impl  # type: ignore[assignment]  # as nn.Parameter's
writing.install(_Stacked, SurgeryError)


class StackedValues(_Stacked):
    """``.data`` and ``.detach()`` of a stacked parameter. Copied or pickled, it is a plain tensor."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.as_subclass(th.Tensor).__reduce_ex__(protocol)  # type: ignore[no-untyped-call]

    def __deepcopy__(self, memo: dict[int, Any]) -> th.Tensor:
        return copy.deepcopy(self.as_subclass(th.Tensor), memo)


class StackedParameter(_Stacked, nn.Parameter):
    """A weight (n_agents, in, out) or bias (n_agents, out) whose shape stays, and which ``torch.nn.init`` does not take
    for one layer's: neither the parameter nor its ``.data`` or ``.detach()``. Pickled, it is a plain parameter."""

    def __getstate__(self) -> dict[str, Any] | None:
        return {name: value for name, value in vars(self).items() if name not in (*_OLD_GUARDS, "_is_param")} or None


def _guarded(tensor: th.Tensor) -> th.Tensor:
    tensor.__class__ = StackedValues
    return tensor


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
        if type(value) in (nn.Parameter, StackedValues):
            for guard in _OLD_GUARDS:
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
