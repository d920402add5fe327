"""Evaluations wait for the ends of episodes: one that has none is an error, after a number of steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gymnasium.wrappers import TimeLimit
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv

from marl_pr_common.config.mapping import check_count
from sb3_pr.envs.columns import is_team
from sb3_pr.finite import require_inside

LONGEST, LONGEST_OF_TEAM = 30_000, 10_000
"""Steps after which an evaluation waits no longer for the end of an episode: a minute on a slow machine."""


class EndlessEpisodeError(ValueError):
    """An episode of an evaluation doesn't end."""

    @classmethod
    def after(cls, steps: int, what: str) -> EndlessEpisodeError:
        """The error, which says what to do."""
        return cls(
            f"{what} after {steps:,} steps of an evaluation. Give the task a time limit "
            "(gymnasium.wrappers.TimeLimit, or truncations of a ParallelEnv); if its episodes are longer, set "
            "max_steps, in a run eval_max_steps."
        )


def bound(longest: int) -> Callable[[dict[str, Any], Any], None]:
    """What SB3's ``evaluate_policy`` calls after every step, in one evaluation: an error, if an episode doesn't end or
    an observation leaves its space. A function, which checkpoints of callbacks know to be no state.

    :param longest: steps of one episode, see :func:`longest`
    """
    at: dict[int, tuple[int, int]] = {}  # column -> episodes that had ended, steps since

    def look(found: dict[str, Any], _: Any) -> None:
        column, ended = found["i"], int(found["episode_counts"][found["i"]])
        before, steps = at.get(column, (ended, 0))
        # not SB3's current_lengths: they begin anew with each life that is lost in an Atari game
        steps = steps + 1 if before == ended else 1
        at[column] = ended, steps
        if steps >= longest and not found["done"]:
            raise EndlessEpisodeError.after(steps, "an episode had not ended")
        require_inside(found["new_observations"], found["env"].observation_space, "in an evaluation", "environment")

    return look


def longest(venv: VecEnv, max_steps: int | None) -> int:
    """Steps after which an episode counts as endless: as told, else the task's own time limit where that is longer than
    :data:`LONGEST`.

    :raises ValueError: unless ``max_steps`` is None or an integer >= 1
    """
    if max_steps is not None:
        check_count("max_steps", max_steps)
        return max_steps
    if is_team(venv):
        return LONGEST_OF_TEAM
    base = venv.unwrapped
    specs = [env.unwrapped.spec for env in base.envs] if isinstance(base, DummyVecEnv) else []
    limits = [getattr(spec, "max_episode_steps", None) for spec in specs]
    if isinstance(base, (DummyVecEnv, SubprocVecEnv)) and all(base.env_is_wrapped(TimeLimit)):  # others may not know
        limits += base.get_attr("_max_episode_steps")
    return max(LONGEST, *(limit or 0 for limit in limits), 0)
