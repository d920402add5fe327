"""One record for every learner of EPyMARL that has reciprocity. Names, checks, saved files and the arms of studies are
read from it; nothing is imported for it, so that no checkout is needed.

To add one: its module beside this one, and a record here.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

OURS = "pr_"
"""What stands before the host's name of a learner in the name of ours."""
VALUES = ("auto", "Q")
STATE_VALUES = ("auto", "V", "A")


@dataclass(frozen=True)
class Record:
    """A learner.

    made_by: the class, as "module:name"
    algorithms: EPyMARL's configurations with it, without ``_ns``, and what figures call them
    z: what may be reciprocal, of option ``z``
    files: what it reads from a folder of saved networks
    has: options that not every learner has; any other value than their default is refused elsewhere
    one_reward: which of the algorithms learn from one reward for the team, whatever the task pays
    """

    made_by: str
    algorithms: Mapping[str, str]
    z: tuple[str, ...]
    files: tuple[str, ...]
    has: frozenset[str] = field(default_factory=frozenset)
    one_reward: tuple[str, ...] = ()


_OF_CRITICS = ("agent.th", "critic.th", "agent_opt.th")
LEARNERS: dict[str, Record] = {
    "q_learner": Record(
        "epymarl_pr.learners.q_learner:PRQLearner",
        {"qmix": "QMIX", "vdn": "VDN", "iql": "IQL"},
        VALUES,
        ("agent.th", "opt.th"),
        frozenset({"act", "shared_experience", "own_critics"}),
        one_reward=("qmix", "vdn"),
    ),
    "ppo_learner": Record(
        "epymarl_pr.learners.on_policy:PRPPOLearner", {"mappo": "MAPPO", "ippo": "IPPO"}, STATE_VALUES, _OF_CRITICS
    ),
    "actor_critic_learner": Record(
        "epymarl_pr.learners.on_policy:PRActorCriticLearner",
        {"maa2c": "MAA2C", "ia2c": "IA2C"},
        STATE_VALUES,
        _OF_CRITICS,
    ),
    "maddpg_learner": Record(
        "epymarl_pr.learners.maddpg:PRMADDPGLearner",
        {"maddpg": "MADDPG"},
        VALUES,
        ("agent.th", "agent_opt.th"),
        frozenset({"in_actor", "own_critics"}),
    ),
}
"""EPyMARL's name of a learner -> its record."""
WHY = {
    "in_actor": "an actor that a critic trains",
    "act": "agents that act on their values",
    "shared_experience": "values of each agent's own rows alone to regress on",
    "own_critics": "this control",
}
"""Option of :attr:`Record.has` -> what a learner without it has not."""


def made(path: str) -> Any:
    """The class of a record. The checkout must be importable.

    :param path: "module:name"
    """
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def which_have(option: str) -> list[str]:
    """EPyMARL's names of the learners with an option."""
    return [host for host, record in LEARNERS.items() if option in record.has]
