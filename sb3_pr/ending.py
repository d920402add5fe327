"""One of several teams that is not finite any more ends alone: the others go on, with the same numbers.

Its networks, optimisers and replay data become zeros, which stay finite and cost nothing to look at; what its
environments still return is thrown away.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import torch as th

from marl_pr_common.reciprocity.guards import NonFiniteError
from sb3_pr.networks.optimizers import AgentOptimizers
from sb3_pr.networks.stacking import agent_tensors

LOGGER = logging.getLogger("marl_pr")
_OF_SPACES = ("observations", "next_observations", "actions", "rewards")


def end(model: Any, agents: Any, error: NonFiniteError) -> None:
    """End the teams of these agents, of all teams' numbered through.

    :raises NonFiniteError: ``error``, if there is one team only, or none is left
    """
    if getattr(model, "n_teams", 1) == 1:
        raise error
    teams = {int(agent) // model.n_agents for agent in agents} - set(model.ended)
    if not teams or len(model.ended) + len(teams) == model.n_teams:
        raise error
    why = str(error).partition(". ")[0]
    for team in sorted(teams):
        model.ended = {**model.ended, team: why}
        columns = range(team * model.n_agents, (team + 1) * model.n_agents)
        LOGGER.warning(
            "team %d (seed %d, agents %d to %d of all) ends alone at step %d: %s. The other teams go on as they would "
            "without it. Its networks are wiped: its last checkpoint, or evaluation, is what there is of it.",
            *(team, model.seeds[team], columns[0], columns[-1], model.num_timesteps, why),
        )
        for column in columns:
            _wipe(model, column)
        _clear(model.replay_buffer, columns)


@th.no_grad()
def _wipe(model: Any, column: int) -> None:
    networks = [getattr(model.policy, name) for name in model.spec.networks]
    networks += [network for network in (getattr(model, "peer_critics", None),) if network is not None]
    for network in networks:
        optimizer = getattr(network, "optimizer", None)
        if isinstance(optimizer, AgentOptimizers):
            for moments in optimizer.agents[column].state.values():
                _zero([value for value in moments.values() if isinstance(value, th.Tensor) and value.ndim])
        for _, tensor, part in agent_tensors(network, column):
            moments = {} if optimizer is None else optimizer.state.get(tensor, {})
            _zero([part(tensor.detach()), *(part(value) for value in moments.values() if _like(value, tensor))])
            if tensor.grad is not None:
                part(tensor.grad).zero_()
    for _, tensor, optimizer in model.spec.learnt_by(model):
        alike = (value for value in optimizer.state.get(tensor, {}).values() if _like(value, tensor))
        _zero([whole[column] for whole in (tensor.detach(), tensor.grad, *alike) if whole is not None])


def _like(value: Any, tensor: th.Tensor) -> bool:
    return isinstance(value, th.Tensor) and value.shape == tensor.shape


def _zero(tensors: list[th.Tensor]) -> None:
    for tensor in tensors:
        tensor.zero_()


def _clear(buffer: Any, columns: range) -> None:
    rows = buffer.buffer_size if buffer.full else buffer.pos + 1
    for name in _OF_SPACES:
        kept = getattr(buffer, name, None)
        for array in kept.values() if isinstance(kept, dict) else [kept]:
            if array is not None:
                array[:rows, list(columns)] = 0


def cleaned(model: Any, action: Any, observations: Any, rewards: Any, infos: Any) -> tuple[Any, Any, Any]:
    """Actions, observations and rewards without what environments of ended teams returned; infos in place.

    The arrays are the environment's own, which may not be written to.
    """
    for team in model.ended:
        for info in infos[team * model.n_agents : (team + 1) * model.n_agents]:
            last = info.get("terminal_observation")
            if last is not None:
                info["terminal_observation"] = (
                    {key: np.zeros_like(part) for key, part in last.items()}
                    if isinstance(last, dict)
                    else np.zeros_like(last)
                )
    return blanked(model, action), blanked(model, observations), blanked(model, rewards)


def blanked(model: Any, values: Any) -> Any:
    """Zeros in the columns of ended teams, in a copy.

    :param values: (n_columns, ...) array or dictionary of arrays
    """
    if isinstance(values, dict):
        return {key: blanked(model, part) for key, part in values.items()}
    if model.ended:
        values = np.array(values)
        for team in model.ended:
            values[team * model.n_agents : (team + 1) * model.n_agents] = 0
    return values


def forgotten(model: Any, infos: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Infos without the episodes of ended teams."""
    if not model.ended:
        return infos
    return [{} if column // model.n_agents in model.ended else info for column, info in enumerate(infos)]
