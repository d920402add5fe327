"""MAPTF's transfer loss, its weight and its option labels as pure functions."""

from __future__ import annotations

import math

import torch as th

UNAVAILABLE = -1e10
"""Score of an action that an agent does not have, as EPyMARL's."""


def transfer_weight(episode: int, c3: float) -> float:
    """f(e) = 0.5 + tanh(3 - c3 e) / 2: near 1 at first, 1/2 after 3 / c3 episodes, 0 in the end."""
    return 0.5 + math.tanh(3 - c3 * episode) / 2


def log_policy(scores: th.Tensor, available: th.Tensor) -> th.Tensor:
    """Log-probabilities of the available actions.

    :param scores: logits, or log-probabilities of all actions; (..., n_actions)
    :param available: (..., n_actions), 0 for actions that cannot be taken
    """
    return scores.masked_fill(available == 0, UNAVAILABLE).log_softmax(-1)


def transfer_loss(learner: th.Tensor, advisor: th.Tensor, imitates: th.Tensor) -> th.Tensor:
    """Mean cross-entropy CE(pi_w(.|o) || pi_i(.|o)); 0 where the option is no transfer. No gradient to advisors.

    :param learner: log pi_i(.|o_i), (n_agents, rows, n_actions)
    :param advisor: log pi_w(.|o_i) of the option w, same shape
    :param imitates: (n_agents, rows), whether w is another agent than i
    """
    entropy = -(advisor.detach().exp() * learner).sum(-1)
    return th.where(imitates, entropy, th.zeros_like(entropy)).mean()


def option_labels(option: th.Tensor, action: th.Tensor, greedy: th.Tensor) -> th.Tensor:
    """opa: 1 for the option that was followed, and for every agent that would have taken the same action.

    :param option: (...): index of the agent that was imitated
    :param action: (...): the action that was taken
    :param greedy: (..., n_agents): what each agent's policy prefers at the same observation
    :return: (..., n_agents), float
    """
    followed = th.nn.functional.one_hot(option, greedy.shape[-1]).bool()
    return (followed | (greedy == action[..., None])).float()
