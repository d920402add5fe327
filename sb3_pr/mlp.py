"""A stacked multi-layer perceptron with one forward and one backward pass for all agents.

The same arithmetic as its layers one by one (tests compare them), with less around the matrix products: bias and ReLU
in place, no product with a single output column (a matrix-vector product is several times faster), and, where only the
input's gradient is wanted, none for the weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch as th
from torch import nn


class StackedMLP(nn.Sequential):
    """``StackedLinear`` layers with ReLU between them and optionally Tanh at the end; names as in SB3's Sequential.

    gradient_scale: factor on the gradient at the output, see :class:`sb3_pr.stacking.ScaleGradient`
    frozen: whether only the input receives a gradient
    """

    gradient_scale: float = 1.0
    frozen: bool = False

    def __init__(self, layers: Sequence[nn.Module], linear: Sequence[nn.Module]):
        super().__init__(*layers)
        self._names = [name for name, layer in self.named_children() if layer in linear]
        self._squash = isinstance(layers[-1], nn.Tanh)

    def forward(self, x: th.Tensor) -> th.Tensor:
        """(n_agents * batch, in_features) -> (n_agents * batch, out_features)."""
        layers: list[Any] = [self._modules[name] for name in self._names]
        weights: list[Any] = [layer.weight for layer in layers]
        biases: list[Any] = [layer.bias for layer in layers]
        if self.frozen:
            weights = [weight.detach() for weight in weights]
            biases = [bias.detach() for bias in biases]
        return _MLP.apply(x, self.gradient_scale, self._squash, *weights, *biases)  # type: ignore[no-any-return,no-untyped-call]


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Within it a :class:`StackedMLP` passes gradients to its input only; other modules are left as they are."""
    if not isinstance(network, StackedMLP):
        yield
        return
    network.frozen = True
    try:
        yield
    finally:
        network.frozen = False


class _MLP(th.autograd.Function):
    """x -> tanh?(... relu(x W_1 + b_1) ... W_L + b_L), W_l (n_agents, in, out), b_l (n_agents, out)."""

    @staticmethod
    def forward(ctx: Any, x: th.Tensor, gradient_scale: float, squash: bool, *parameters: th.Tensor) -> th.Tensor:
        n_layers = len(parameters) // 2
        weights, biases = parameters[:n_layers], parameters[n_layers:]
        n_agents = len(weights[0])
        activations = [x.view(n_agents, -1, x.shape[-1])]
        for index, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            out = _product(activations[-1], weight).add_(bias.unsqueeze(1))
            if index < n_layers - 1:
                out.relu_()
            elif squash:
                out.tanh_()
            activations.append(out)
        ctx.save_for_backward(*activations, *weights)
        ctx.n_layers, ctx.gradient_scale, ctx.squash = n_layers, gradient_scale, squash
        return activations[-1].view(len(x), -1)

    @staticmethod
    def backward(ctx: Any, *grads: th.Tensor) -> tuple[Any, ...]:
        activations, weights = ctx.saved_tensors[: ctx.n_layers + 1], ctx.saved_tensors[ctx.n_layers + 1 :]
        input_needs, weights_need = ctx.needs_input_grad[0], ctx.needs_input_grad[3]
        delta = grads[0].reshape(activations[-1].shape) * ctx.gradient_scale
        if ctx.squash:
            delta = delta * (1 - activations[-1].square())
        weight_grads: list[th.Tensor | None] = [None] * ctx.n_layers
        bias_grads: list[th.Tensor | None] = [None] * ctx.n_layers
        for index in reversed(range(ctx.n_layers)):
            if weights_need:
                weight_grads[index] = _product(activations[index].transpose(1, 2), delta)
                bias_grads[index] = delta.sum(1)
            if index > 0 or input_needs:
                backwards = weights[index].transpose(1, 2)
                delta = delta * backwards if delta.shape[2] == 1 else th.bmm(delta, backwards)
            if index > 0:  # ReLU's derivative, in place
                th.ops.aten.threshold_backward.grad_input(delta, activations[index], 0, grad_input=delta)
        input_grad = delta.reshape(-1, delta.shape[-1]) if input_needs else None
        return input_grad, None, None, *weight_grads, *bias_grads


def _product(left: th.Tensor, right: th.Tensor) -> th.Tensor:
    """Batched product; a single column by matrix-vector products."""
    if right.shape[2] > 1 or left.device.type != "cpu":
        return th.bmm(left, right)
    return th.stack([th.mv(matrix, column[:, 0]) for matrix, column in zip(left, right, strict=True)]).unsqueeze(2)
