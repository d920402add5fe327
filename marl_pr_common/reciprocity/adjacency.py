"""Adjacency spaces S#(s) for batches of real-valued states (Definition 2 of arXiv 2304.05632): one class per strategy.

    same        S# = {s}
    noise       at most rho coordinates plus Gaussian noise, a fraction of the coordinate's running std
    resample    at most rho coordinates take a value that the agent saw elsewhere in the batch
    drop        at most rho coordinates at their running mean: the observation-matrix reading of Remark 1
    neighbours  the nearest rows of the batch. Rows that differ in few coordinates hardly exist among real-valued
                states, so this one relaxes the level rho to a rank

Only coordinates that vary are changed: in Ant-v5 24 of 105 are constant in random play; changing those does nothing.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

import torch as th

from marl_pr_common.reciprocity.config import ReciprocityConfig
from marl_pr_common.reciprocity.space import Seen, Strategy


class Same(Strategy):
    """S# = {s}; holes take the peer's running mean."""

    needs_moments = False
    holds_itself = True
    size = 1

    def propose(self, seen: Seen, changeable: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        nothing = seen.states[None][:0]
        return nothing, nothing.sum(-1)


class Perturbation(Strategy):
    """s with one to rho of the changeable coordinates replaced. The distance is how many differ, the l0 norm of
    Definition 2."""

    @abstractmethod
    def replace(self, seen: Seen, current: th.Tensor, agent: th.Tensor, chosen: th.Tensor) -> th.Tensor:
        """New values of the chosen coordinates.

        :param current: their values in s, (n_adjacent, n_agents, batch, rho)
        :param agent: whose they are, expands to ``chosen``
        :param chosen: which they are, like ``current``
        """

    def propose(self, seen: Seen, changeable: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        n_agents, batch, _ = seen.states.shape
        shape = (self.config.n_adjacent, n_agents, batch)
        chosen = _choose_coordinates(shape, self.config.rho, changeable, seen.generator)  # (*shape, rho)
        repeated = seen.states.expand(self.config.n_adjacent, -1, -1, -1)
        current = repeated.gather(-1, chosen)
        agent = th.arange(n_agents, device=chosen.device)[None, :, None, None]
        value = self.replace(seen, current, agent, chosen)
        # Unused places repeat the first coordinate; they must repeat its value too, or scatter would be ambiguous.
        value = th.where(chosen == chosen[..., :1], value[..., :1], value)
        # An agent none of whose coordinates varies has no adjacent state but s itself.
        value = th.where(changeable.any(-1)[None, :, None, None], value, current)
        differs = value != current
        differs[..., 1:] &= chosen[..., 1:] != chosen[..., :1]  # a repeated place counts once
        return repeated.clone().scatter_(-1, chosen, value), differs.sum(-1).to(seen.states.dtype)


class Noise(Perturbation):
    """Coordinates plus Gaussian noise; holes take the peer's running mean plus noise."""

    def replace(self, seen: Seen, current: th.Tensor, agent: th.Tensor, chosen: th.Tensor) -> th.Tensor:
        std = seen.std()[agent, chosen]
        return current + self.config.noise_scale * std * seen.normal(chosen.shape)

    def fill(self, seen: Seen, adjacent: th.Tensor, peer: th.Tensor, masks: th.Tensor) -> th.Tensor:
        return seen.mean()[peer] + self.config.noise_scale * seen.std()[peer] * seen.normal(adjacent.shape)


class Resample(Perturbation):
    """Coordinates take a value that the agent saw elsewhere in the batch; holes one that the peer saw."""

    def replace(self, seen: Seen, current: th.Tensor, agent: th.Tensor, chosen: th.Tensor) -> th.Tensor:
        return seen.states[agent, seen.rows(chosen.shape), chosen]

    def fill(self, seen: Seen, adjacent: th.Tensor, peer: th.Tensor, masks: th.Tensor) -> th.Tensor:
        coordinate = th.arange(adjacent.shape[2], device=adjacent.device)
        return seen.states[peer[..., None], seen.rows(adjacent.shape), coordinate]


class Drop(Perturbation):
    """Coordinates at their running mean; holes at the peer's."""

    def replace(self, seen: Seen, current: th.Tensor, agent: th.Tensor, chosen: th.Tensor) -> th.Tensor:
        return seen.mean()[agent, chosen]


class Neighbours(Strategy):
    """The nearest other rows of the agent's own batch; holes from the peer's row nearest in what both see."""

    def check(self, states: th.Tensor) -> None:
        batch, wanted = states.shape[1], self.config.n_adjacent
        if wanted >= batch:
            raise ValueError(
                f'n_adjacent={wanted} with a batch of {batch} rows per agent: adjacency "neighbours" needs '
                "n_adjacent < batch_size. Use fewer adjacent states or a larger batch."
            )

    def propose(self, seen: Seen, changeable: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        visible = seen.states * changeable[:, None]
        distance = METRICS[self.config.metric](visible, visible)  # (n_agents, batch, batch)
        distance.diagonal(dim1=-2, dim2=-1).fill_(th.inf)
        nearest, row = distance.topk(self.config.n_adjacent, dim=-1, largest=False)
        agent = th.arange(len(visible), device=visible.device)[:, None, None]
        return seen.states[agent, row].permute(2, 0, 1, 3), nearest.permute(2, 0, 1)

    def fill(self, seen: Seen, adjacent: th.Tensor, peer: th.Tensor, masks: th.Tensor) -> th.Tensor:
        return seen.states[peer, _nearest_peer_row(adjacent, seen.states, peer, masks)]


STRATEGIES: dict[str, type[Strategy]] = {
    "same": Same,
    "noise": Noise,
    "resample": Resample,
    "drop": Drop,
    "neighbours": Neighbours,
}
"""Option ``adjacency`` -> its class."""


def size(config: ReciprocityConfig) -> int:
    """abs(S#): the number of adjacent states per state, s itself included where it belongs."""
    return STRATEGIES[config.adjacency](config).size


def _choose_coordinates(
    shape: tuple[int, int, int], rho: int, changeable: th.Tensor, generator: th.Generator
) -> th.Tensor:
    """A uniformly random set of k <= rho changeable coordinates for every state, k uniform in 1..rho.

    Floyd's algorithm, vectorised: k draws give k distinct places. Places beyond k repeat the first coordinate.

    :return: (*shape, rho) indices
    """
    device = changeable.device
    count = changeable.sum(-1).clamp(min=1)  # (n_agents,)
    order = changeable.to(th.int8).argsort(dim=-1, descending=True, stable=True)  # changeable coordinates first
    available = count[None, :, None].expand(shape)
    level = th.minimum(th.randint(1, rho + 1, shape, generator=generator, device=device), available)
    places: list[th.Tensor] = []
    for m in range(rho):
        last = (available - level + m).clamp(min=0)
        uniform = th.rand(shape, generator=generator, device=device, dtype=th.float64)
        place = th.minimum((uniform * (last + 1)).long(), last)
        taken = th.zeros_like(place, dtype=th.bool)
        for earlier in places:
            taken |= earlier == place
        place = th.where(taken, last, place)
        places.append(place if m == 0 else th.where(m < level, place, places[0]))
    chosen = th.stack(places, dim=-1)
    agent = th.arange(shape[1], device=device)[None, :, None, None]
    return order[agent, chosen]


def _nearest_peer_row(adjacent: th.Tensor, states: th.Tensor, peer: th.Tensor, masks: th.Tensor) -> th.Tensor:
    """For every row the row of its peer's batch that is nearest in the coordinates that both see: (n_agents, batch)."""
    common = (masks[peer] & masks[:, None]).to(states.dtype)  # (n_agents, batch, dim)
    # |x - y|^2 over the common coordinates, without the term in x alone, which does not move the minimum
    theirs = states[peer[:, 0]] if bool((peer == peer[:, :1]).all()) else None
    if theirs is not None:
        distance = th.einsum("ibd,icd->ibc", common, theirs.square()) - 2 * th.einsum(
            "ibd,icd->ibc", common * adjacent, theirs
        )
        return distance.argmin(-1)
    rows = states[peer]  # (n_agents, batch, batch, dim)
    distance = th.einsum("ibd,ibcd->ibc", common, rows.square()) - 2 * th.einsum(
        "ibd,ibcd->ibc", common * adjacent, rows
    )
    return distance.argmin(-1)


def _l0(left: th.Tensor, right: th.Tensor) -> th.Tensor:
    return (left[:, :, None] != right[:, None]).sum(-1).to(left.dtype)


def _cosine(left: th.Tensor, right: th.Tensor) -> th.Tensor:
    left, right = (th.nn.functional.normalize(rows, dim=-1) for rows in (left, right))
    return (1 - left @ right.transpose(-1, -2)).clamp(min=0)


METRICS: dict[str, Callable[[th.Tensor, th.Tensor], th.Tensor]] = {"l0": _l0, "euclidean": th.cdist, "cosine": _cosine}
"""Option ``metric`` -> distances between all rows (n_agents, batch, dim) of both, (n_agents, batch, batch)."""
