"""A stacked multi-layer perceptron with one forward and one backward pass for all agents.

The same arithmetic as its layers one by one (tests compare them), with less around the matrix products: bias and ReLU
in place, no product with a single output column (a matrix-vector product is several times faster), and, where only the
input's gradient is wanted, none for the weights. Before each use it is looked at whether the layers one by one would
do anything else: other layers, hooks, tracing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch as th
from torch import nn
from torch.autograd import forward_ad
from torch.jit import is_tracing  # type: ignore[attr-defined]
from torch.nn.modules.module import _has_any_global_hook

from sb3_pr.networks.layers import StackedLinear
from sb3_pr.networks.parameters import by_agent


class StackedMLP(nn.Sequential):
    """Stacked layers one after the other: SB3's Sequential by names and slices, fused where it is a perceptron.

    frozen: whether only the input receives a gradient
    """

    frozen: bool = False

    def forward(self, input: th.Tensor) -> th.Tensor:
        """(n_agents * batch, in_features) -> (n_agents * batch, out_features)."""
        layers = self._perceptron()
        if layers is None or _somebody_looks_on():
            return super().forward(input)  # type: ignore[no-any-return,no-untyped-call]
        weights = [layer.weight for layer in layers]
        biases: list[Any] = [layer.bias for layer in layers]
        if self.frozen and not any(_has_hooks(parameter) for parameter in (*weights, *biases)):
            weights = [th.Tensor.detach(weight) for weight in weights]  # not guarded: quicker
            biases = [th.Tensor.detach(bias) for bias in biases]
        squash = 2 * len(layers) == len(self._modules)
        return _MLP.apply(input, squash, *weights, *biases)  # type: ignore[no-any-return,no-untyped-call]

    def _perceptron(self) -> list[StackedLinear] | None:
        """The linear layers, if the layers are StackedLinear, ReLU, StackedLinear, ..., and at most a Tanh at the end,
        nothing hangs on them, and every linear layer has a bias."""
        layers: list[Any] = list(self._modules.values())
        linear = layers[::2]
        for index, layer in enumerate(layers):
            kind = type(layer)
            if index % 2 == 0:
                fits = kind is StackedLinear and layer._parameters["bias"] is not None
            else:
                fits = kind is nn.ReLU or (kind is nn.Tanh and index == len(layers) - 1)
            if not fits or hung_on(layer):
                return None
        # a ReLU at the end, as in the slice mlp[:-1], is not what the fused pass computes
        return linear if linear and (len(layers) % 2 == 1 or type(layers[-1]) is nn.Tanh) else None

    def insert(self, index: int, module: nn.Module) -> StackedMLP:
        """As in ``nn.Sequential``; what may not stand here is refused before the others are moved."""
        if hasattr(self._modules, "fitting"):
            module = self._modules.fitting(str(index), module)
        super().insert(index, module)
        return self

    def __delitem__(self, idx: slice | int) -> None:
        guarded = self._modules
        super().__delitem__(idx)
        if hasattr(guarded, "with_items"):
            self.__dict__["_modules"] = guarded.with_items(self._modules)


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


FEW = 8
"""Agents up to which a single output is computed as a lone layer would."""


class _MLP(th.autograd.Function):
    """x -> tanh?(... relu(x W_1 + b_1) ... W_L + b_L), W_l (n_agents, in, out), b_l (n_agents, out)."""

    @staticmethod
    def forward(ctx: Any, x: th.Tensor, squash: bool, *parameters: th.Tensor) -> th.Tensor:
        n_layers = len(parameters) // 2
        weights, biases = parameters[:n_layers], parameters[n_layers:]
        n_agents = len(weights[0])
        activations = [by_agent(x, n_agents)]
        for index, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            out = _product(activations[-1], weight).add_(bias.unsqueeze(1))
            if index < n_layers - 1:
                out.relu_()
            elif squash:
                out.tanh_()
            activations.append(out)
        ctx.save_for_backward(x, *activations[1:], *parameters)
        ctx.n_layers, ctx.squash = n_layers, squash
        return activations[-1].view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *grads: th.Tensor) -> tuple[Any, ...]:
        n = ctx.n_layers
        x, activations, parameters = ctx.saved_tensors[0], ctx.saved_tensors[1 : n + 1], ctx.saved_tensors[n + 1 :]
        needed = ctx.needs_input_grad
        if th.is_grad_enabled():  # with create_graph=True the gradient is differentiated again: a gradient penalty, say
            return _differentiable(x, ctx.squash, parameters, grads[0], needed)
        weights_need, biases_need = needed[2 : n + 2], needed[n + 2 :]
        activations = [x.reshape(len(parameters[0]), -1, x.shape[-1]), *activations]
        delta = grads[0].reshape(activations[-1].shape)
        if ctx.squash:
            delta = delta * (1 - activations[-1].square())
        found: list[th.Tensor | None] = [None] * (2 * n)
        for index in reversed(range(n)):
            if weights_need[index]:
                found[index] = _product(activations[index].transpose(1, 2), delta)
            if biases_need[index]:
                found[n + index] = delta.sum(1)
            if not (needed[0] or any(weights_need[:index]) or any(biases_need[:index])):
                return None, None, *found
            backwards = parameters[index].transpose(1, 2)
            delta = delta * backwards if delta.shape[2] == 1 else th.bmm(delta, backwards)
            if index > 0:  # ReLU's derivative, in place
                th.ops.aten.threshold_backward.grad_input(delta, activations[index], 0, grad_input=delta)
        return delta.view(x.shape), None, *found


def _differentiable(
    x: th.Tensor, squash: bool, parameters: Sequence[th.Tensor], grad: th.Tensor, needed: Sequence[bool]
) -> tuple[Any, ...]:
    """The gradients as functions of everything that they depend on: by autograd, layer by layer."""
    n_layers = len(parameters) // 2
    out = x.reshape(len(parameters[0]), -1, x.shape[-1])
    for index in range(n_layers):
        out = th.baddbmm(parameters[n_layers + index].unsqueeze(1), out, parameters[index])
        if index < n_layers - 1:
            out = out.relu()
    out = (out.tanh() if squash else out).view(*x.shape[:-1], -1)
    inputs = (x, None, *parameters)
    wanted = [tensor for tensor, need in zip(inputs, needed, strict=True) if need and tensor is not None]
    found = iter(th.autograd.grad(out, wanted, grad, create_graph=True))
    return tuple(next(found) if need else None for need in needed)


def _product(left: th.Tensor, right: th.Tensor) -> th.Tensor:
    """Batched product. A single column, for which batched products are slow, by matrix-vector products, which have the
    bits of a lone layer's; of many agents by multiplying and adding up, five times sooner for 30."""
    if right.shape[2] > 1 or left.device.type != "cpu":
        return th.bmm(left, right)
    if len(left) > FEW:
        return (left * right.transpose(1, 2)).sum(2, keepdim=True)
    return th.stack([th.mv(matrix, column[:, 0]) for matrix, column in zip(left, right, strict=True)]).unsqueeze(2)


def hung_on(module: nn.Module) -> bool:
    """Whether a hook may own the weight (weight_norm, pruning), or look at what one agent's layer does."""
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    return any(hooks) or "forward" in module.__dict__


def _somebody_looks_on() -> bool:
    """Whether hooks of all modules, a tracer, a compiler, another way to differentiate or autocast want every layer."""
    return bool(
        th.compiler.is_compiling()
        or is_tracing()  # type: ignore[no-untyped-call]
        or _has_any_global_hook()  # type: ignore[no-untyped-call]
        or th._C._are_functorch_transforms_active()
        or th._C._is_any_autocast_enabled()
        or forward_ad._current_level >= 0
    )


def _has_hooks(parameter: Any) -> bool:
    return bool(parameter._backward_hooks or parameter._post_accumulate_grad_hooks)
