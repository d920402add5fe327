"""Successor-representation options (MAPTF, section 4): features, preferences, successor features and terminations.

phi(o)               features of an observation; phi is learnt by reconstruction and reward prediction alone
w_i . phi(o)         reward of agent i
m_i(o, w)            discounted sum of the features that agent i will see while it follows option w
Q_i(o, w) = m_i . w_i
beta_i(o, w)         probability that option w of agent i ends at o
"""

from __future__ import annotations

import torch as th
from torch import nn

from marl_pr_common.transfer.config import MAPTFConfig

INIT_STD = 0.01


class OptionNetwork(nn.Module):
    """All options of a team: one pass answers for every agent and option.

    :param obs_dim: columns of one agent's observation
    :param n_agents: also the number of options
    :param generator: that the weights, N(0, 0.01), are drawn from; biases are 0. No global generator is used
    """

    def __init__(self, obs_dim: int, n_agents: int, config: MAPTFConfig, generator: th.Generator):
        super().__init__()
        hidden, size, features = config.encoder_hidden, config.option_hidden, config.embedding
        self.shape = (n_agents, n_agents, features)
        self.encoder = nn.Sequential(_linear(obs_dim, hidden), nn.ReLU(), _linear(hidden, features))
        self.decoder = nn.Sequential(_linear(features, hidden), nn.ReLU(), _linear(hidden, obs_dim))
        self.preferences = _linear(features, n_agents, bias=False)
        self.trunk = nn.Sequential(_linear(features, size), nn.ReLU6(), _linear(size, size), nn.ReLU6())
        self.successor = _linear(size, n_agents * n_agents * features)
        self.termination = _linear(size, n_agents * n_agents)
        for parameter in self.parameters():
            values = parameter.data.zero_()
            if values.ndim > 1:
                values.normal_(0.0, INIT_STD, generator=generator)

    def forward(self, obs: th.Tensor) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        """What every agent's heads say; phi gets no gradient from them.

        :param obs: (..., obs_dim)
        :return: phi (..., embedding), m (..., n_agents, n_options, embedding), beta (..., n_agents, n_options)
        """
        features = self.encoder(obs)
        hidden = self.trunk(features.detach())
        successor = self.successor(hidden).unflatten(-1, self.shape)
        return features, successor, self.termination(hidden).sigmoid().unflatten(-1, self.shape[:2])

    def values(self, successor: th.Tensor) -> th.Tensor:
        """Q_i(o, w) = m_i(o, w) . w_i.

        :param successor: (..., n_agents, n_options, embedding)
        :return: (..., n_agents, n_options)
        """
        return (successor * self.preferences.weight[:, None]).sum(-1)


def _linear(inputs: int, outputs: int, bias: bool = True) -> nn.Linear:
    """A layer without weights yet: torch's own initialisation would draw from the global generator."""
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, inputs, outputs, bias=bias)  # type: ignore[no-untyped-call]
    return layer
