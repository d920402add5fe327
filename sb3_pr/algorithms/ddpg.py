"""DDPG with multi-agent Policy Reciprocity."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from stable_baselines3 import DDPG, TD3

from sb3_pr.algorithms import td3
from sb3_pr.algorithms.multi_agent import MultiAgent

SPEC = dataclasses.replace(td3.SPEC, upstream=DDPG, options=("action_noise", "noise_factor"))


class DDPGPR(MultiAgent, DDPG):
    """
    Deep Deterministic Policy Gradient (DDPG) with multi-agent Policy Reciprocity (PR).

    SB3 treats DDPG as TD3 with one critic and without its tricks; so does this. For the parameters see
    :class:`sb3_pr.TD3PR`. ``n_agents=1`` is SB3's DDPG, bit for bit; with ``kappa=0`` every agent follows a DDPG
    of its own, up to float32 rounding.
    """

    spec = SPEC
    policy_aliases = td3.TD3PR.policy_aliases
    upstream: ClassVar[type[TD3]] = DDPG
