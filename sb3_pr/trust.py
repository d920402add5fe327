"""Trust: how well every peer's target critic predicts each agent's own targets, as upstream's ``train()`` forms them.

critic(s, a)   <- upstream asks; every tenth update the answer is watched until its loss shows the target y
(Z_j(s, a) - y_i)^2 on some rows of the batch -> reciprocity, which keeps the running mean
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch as th
from torch.nn import functional as F

from marl_pr_common.reciprocity import Reciprocity

EVERY = 10
"""Updates between two looks."""
ROWS = 64
"""Of each agent's batch, that every peer values."""
ROWS_IN_ALL = 512
"""Of each agent's batch, for all peers together: what many peers may cost."""
LOSSES = {F.mse_loss, F.smooth_l1_loss, F.huber_loss, F.l1_loss, th.Tensor.sub, th.Tensor.__sub__, th.sub}


class Watched(th.Tensor):
    """A critic's answer that says with what it is compared first, and is a plain tensor in every other respect: what is
    computed from it is computed from the tensor itself, with the same bits."""

    seen: Callable[[th.Tensor], None] | None

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with th._C.DisableTorchFunctionSubclass():
            if func in LOSSES and len(args) > 1:
                answer, target = args[:2]
                if isinstance(answer, Watched) and answer.seen is not None and _is_target(target, answer):
                    tell, answer.seen = answer.seen, None
                    tell(target.detach())
            return func(*_plain(args), **(kwargs or {}))


def _plain(value: Any) -> Any:
    if isinstance(value, Watched):
        return value.as_subclass(th.Tensor)
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(item) for item in value)
    return value


def _is_target(value: Any, answer: th.Tensor) -> bool:
    return isinstance(value, th.Tensor) and not value.requires_grad and value.shape == answer.shape


def watched(values: tuple[th.Tensor, ...], seen: Callable[[th.Tensor], None]) -> tuple[th.Tensor, ...]:
    """A critic's answers, of which the first calls ``seen`` with the target that a loss compares it with."""
    first = values[0].as_subclass(Watched)
    first.seen = seen
    return (first, *values[1:])


def due(reciprocity: Reciprocity, n_updates: int) -> bool:
    """Whether this update's targets are looked at: without trust, or without peers, none is."""
    return th.is_grad_enabled() and reciprocity.watches_errors and (n_updates - 1) % EVERY == 0


def rows_to_judge(reciprocity: Reciprocity, batch: int, device: th.device) -> th.Tensor:
    """Rows of the agent-major batch, some of each agent's: (n_agents * k,) with k up to :data:`ROWS`. They are drawn
    from the replay buffer independently of each other, so that any of them will do."""
    n_peers = max(1, len(reciprocity.shifts_to_judge) - 1)
    k = min(batch, max(1, min(ROWS, ROWS_IN_ALL // n_peers)))
    inside = th.arange(k, device=device) * batch // k
    return (th.arange(reciprocity.n_agents, device=device)[:, None] * batch + inside).flatten()
