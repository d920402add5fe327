"""Rolling particle teams, for the tests of predator-prey and cooperative navigation."""

import numpy as np
import pytest

from marl_pr_common.envs.particles.pretrained_prey import find_parameters

try:
    find_parameters()
    NO_CHECKOUT = False
except FileNotFoundError:
    NO_CHECKOUT = True
needs_checkout = pytest.mark.skipif(NO_CHECKOUT, reason="no EPyMARL checkout at $EPYMARL_HOME or ~/epymarl")


def random_actions(env, rng):
    if env.continuous_actions:
        return {agent: rng.random(5).astype(np.float32) for agent in env.agents}
    return {agent: int(rng.integers(5)) for agent in env.agents}


def play(env, steps, seed=3):
    """All observations, rewards and ends of random predators, over episodes, as one vector."""
    rng = np.random.default_rng(seed)
    seen = []
    for _ in range(steps):
        if not env.agents:
            seen.extend(env.reset()[0].values())
        observations, rewards, terminated, truncated, _ = env.step(random_actions(env, rng))
        seen.extend(observations.values())
        seen.append([*rewards.values(), *terminated.values(), *truncated.values()])
    return np.concatenate(seen)
