"""What the numbers of EPyMARL's configurations must be for a run to use them.

Upstream dies of some (``test_interval=0`` divides by it) and is silent about others (``t_max=-5`` trains nothing). What
it gives a meaning stays: an interval of 0 logs or saves after every episode, ``lr=0`` holds networks still.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from epymarl_pr.launch import options
from epymarl_pr.launch.errors import UsageError
from marl_pr_common.config.mapping import Must


def _number(expected: str, low: float, high: float = math.inf, above: bool = False, infinite: bool = False) -> Must:
    def holds(value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        return (value > low if above else value >= low) and value <= high and (infinite or math.isfinite(value))

    return Must(expected, holds)


def _integer(low: int, high: float = math.inf) -> Must:
    expected = f"an integer >= {low}" if math.isinf(high) else f"an integer in [{low}, {high}]"
    return Must(expected, lambda value: type(value) is int and low <= value <= high)


FINITE = _number("a finite number", -math.inf)
POSITIVE = _number("a finite number > 0", 0, above=True)
NON_NEGATIVE = _number("a finite number >= 0", 0)
FRACTION = _number("a number in [0, 1]", 0, 1)
COUNT, WHOLE = _integer(1), _integer(0)

RUN = {
    "t_max": NON_NEGATIVE,
    "test_nepisode": COUNT,
    "test_interval": _number("a number of steps > 0 (more than t_max: no evaluation while training)", 0, above=True,
                             infinite=True),
    **dict.fromkeys(
        ("log_interval", "runner_log_interval", "learner_log_interval", "save_model_interval"),
        _number("a number of steps >= 0", 0, infinite=True),
    ),
}  # fmt: skip
"""What EPyMARL's programs and runners read."""
LEARNER = {
    "gamma": FRACTION,
    "lr": NON_NEGATIVE,
    "optim_alpha": NON_NEGATIVE,
    "optim_eps": NON_NEGATIVE,
    "grad_norm_clip": _number("a number > 0", 0, above=True, infinite=True),
    "target_update_interval_or_tau": POSITIVE,
}
"""What all of its learners read."""
_STEPS = {"q_nstep": Must("an integer >= 1 (1 is r + gamma V)", COUNT.holds)}
_ENTROPY = {"entropy_coef": FINITE}
_PAC = _STEPS | {
    "t_max": POSITIVE,
    "initial_entropy_coef": FINITE,
    "final_entropy_coef": FINITE,
    "entropy_end_ratio": POSITIVE,
}
UPSTREAM: dict[str, dict[str, Must]] = {
    "q_learner": {},
    "qtran_learner": {},
    "coma_learner": {"q_nstep": WHOLE, **_ENTROPY},  # "0 corresponds to default Q", says its configuration
    "actor_critic_learner": _STEPS | _ENTROPY,
    "ppo_learner": _STEPS | _ENTROPY | {"epochs": COUNT, "eps_clip": NON_NEGATIVE},
    "maddpg_learner": {"reg": FINITE},
    "pac_learner": _PAC,
    "pac_dcg_learner": _PAC | {"msg_iterations": WHOLE},
}
"""EPyMARL's learners, and what each reads further. Those of the user's may give any setting a meaning of their own."""
AGENTS = ("rnn", "rnn_ns", "rnn_feat")
_EXPLORING = {"epsilon_start": NON_NEGATIVE, "epsilon_finish": FRACTION, "epsilon_anneal_time": POSITIVE}
SELECTORS = {"epsilon_greedy": {**_EXPLORING, "evaluation_epsilon": FRACTION}, "multinomial": _EXPLORING}
QMIX = {"mixing_embed_dim": COUNT, "hypernet_layers": _integer(1, 2), "hypernet_embed": COUNT}


def check(config: Mapping[str, Any]) -> None:
    """Whether a run can use the numbers that it is given.

    :param config: the whole configuration of the run
    :raises UsageError: naming the first that it can't, and what it takes
    """
    for key, must in _expected(config).items():
        if key in config and not must.holds(config[key]):
            raise UsageError(f"{key}={config[key]}: expected {must.expected}.")


def _expected(config: Mapping[str, Any]) -> dict[str, Must]:
    learner = options.host_learner(config.get("learner"))
    found = dict(RUN)
    if learner in UPSTREAM:
        found |= LEARNER | UPSTREAM[learner]
        if learner == "q_learner" and config.get("mixer") == "qmix":
            found |= QMIX
    if config.get("agent") in AGENTS:
        found["hidden_dim"] = COUNT
    return found | SELECTORS.get(str(config.get("action_selector")), {})
