"""What MAPTF's options learn, batched over the agents: one pass of each network for all of them.

after every `option_update_every` env steps:
    (a) terminations, on those steps:  beta_i(o', w) * stopgrad(Q_i(o', w) - max Q_i(o', .) + xi)
    (b) successor features, on a minibatch of the team's replay, every agent's head on every row:
            w* = argmax Q_i(o', .);  U = (1 - beta_i(o', w)) mbar_i(o', w) + beta_i(o', w) mbar_i(o', w*)
            |phi(o) + gamma (1 - done) U - m_i(o, w)|^2, averaged over w with weight opa
    (c) features and preferences, on the same rows:  (r - w_aid . phi(o))^2 + 0.1 |o - dec(phi(o))|^2
every `target_interval` updates: mbar <- m
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch as th
from torch import nn

from marl_pr_common.checkpoint.rng import generator_state, set_generator_state
from marl_pr_common.transfer.config import MAPTFConfig
from marl_pr_common.transfer.networks import OptionNetwork
from marl_pr_common.transfer.replay import OptionReplay, Transitions


class OptionLearner:
    """Networks, target, optimisers and replay of a team's options.

    :param obs_dim: columns of one agent's observation
    :param gamma: discount
    :param seed: of generators of its own, for the weights and for the minibatches
    """

    def __init__(self, obs_dim: int, n_agents: int, gamma: float, config: MAPTFConfig, seed: list[int]):
        self.n_agents, self.gamma, self.config = n_agents, gamma, config
        weights, rows = np.random.SeedSequence(seed).spawn(2)
        self.rng = np.random.default_rng(rows)
        generator = th.Generator().manual_seed(int(weights.generate_state(1)[0]))
        self.network = OptionNetwork(obs_dim, n_agents, config, generator)
        self.target = copy.deepcopy(self.network).requires_grad_(False)
        self.replay = OptionReplay(config.option_replay)
        self.updates = self.steps = 0
        """Updates so far, and env steps that were offered to them."""
        self.losses: dict[str, list[float]] = {}
        net, trunk = self.network, list(self.network.trunk.parameters())
        features = [*net.encoder.parameters(), *net.decoder.parameters(), *net.preferences.parameters()]
        self.optimisers = {
            "termination": th.optim.Adam([*trunk, *net.termination.parameters()], lr=config.termination_lr),
            "successor": th.optim.Adam([*trunk, *net.successor.parameters()], lr=config.option_lr),
            "reward": th.optim.Adam(features, lr=config.reward_lr),
        }

    def observe(self, rows: Transitions) -> None:
        """Take in env steps, and learn from them.

        :param rows: one row for each agent and step, the agents of a step side by side
        :raises ValueError: if the replay can't hold them beside the steps that still wait for an update
        """
        every, capacity = self.config.option_update_every, self.config.option_replay
        least = every * self.n_agents + len(rows.agent)
        if capacity < least:
            raise ValueError(
                f"option_replay={capacity}: expected at least {least}, which is option_update_every={every} steps of "
                f"{self.n_agents} agents and {len(rows.agent)} transitions of single agents in one round of episodes. "
                "Use a larger one."
            )
        self.replay.add(rows)
        while (self.steps + every) * self.n_agents <= self.replay.total:
            first, self.steps = self.steps, self.steps + every
            if self.steps > self.config.option_start:
                self.update(self.replay.window(first * self.n_agents, self.steps * self.n_agents))

    def update(self, newest: Transitions) -> None:
        """One update of everything.

        :param newest: the steps since the last one, for the terminations
        """
        config = self.config
        self._step("termination", self.termination_loss(newest), config.option_clip)
        rows = self.replay.sample(self.rng, config.option_batch_size)
        self._step("successor", self.successor_loss(rows), config.option_clip)
        self._step("reward", self.reward_loss(rows), config.reward_clip)
        self.updates += 1
        if self.updates % config.target_interval == 0:
            self.target.load_state_dict(self.network.state_dict())

    def termination_loss(self, rows: Transitions) -> th.Tensor:
        """(a): the mean over the rows that did not end the task."""
        rows = self._here(rows)
        _, successor, beta = self.network(rows.next_obs)
        row = th.arange(len(rows.agent), device=beta.device)
        with th.no_grad():
            values = self.network.values(successor)[row, rows.agent]
            advantage = values[row, rows.option] - values.max(-1).values + self.config.xi
        weight = (1 - rows.done) * advantage
        loss: th.Tensor = (beta[row, rows.agent, rows.option] * weight).sum() / (1 - rows.done).sum().clamp_min(1)
        return loss

    def successor_loss(self, rows: Transitions) -> th.Tensor:
        """(b): summed over features and agents' heads, averaged over options with weight opa, mean over rows."""
        rows = self._here(rows)
        features, successor, _ = self.network(rows.obs)
        with th.no_grad():
            goal = self.successor_target(features, rows)
        error = ((goal - successor) ** 2).sum(-1)  # (rows, n_agents, n_options)
        labels = rows.labels[:, None]
        loss: th.Tensor = ((labels * error).sum(-1) / labels.sum(-1)).sum(-1).mean()
        return loss

    @th.no_grad()
    def successor_target(self, features: th.Tensor, rows: Transitions) -> th.Tensor:
        """phi(o) + gamma (1 - done) U(o', w): (rows, n_agents, n_options, embedding)."""
        _, ahead, beta = self.network(rows.next_obs)
        _, held, _ = self.target(rows.next_obs)
        best = self.network.values(ahead).argmax(-1)[..., None, None].expand(-1, -1, 1, held.shape[-1])
        ends = beta[..., None]
        arrival = (1 - ends) * held + ends * held.gather(2, best)
        goal: th.Tensor = features[:, None, None] + self.gamma * (1 - rows.done)[:, None, None, None] * arrival
        return goal

    def reward_loss(self, rows: Transitions) -> th.Tensor:
        """(c): mean over rows; the reconstruction's error is summed over the observation."""
        rows = self._here(rows)
        features = self.network.encoder(rows.obs)
        predicted = self.network.preferences(features).gather(1, rows.agent[:, None])[:, 0]
        rebuilt = ((rows.obs - self.network.decoder(features)) ** 2).sum(-1)
        loss: th.Tensor = ((rows.reward - predicted) ** 2 + self.config.reconstruction * rebuilt).mean()
        return loss

    def _step(self, name: str, loss: th.Tensor, clip: float) -> None:
        optimiser = self.optimisers[name]
        parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
        for parameter, gradient in zip(parameters, th.autograd.grad(loss, parameters), strict=True):
            parameter.grad = gradient
        nn.utils.clip_grad_norm_(parameters, clip, error_if_nonfinite=True)
        optimiser.step()
        optimiser.zero_grad()
        total = self.losses.setdefault(name, [0.0, 0.0])
        total[0], total[1] = total[0] + float(loss.detach()), total[1] + 1

    def _here(self, rows: Transitions) -> Transitions:
        device = self.network.preferences.weight.device
        if device.type == "cpu":
            return rows
        return Transitions(**{name: column.to(device) for name, column in rows.parts().items()})

    def cuda(self) -> None:
        """Move the networks; the replay stays where it is."""
        self.network.cuda()
        self.target.cuda()

    def pop_statistics(self) -> dict[str, float]:
        """Mean losses since the last call; none without an update."""
        found = {f"{name}_loss": total / count for name, (total, count) in self.losses.items()}
        self.losses = {}
        return found

    def _named(self) -> Iterable[tuple[str, Any]]:
        yield from (("network", self.network), ("target", self.target), ("replay", self.replay))
        yield from self.optimisers.items()

    def state_dict(self) -> dict[str, Any]:
        """Everything, for a checkpoint."""
        parts = {name: part.state_dict() for name, part in self._named()}
        counts = {"updates": self.updates, "steps": self.steps}
        losses = {name: list(total) for name, total in self.losses.items()}
        return {**parts, **counts, "losses": losses, "rng": generator_state(self.rng)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""
        for name, part in self._named():
            part.load_state_dict(state[name])
        self.updates, self.steps = state["updates"], state["steps"]
        self.losses = {name: list(total) for name, total in state["losses"].items()}
        set_generator_state(self.rng, state["rng"])
