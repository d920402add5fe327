"""Adjacency spaces S#(s) for batches of real-valued states (Definition 2 of arXiv 2304.05632).

    same        S# = {s}
    noise       at most rho coordinates plus Gaussian noise, a fraction of the coordinate's running std
    resample    at most rho coordinates take a value that the agent saw elsewhere in the batch
    drop        at most rho coordinates at their running mean: the observation-matrix reading of Remark 1
    neighbours  the nearest rows of the batch. Rows that differ in few coordinates hardly exist among real-valued
                states, so this one relaxes the level rho to a rank

Only coordinates that vary are changed: in Ant-v5 24 of 105 are constant in random play; changing those does nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch as th

from marl_pr_common.reciprocity.config import ReciprocityConfig
from marl_pr_common.reciprocity.mixture import adjacency_weights
from marl_pr_common.reciprocity.moments import RunningMoments


@dataclass(frozen=True)
class AdjacentStates:
    """The adjacency spaces of a batch.

    states: (n_adjacent, n_agents, batch, dim), s# of every state
    weights: (n_adjacent, n_agents, batch), w_s# of eq. 4, summing to 1 over n_adjacent
    """

    states: th.Tensor
    weights: th.Tensor


def size(config: ReciprocityConfig) -> int:
    """abs(S#): the number of adjacent states per state, s itself included where it belongs."""
    return 1 if config.adjacency == "same" else config.n_adjacent + int(config.include_self)


def adjacent_states(
    config: ReciprocityConfig,
    states: th.Tensor,
    moments: RunningMoments,
    changeable: th.Tensor,
    generator: th.Generator,
) -> AdjacentStates:
    """The adjacency space of every state of a batch.

    :param states: s, (n_agents, batch, dim)
    :param moments: running moments of the states, for "noise" and "drop"
    :param changeable: (n_agents, dim) booleans, the coordinates that may be changed or compared
    :param generator: all draws come from it, on the device of ``states``
    :raises ValueError: if "neighbours" asks for more rows than the batch has
    """
    if config.adjacency == "same":
        return AdjacentStates(states[None], th.ones_like(states[None, ..., 0]))
    if config.adjacency == "neighbours":
        found, distance = _neighbours(config, states, changeable)
    else:
        found, distance = _perturbed(config, states, moments, changeable, generator)
    if config.include_self:
        found = th.cat([states[None], found])
        distance = th.cat([th.zeros_like(distance[:1]), distance])
    return AdjacentStates(found, adjacency_weights(distance, config.weights, config.temperature))


def choose_one(adjacent: AdjacentStates, generator: th.Generator) -> th.Tensor:
    """One adjacent state per row, drawn with its weight: (n_agents, batch, dim)."""
    if len(adjacent.states) == 1:
        return adjacent.states[0]
    edges = adjacent.weights.cumsum(0)
    draw = th.rand(edges.shape[1:], generator=generator, device=edges.device, dtype=edges.dtype)
    choice = (draw * edges[-1] >= edges[:-1]).sum(0)  # (n_agents, batch)
    # rows of one long table: several times faster than indexing three axes
    place = choice * choice.numel() + th.arange(choice.numel(), device=choice.device).view(choice.shape)
    return adjacent.states.flatten(0, 2).index_select(0, place.flatten()).view(adjacent.states.shape[1:])


def fill_unseen(
    config: ReciprocityConfig,
    adjacent: th.Tensor,
    states: th.Tensor,
    peer: th.Tensor,
    masks: th.Tensor,
    moments: RunningMoments,
    generator: th.Generator,
) -> th.Tensor:
    """Project states of one agent to the view of another that sees other coordinates (Definition 1, Remark 1).

    Coordinates that the peer sees and the agent does not are a hole. It is filled from what the *peer* sees: its
    running mean ("same", "drop"), that plus noise ("noise"), a value from its rows of the batch ("resample"), or its
    row nearest in the coordinates that both see ("neighbours").

    :param adjacent: s#, (n_agents, batch, dim)
    :param states: s, (n_agents, batch, dim): what every agent saw in this batch
    :param peer: j, (n_agents, batch): which peer looks at each row
    :param masks: (n_agents, dim) booleans, what each agent sees
    :return: like ``adjacent``, with the holes filled; coordinates that the peer does not see are left alone
    """
    hole = masks[peer] & ~masks[:, None]  # (n_agents, batch, dim)
    if config.adjacency == "resample":
        row = th.randint(states.shape[1], adjacent.shape, generator=generator, device=states.device)
        fill = states[peer[..., None], row, th.arange(states.shape[2], device=states.device)]
    elif config.adjacency == "neighbours":
        fill = states[peer, _nearest_peer_row(adjacent, states, peer, masks)]
    else:
        fill = moments.mean[peer].to(states.dtype)
        if config.adjacency == "noise":
            noise = th.randn(adjacent.shape, generator=generator, device=states.device, dtype=states.dtype)
            fill = fill + config.noise_scale * moments.std[peer].to(states.dtype) * noise
    return th.where(hole, fill, adjacent)


def _perturbed(
    config: ReciprocityConfig,
    states: th.Tensor,
    moments: RunningMoments,
    changeable: th.Tensor,
    generator: th.Generator,
) -> tuple[th.Tensor, th.Tensor]:
    """s with one to rho of the changeable coordinates replaced, (n_adjacent, n_agents, batch, dim).

    :return: these states, and how many coordinates differ: rho_s#, the l0 norm of Definition 2, without the last axis
    """
    n_agents, batch, _ = states.shape
    shape = (config.n_adjacent, n_agents, batch)
    chosen = _choose_coordinates(shape, config.rho, changeable, generator)  # (*shape, rho)
    current = states.expand(config.n_adjacent, -1, -1, -1).gather(-1, chosen)
    agent = th.arange(n_agents, device=states.device)[None, :, None, None]
    if config.adjacency == "noise":
        std = moments.std.to(states.dtype)[agent, chosen]
        noise = th.randn(chosen.shape, generator=generator, device=states.device, dtype=states.dtype)
        value = current + config.noise_scale * std * noise
    elif config.adjacency == "resample":
        row = th.randint(batch, chosen.shape, generator=generator, device=states.device)
        value = states[agent, row, chosen]
    else:
        value = moments.mean.to(states.dtype)[agent, chosen]
    # Unused places repeat the first coordinate; they must repeat its value too, or scatter would be ambiguous.
    value = th.where(chosen == chosen[..., :1], value[..., :1], value)
    # An agent none of whose coordinates varies has no adjacent state but s itself.
    value = th.where(changeable.any(-1)[None, :, None, None], value, current)
    differs = value != current
    differs[..., 1:] &= chosen[..., 1:] != chosen[..., :1]  # a repeated place counts once
    found = states.expand(config.n_adjacent, -1, -1, -1).clone().scatter_(-1, chosen, value)
    return found, differs.sum(-1).to(states.dtype)


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


def _neighbours(config: ReciprocityConfig, states: th.Tensor, changeable: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
    """The n_adjacent nearest other rows of the agent's own batch, and their distances."""
    n_agents, batch, _ = states.shape
    if config.n_adjacent >= batch:
        raise ValueError(
            f'n_adjacent={config.n_adjacent} with a batch of {batch} rows per agent: adjacency "neighbours" needs '
            "n_adjacent < batch_size. Use fewer adjacent states or a larger batch."
        )
    visible = states * changeable[:, None]
    distance = _pairwise(visible, visible, config)  # (n_agents, batch, batch)
    distance.diagonal(dim1=-2, dim2=-1).fill_(th.inf)
    nearest, row = distance.topk(config.n_adjacent, dim=-1, largest=False)
    agent = th.arange(n_agents, device=states.device)[:, None, None]
    return states[agent, row].permute(2, 0, 1, 3), nearest.permute(2, 0, 1)


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


def _pairwise(left: th.Tensor, right: th.Tensor, config: ReciprocityConfig) -> th.Tensor:
    """Distances between all rows, (n_agents, batch, batch), in the configured metric."""
    if config.metric == "l0":
        return (left[:, :, None] != right[:, None]).sum(-1).to(left.dtype)
    if config.metric == "cosine":
        unit_left = th.nn.functional.normalize(left, dim=-1)
        unit_right = th.nn.functional.normalize(right, dim=-1)
        return (1 - unit_left @ unit_right.transpose(-1, -2)).clamp(min=0)
    return th.cdist(left, right)
