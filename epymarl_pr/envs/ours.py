"""Our multi-agent environments in the form that EPyMARL's gymma wrapper takes, under gymnasium ids.

``pp-N-v0`` is predator-prey, ``spread-N-v0`` and ``spread-N-maptf-v0`` are cooperative navigation; ``navigation-N-v0``,
``landmarks-N-v0`` and ``blocker-N-v0`` the grid worlds of :mod:`epymarl_pr.envs.grids`; N from 2 to 9. What they are,
and their arguments, stands in :mod:`marl_pr_common.envs`; here is only the other shape of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import gymnasium
from gymnasium.spaces import Tuple
from numpy.typing import NDArray

from marl_pr_common.envs.registry import FAMILIES, parse

IDS = {
    family.gym_id.format(size): family.name.format(size)
    for family in FAMILIES
    for size in family.sizes
    if family.gym_id
}
"""Gymnasium id -> what ``marl_pr_common.envs.make`` calls it."""
PARTICLES, GRIDS = "epymarl_pr.envs.ours:TeamEnv", "epymarl_pr.envs.grids:GridTeam"
"""The classes that gymnasium makes."""


class AnyEndIsTheLimit(float):
    """The number 1 for ``info["episode_limit"]`` that says: if the episode ends here, a time limit ends it.

    EPyMARL's episode runner stores ``terminated != info["episode_limit"]`` as the terminal flag of every step, and ends
    an episode at a gymnasium ``TimeLimit`` of ``env_args.time_limit`` steps, which stands outside the environment and
    sets no such key. The environment cannot know that limit, but it has no other ends: this number differs from
    neither True nor False, so that no step is stored as terminal whoever fires first. In sums it is 1.0.
    """

    def __eq__(self, other: object) -> bool:
        return isinstance(other, bool) or float(self) == other

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(1.0)


class TupleEnv(gymnasium.Env[tuple[NDArray[Any], ...], Sequence[int]]):
    """A team as one gymnasium environment with tuples of spaces.

    :param team: a ParallelEnv
    """

    def __init__(self, team: Any) -> None:
        self._team = team
        self._names: list[str] = team.possible_agents
        self.render_mode = team.render_mode
        self.n_agents = len(self._names)
        self.observation_space = Tuple([team.observation_space(agent) for agent in self._names])
        self.action_space = Tuple([team.action_space(agent) for agent in self._names])

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[tuple[NDArray[Any], ...], dict[str, Any]]:
        """One observation per agent, (obs_dim,) each."""
        observations, _ = self._team.reset(seed=seed, options=options)
        return self._in_order(observations), {}

    def render(self) -> Any:
        """What the team shows."""
        return self._team.render()

    def close(self) -> None:
        """Close a window, if there is one."""
        self._team.close()

    def _by_name(self, action: Sequence[int]) -> dict[str, int]:
        if len(action) != self.n_agents:
            raise ValueError(f"{len(action)} actions for {self.n_agents} agents: expected one for each.")
        return dict(zip(self._names, action, strict=True))

    def _in_order(self, observations: dict[str, NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        return tuple(observations[agent] for agent in self._names)


class TeamEnv(TupleEnv):
    """A ParallelEnv of :mod:`marl_pr_common.envs` as one gymnasium environment with tuples of spaces.

    :param name: what ``marl_pr_common.envs.make`` takes, such as "PredatorPrey-6"
    :param options: arguments of that environment, such as ``prey="flee"`` or ``max_cycles=25``
    :raises ValueError: for values that it refuses
    """

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        "render_modes": ["rgb_array", "human"],
        "render_fps": 10,
    }

    def __init__(self, name: str, **options: Any) -> None:
        from marl_pr_common.envs import make

        super().__init__(make(name, **options))

    def seed(self, seed: int | None = None) -> None:
        """Restart all random streams; resets without a seed go on from there. EPyMARL calls this once per worker."""
        self._team.seed(seed)

    def step(self, action: Sequence[int]) -> tuple[tuple[NDArray[Any], ...], list[float], bool, bool, dict[str, Any]]:  # type: ignore[override]
        """One action per agent in, one reward per agent out; ``truncated`` at the time limit, never ``terminated``.

        :raises ValueError: for another number of actions than agents, or an action that the environment refuses
        """
        observations, rewards, _, truncated, _ = self._team.step(self._by_name(action))
        rewards_in_order = [rewards[agent] for agent in self._names]
        info = {"episode_limit": AnyEndIsTheLimit(1)}
        return self._in_order(observations), rewards_in_order, False, any(truncated.values()), info

    def get_state(self) -> dict[str, Any]:
        """Exact state, random streams included, as arrays, numbers and strings."""
        state: dict[str, Any] = self._team.get_state()
        return state

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from ``get_state()`` of an environment made with the same arguments."""
        self._team.set_state(state)


def env_args(key: str | None) -> dict[str, Any]:
    """What a configuration of one of this module's environments holds beside ``key``; empty for any other key.

    :param key: such as "epymarl_pr:pp-6-v0"
    """
    name = task_name(key)
    if name is None:
        return {}
    family = parse(name).family
    return {"time_limit": family.limit, **family.env_args}


def task_name(key: str | None) -> str | None:
    """What ``marl_pr_common.envs.make`` calls the environment of a gymnasium id; None for any other id.

    :param key: such as "epymarl_pr:pp-6-v0"
    """
    return IDS.get(str(key).removeprefix("epymarl_pr:"))


def register_environments() -> None:
    """Tell gymnasium the ids of this module; a second call changes nothing."""
    for key, name in IDS.items():
        if key not in gymnasium.registry:
            gymnasium.register(
                key,
                entry_point=GRIDS if parse(name).family.spec else PARTICLES,
                kwargs={"name": name},
                disable_env_checker=True,  # it knows single-agent rewards only
                order_enforce=False,
            )
