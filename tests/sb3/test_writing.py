"""Writing into the weights of several agents: on each as on a lone layer's, or refused before anything is changed."""

import copy

import pytest
import torch as th
from torch import nn

from sb3_pr.networks.stacking import stack
from sb3_pr.networks.surgery import SurgeryError

MASK = th.triu(th.ones(8, 8))


@pytest.fixture
def layer():
    return stack([nn.Linear(8, 8) for _ in range(3)])


@pytest.mark.parametrize(
    "write",
    [
        lambda layer: layer.weight.__setitem__([0, 1], 0.0),
        lambda layer: layer.weight.data.__setitem__(0, 0.0),
        lambda layer: layer.weight.__setitem__((slice(None), 0), 0.0),
        lambda layer: layer.bias.__setitem__(th.tensor([0, 1]), 0.0),
        lambda layer: layer.weight.data.index_fill_(0, th.tensor([0]), 0.0),
        lambda layer: layer.weight.copy_(MASK),
        lambda layer: layer.weight.data.__setitem__(slice(None), MASK),
        lambda layer: layer.weight.detach().mul_(MASK),
        lambda layer: layer.weight.data.__imul__(MASK),
        lambda layer: layer.weight.masked_fill_(MASK > 0, 0.0),
        lambda layer: layer.weight.data.triu_(),
        lambda layer: setattr(layer.weight, "data", MASK * layer.weight.data),
    ],
)
def test_what_acts_on_agents_where_a_lone_layers_acts_on_units_is_refused(layer, write):
    before = copy.deepcopy(layer.state_dict())
    with th.no_grad(), pytest.raises(SurgeryError, match=r"the weights of several agents.*layer\.matrices\(\)"):
        write(layer)
    assert all(th.equal(tensor, before[name]) for name, tensor in layer.state_dict().items())


def test_elements_units_and_agents_can_be_written(layer):
    before = layer.weight.detach().clone()
    with th.no_grad():
        layer.weight[layer.weight.abs() < 0.1] = 0
        layer.weight.data[:] = layer.weight * 2
        layer.bias.mul_(th.arange(8.0))
        for matrix, bias in zip(layer.matrices(), layer.biases(), strict=True):
            matrix[[0, 1]] = bias[[0, 1]] = 0.5
        layer.weight[2].mul_(3)
    expected = th.where(before.abs() < 0.1, 0, before * 2)
    expected[:, :, [0, 1]] = 0.5  # (n_agents, in, out)
    expected[2] *= 3
    assert th.equal(layer.weight, expected)
    assert (layer.bias[:, :2] == 0.5).all()
    layer.weight.data.copy_(before)
    layer.load_state_dict(copy.deepcopy(layer.state_dict()))
    assert th.equal(layer.weight, before)


def test_a_parameter_made_of_its_values_is_guarded_and_trains(layer):
    layer.weight = nn.Parameter(layer.weight.data)
    with pytest.raises(SurgeryError):
        layer.weight.data[0] = 0
    before = layer.weight.detach().clone()
    layer(th.ones(3, 8)).sum().backward()
    with th.no_grad():
        layer.weight.sub_(0.1 * layer.weight.grad)
    th.testing.assert_close(layer.weight.detach(), before - 0.1)
