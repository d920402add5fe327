"""What ``load`` and ``set_parameters`` are given: options of PR among them, and whose parameters they are."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Mapping
from typing import Any

import torch as th

from marl_pr_common.config.mapping import suggest
from sb3_pr import checks
from sb3_pr.envs.parallel import TeamVecEnv


class OtherAgents(RuntimeError, ValueError):
    """Parameters of another number of agents, or of critics, or other agents of an environment. A RuntimeError, as
    torch's for other shapes."""


def require_same_roles(model: Any, env: Any) -> None:
    """Agent i plays column i: of one world it must be the role that it has learnt.

    :param env: a VecEnv
    :raises OtherAgents: if an agent stands in another column than it did, or has other bounds of its actions
    """
    world = env.unwrapped
    if not isinstance(world, TeamVecEnv):
        return
    before, now = model.agent_names or [], world.agent_names
    for column, name in enumerate(now):
        if name in before and before.index(name) != column:
            raise OtherAgents(
                f"agent {name!r} was column {before.index(name)} of {before}, and is column {column} of the "
                f"environment's possible_agents {now}: another agent's policy would play it. List them in that order."
            )
    if before and before != now:
        warnings.warn(f"the agents were {before} and are {now}: each plays the one in its place.", stacklevel=3)
    known = model.own_action_spaces or ([model.action_space] * len(now) if model.shares_world else [])
    for name, was, own in zip(now, known, world.own_action_spaces, strict=False):
        if was != own:
            raise OtherAgents(
                f"agent {name!r} acted in {was}, and acts in {own} in this environment. Give it the bounds that it "
                "has learnt to act in, or wrap the environment."
            )


def gather(kwargs: dict[str, Any], trust: Any, pr_trust: str | None, upstream: type[Any]) -> bool:
    """Gather the options of ``load`` in ``kwargs``, those in ``custom_objects`` too: the file has them in one entry.

    :param trust: in the file, or if it is a string PR's
    :return: whether the file is trusted
    :raises ValueError: if PR's trust is given twice
    :raises UnknownOption: for a keyword that resembles an option but is none
    """
    if isinstance(trust, str) and pr_trust is not None:
        raise ValueError(f"trust={trust!r} and pr_trust={pr_trust!r}: PR's trust is given twice. Leave one out.")
    of_pr = trust if isinstance(trust, str) else pr_trust
    if of_pr is not None:
        kwargs["trust"] = of_pr
    custom = dict(kwargs.get("custom_objects") or {})
    for name in (*checks.PR_OPTIONS, "leader", "n_agents", "n_teams", "seeds"):
        if name in custom:
            kwargs.setdefault(name, custom.pop(name))
    if custom:
        kwargs["custom_objects"] = custom
    else:
        kwargs.pop("custom_objects", None)
    _refuse_misspelt(kwargs, upstream)
    return bool(trust) and not isinstance(trust, str)


def _refuse_misspelt(kwargs: dict[str, Any], upstream: type[Any]) -> None:
    """Like SB3 ``load`` takes any attribute of the model by name."""
    loading = inspect.signature(upstream.load).parameters
    known = [
        *inspect.signature(upstream.__init__).parameters,
        *loading,
        *checks.PR_OPTIONS,
        *checks.GROUP_OPTIONS,
        "pr_trust",
    ]
    for name in kwargs:
        if name not in known and (hint := suggest(name, known)):
            raise checks.UnknownOption(f"unknown option {name}={kwargs[name]!r}.{hint}")


def require_same_agents(model: Any, given: Mapping[str, Any]) -> None:
    """
    :param given: as from ``get_parameters``
    :raises OtherAgents: if its networks are of another number of agents than the model's, or of critics
    """
    own, others = model.policy.state_dict(), given.get("policy")
    if not isinstance(others, Mapping):
        return
    found = _number_of_agents(own, others, model.n_columns)
    if found != model.n_columns:
        raise OtherAgents(
            f"the parameters are of {found} agent(s), and the model has n_agents={model.n_agents}"
            f"{f', n_teams={model.n_teams}' if model.n_teams > 1 else ''}. Make the model with n_agents={found}. "
            f"{checks.OTHER_NUMBER}"
        )
    critics = [_number_of_critics(one) for one in (own, others)]
    if critics[0] != critics[1]:
        raise OtherAgents(
            f"the parameters have {critics[1]} critics per agent, and the model, own_critics={model.own_critics}, has "
            f"{critics[0]}. Make the model with the own_critics and n_critics that it was saved with."
        )


def _number_of_agents(own: Mapping[str, th.Tensor], others: Mapping[str, Any], n_agents: int) -> int:
    """Of how many ``others`` are, as linear layers tell: weights are (n_agents, in, out), a lone agent's (out, in).
    What each agent has in a module of its own may have any shape, and tells nothing."""
    for name, tensor in own.items():
        if n_agents > 1 and ".agents." in name:
            continue
        here, there = tuple(tensor.shape), tuple(getattr(others.get(name), "shape", ()))
        if len(here) == 2 and there[1:] == here[::-1]:
            return int(there[0])
        if n_agents > 1 and len(here) == 3 and here[1:] in (there[1:], there[::-1]):
            return int(there[0]) if len(there) == 3 else 1
    return n_agents


def _number_of_critics(state: Mapping[str, Any]) -> int:
    return len({found[1] for name in state if (found := re.match(r"critic\.qf(\d+)\.", name))})
