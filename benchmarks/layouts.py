"""What other layouts of stacked networks would gain, each against the one that runs, in turns, CPU time on one thread.

    OMP_NUM_THREADS=1 python benchmarks/layouts.py

both critics      two stacks of n critics, or one of 2n: forward and backward of the critics' loss
Adam              of a model's two critics, or over one flat tensor that holds them
Polyak averaging  upstream's of these critics, tensor by tensor, or of two flat tensors
clearing          gradients set to None, or one flat tensor filled with zeros
agents            all agents' layers at once, or agent after agent: forward pass of one critic

Prints medians, the median of the paired ratios (above 1: the other layout is faster) and their range.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch as th
from stable_baselines3.common.utils import polyak_update
from torch.nn import functional

from sb3_pr import TD3PR
from sb3_pr.networks.mlp import _MLP

ENV, INPUT = "HalfCheetah-v5", 23
"""And how many numbers its critics see."""
SIZES = ((3, 64, 64), (30, 64, 64), (3, 256, 256))
"""Agents, units of both layers, rows of a batch of each agent."""


def critic(n: int, width: int) -> list[th.Tensor]:
    """Weights and biases of n stacked critics, as :class:`_MLP` takes them."""
    shapes = [(n, INPUT, width), (n, width, width), (n, width, 1), (n, width), (n, width), (n, 1)]
    return [th.randn(shape).mul_(0.1).requires_grad_() for shape in shapes]


def compared(n: int, width: int, batch: int) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """Of each question what runs today and what would run instead."""
    alone, other, joint = critic(n, width), critic(n, width), critic(2 * n, width)
    rows, targets = th.randn(n * batch, INPUT), th.randn(n * batch, 1)

    def loss(values: list[th.Tensor], parameters: list[th.Tensor]) -> None:
        th.stack([functional.mse_loss(value, targets) for value in values]).sum().backward()  # type: ignore[no-untyped-call]
        for parameter in parameters:
            parameter.grad = None

    def apart() -> None:
        loss([_MLP.apply(rows, False, *one) for one in (alone, other)], alone + other)  # type: ignore[no-untyped-call]

    def together() -> None:
        twice = rows.view(n, batch, -1).repeat(2, 1, 1).flatten(0, 1)
        values = _MLP.apply(twice, False, *joint).view(2, n * batch, 1)  # type: ignore[no-untyped-call]
        loss(list(values), joint)

    model = TD3PR("MlpPolicy", ENV, n_teams=n, kappa=0.0, policy_kwargs={"net_arch": [width, width]}, buffer_size=n)
    critics, targets_of = model.policy.critic, model.policy.critic_target
    tensors = list(critics.parameters())
    flat = th.nn.Parameter(th.cat([tensor.detach().flatten() for tensor in tensors]))
    flat_target = flat.detach().clone()
    for tensor in (*tensors, flat):
        tensor.grad = th.randn(tensor.shape)
    each, whole = critics.optimizer, th.optim.Adam([flat], fused=True)
    gradients = [th.randn(tensor.shape) for tensor in tensors]
    zeros = th.randn_like(flat)

    def clear() -> None:
        for tensor, gradient in zip(tensors, gradients, strict=True):
            tensor.grad = None
            tensor.grad = gradient

    def at_once() -> None:
        with th.no_grad():
            _MLP.apply(rows, False, *alone)  # type: ignore[no-untyped-call]

    def one_by_one() -> None:
        with th.no_grad():
            for agent, block in enumerate(rows.view(n, batch, -1)):
                its = [tensor[agent : agent + 1] for tensor in alone]
                _MLP.apply(block, False, *its)  # type: ignore[no-untyped-call]

    return {
        "both critics": (apart, together),
        "Adam": (each.step, whole.step),
        "Polyak averaging": (
            lambda: polyak_update(critics.parameters(), targets_of.parameters(), 0.005),
            lambda: polyak_update([flat], [flat_target], 0.005),
        ),
        "clearing": (clear, zeros.zero_),
        "agents": (at_once, one_by_one),
    }


def milliseconds(call: Callable[[], object], repeats: int) -> float:
    start = time.process_time()
    for _ in range(repeats):
        call()
    return (time.process_time() - start) / repeats * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=25)
    given = parser.parse_args()
    th.set_num_threads(1)
    print("| agents, units, batch | layout | now, ms | other, ms | now / other |\n| --- | --- | --- | --- | --- |")
    for size in SIZES:
        for name, (now, other) in compared(*size).items():
            now(), other()
            pairs = [(milliseconds(now, 10), milliseconds(other, 10)) for _ in range(given.rounds)]
            ratios = [first / second for first, second in pairs]
            medians = [statistics.median(column) for column in zip(*pairs, strict=True)]
            found = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            print(
                f"| {', '.join(map(str, size))} | {name} | {medians[0]:.2f} | {medians[1]:.2f} | {found} |", flush=True
            )


if __name__ == "__main__":
    main()
