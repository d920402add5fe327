"""torch's clipping by a norm over all parameters, which would be over all agents, is refused for stacked networks."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch as th
from torch import nn
from torch.nn.utils import clip_grad

from sb3_pr.networks.parameters import StackedParameter, SurgeryError


def _each_agents(clip: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(clip)
    def checked(parameters: Any, *args: Any, **kwargs: Any) -> Any:
        parameters = [parameters] if isinstance(parameters, th.Tensor) else list(parameters)
        if any(isinstance(one, StackedParameter) for one in parameters):
            raise SurgeryError(
                "clip_grad_norm_ of a network of several agents: the norm would be that of all agents' gradients, and "
                "each would be scaled by what the others do. Give optimizer_class in policy_kwargs, a class derived "
                "from torch's whose step() clips the parameters in its param_groups: each agent has one of its own."
            )
        return clip(parameters, *args, **kwargs)

    return checked


def install() -> None:
    """Have ``clip_grad_norm_`` and ``clip_grads_with_norm_`` refuse stacked parameters, however they were imported."""
    name = "_clip_grads_with_norm_"  # which clip_grad_norm_ calls, before it changes anything
    if hasattr(clip_grad, name):
        checked = _each_agents(getattr(clip_grad, name))
        setattr(clip_grad, name, checked)
        setattr(nn.utils, name.removeprefix("_"), checked)
    else:  # torch 2.5
        clip_grad.clip_grad_norm_ = nn.utils.clip_grad_norm_ = _each_agents(clip_grad.clip_grad_norm_)
