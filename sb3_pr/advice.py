"""What the constructor says once, where the options ask for what is of no use or was measured to do harm."""

from __future__ import annotations

import functools
import logging
from typing import Any

from sb3_pr.envs.columns import is_team

HARM = (
    "{name}: peers with equal weights among copies of one task lowered returns on HalfCheetah-v5 (ten seeds: area "
    "under the learning curve -580 [-970, -50] of TD3, -530 [-850, -270] of DDPG) and on Pendulum-v1 "
    '(-86 [-190, -16]), and no gain is shown on any task (docs/evidence.md). With trust="td" no harm is shown; '
    "shared_replay=True with kappa=0 is what helped on Pendulum-v1."
)


def on_peers(model: Any) -> None:
    """Say that one agent has no peers, and that among copies of a task equal weights did harm."""
    if model.env is None or model.pr.kappa == 0 or model.own_critics:
        return
    name = type(model).__name__
    if model.n_agents == 1:
        say(
            f"{name} with one agent has no peers: it is plain {model.upstream.__name__}, and kappa={model.pr.kappa} "
            "has no effect. Give n_agents=3, or an environment with several columns; kappa=0 says that none are meant."
        )
    elif (
        model.pr.trust == "uniform"
        and model.pr.peers != "matrix"
        and not model.shared_replay
        and not is_team(model.env)
    ):
        say(HARM.format(name=name))


@functools.cache  # once, and no warning: upstream has none there
def say(what: str) -> None:
    logging.getLogger("marl_pr.advice").warning(what)
