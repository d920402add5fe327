"""IQL+PR on any discrete PettingZoo ParallelEnv: one compiled update per environment step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from marl_pr_common.checkpoint.environments import env_state, restore_env
from marl_pr_common.checkpoint.rng import generator_state
from marl_pr_common.envs.spaces import ObsSpace
from marl_pr_common.tabular.config import TabularConfig
from marl_pr_common.tabular.learner import TabularPR
from marl_pr_common.tabular.resume import Evaluation, restore_generators, resumable

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def observed_spaces(env: Any, ordinal: bool = False) -> list[ObsSpace]:
    """The ``ObsSpace`` of every possible agent: ``env.obs_space(agent)`` if it exists, else from its observation space.

    :param ordinal: whether features of plain ``Discrete`` and ``MultiDiscrete`` spaces are ordered
    :raises ValueError: if an observation space is neither Discrete nor MultiDiscrete
    """
    spaces = []
    for agent in env.possible_agents:
        unwrapped = getattr(env, "unwrapped", env)
        if hasattr(unwrapped, "obs_space"):
            spaces.append(unwrapped.obs_space(agent))
            continue
        space = env.observation_space(agent)
        sizes = (int(space.n),) if hasattr(space, "n") else tuple(np.ravel(getattr(space, "nvec", ())).tolist())
        if not sizes or not np.issubdtype(getattr(space, "dtype", np.float64), np.integer):
            raise ValueError(
                f"{agent} has the observation space {space}: tabular learning needs Discrete or MultiDiscrete. "
                f"Discretise it with a wrapper, or use the deep learners (sb3_pr, epymarl_pr)."
            )
        spaces.append(ObsSpace(sizes, ordinal=(ordinal,) * len(sizes)))
    return spaces


def n_actions_of(env: Any) -> int:
    """The number of actions, which must be the same for all agents.

    :raises ValueError: if an action space is not Discrete, or sizes differ
    """
    spaces = [env.action_space(agent) for agent in env.possible_agents]
    for agent, space in zip(env.possible_agents, spaces, strict=True):
        if not hasattr(space, "n"):
            raise ValueError(f"{agent} has the action space {space}: tabular learning needs Discrete actions.")
    sizes = {int(space.n) for space in spaces}
    if len(sizes) > 1:
        raise ValueError(
            f"Action spaces of sizes {sorted(sizes)}: values of peers are shared per action, so give all the same."
        )
    return sizes.pop()


class ParallelTrainer:
    """Trains one seed of ``TabularPR`` on a user's environment.

    :param make_env: returns a fresh ParallelEnv; called twice, for training and for evaluation
    :param config: how to learn; the default is the recommended decision mode
    :param gamma: discount
    :param epsilon: exploration, in [0, 1)
    :param seed: seed of the environment, the exploration and the evaluation
    :param graph: peer graph, (n_agents, n_agents); None is the complete graph
    :param ordinal: see :func:`observed_spaces`
    :raises ValueError: if the environment is not discrete, or epsilon is outside [0, 1)
    """

    def __init__(
        self,
        make_env: Callable[[], Any],
        config: TabularConfig | None = None,
        gamma: float = 0.99,
        epsilon: float = 0.1,
        seed: int = 0,
        graph: ArrayLike | None = None,
        ordinal: bool = False,
    ) -> None:
        if not 0.0 <= epsilon < 1.0:
            raise ValueError(f"epsilon={epsilon}: expected a probability in [0, 1).")
        self.env, self._test_env = make_env(), make_env()
        config = config or TabularConfig()
        spaces = observed_spaces(self.env, ordinal)
        self.learner = TabularPR(config.reciprocity(spaces, graph), n_actions_of(self.env), config, gamma)
        self.epsilon = epsilon
        self.total_steps = 0
        """Environment steps of all agents together."""
        self._agents = {agent: i for i, agent in enumerate(self.env.possible_agents)}
        self._first = [int(getattr(self.env.action_space(agent), "start", 0)) for agent in self._agents]
        self._lowest = [np.asarray(getattr(self.env.observation_space(agent), "start", 0)) for agent in self._agents]
        self._strides = [space.strides[list(space.keep)] for space in spaces]
        self._rng, self._test_rng = (np.random.default_rng([seed, stream]) for stream in (0, 1))
        self._observations, _ = self.env.reset(seed=seed)
        self._test_env.reset(seed=int(self._test_rng.integers(2**31)))

    def train(self, steps: int) -> None:
        """``steps`` environment steps of every agent; episodes go on where the last call stopped."""
        n = len(self._agents)
        for _ in range(steps):
            before, states = self._states(self._observations)
            actions = self.learner.act(states, self.epsilon, self._rng.random((1, n)), before)
            observations, reward, termination, _, _ = self.env.step(self._joint(self.env, actions))
            _, following = self._states(observations)
            rewards, terminated = np.zeros((1, n)), np.zeros((1, n), dtype=np.bool_)
            for agent in reward:
                rewards[0, self._agents[agent]] = reward[agent]
                terminated[0, self._agents[agent]] = termination[agent]
            self.learner.update(states, actions, rewards, following, terminated, before)
            self.total_steps += int(before.sum())
            self._observations = {agent: observations[agent] for agent in self.env.agents}
            if not self.env.agents:
                self._observations, _ = self.env.reset()

    def evaluate(self, episodes: int = 20) -> Evaluation:
        """Greedy episodes in an environment of its own; learning is not touched."""
        env, n = self._test_env, len(self._agents)
        returns = np.zeros((episodes, n))
        for episode in range(episodes):
            observations, _ = env.reset()
            while env.agents:
                active, states = self._states({agent: observations[agent] for agent in env.agents})
                actions = self.learner.act(states, 0.0, self._test_rng.random((1, n)), active)
                observations, reward, *_ = env.step(self._joint(env, actions))
                for agent, value in reward.items():
                    returns[episode, self._agents[agent]] += value
        return Evaluation(self.learner.steps, self.total_steps, returns)

    def state_dict(self) -> dict[str, Any]:
        """Learner, both environments and generators, for :func:`marl_pr_common.checkpoint.save`.

        :raises NotSaveable: if the state of the environment is not known; with ``state_dict()`` and
            ``load_state_dict(state)`` of its own it is
        """
        return {
            "learner": self.learner.state_dict(),
            "total_steps": self.total_steps,
            "envs": [env_state(self.env), env_state(self._test_env)],
            "rngs": [generator_state(self._rng), generator_state(self._test_rng)],
            "observations": dict(self._observations),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on, bit for bit, from :meth:`state_dict` of a trainer that was constructed the same way.

        :raises CheckpointError: if environment, shapes or generators differ
        """
        self.learner.load_state_dict(state["learner"])
        for env, saved in zip((self.env, self._test_env), state["envs"], strict=True):
            restore_env(env, saved)
        restore_generators((self._rng, self._test_rng), state["rngs"])
        self.total_steps, self._observations = state["total_steps"], state["observations"]

    def _states(self, observations: dict[str, Any]) -> tuple[NDArray[np.bool_], Ints]:
        """Which agents have an observation, and the state indices, (1, n_agents) each."""
        active = np.zeros((1, len(self._agents)), dtype=np.bool_)
        states = np.zeros((1, len(self._agents)), dtype=np.int64)
        for agent, observation in observations.items():
            i = self._agents[agent]
            active[0, i] = True
            states[0, i] = self._strides[i] @ np.ravel(observation - self._lowest[i])
        return active, states

    def _joint(self, env: Any, actions: Ints) -> dict[str, int]:
        return {agent: int(actions[0, self._agents[agent]]) + self._first[self._agents[agent]] for agent in env.agents}


def train_parallel(
    make_env: Callable[[], Any],
    config: TabularConfig | None = None,
    steps: int = 20_000,
    every: int = 1_000,
    episodes: int = 20,
    checkpoints: Path | str | None = None,
    **options: Any,
) -> tuple[TabularPR, list[Evaluation]]:
    """Train on a ParallelEnv and evaluate before, every ``every`` steps per agent, and at the end.

    :param checkpoints: directory for a checkpoint after every evaluation; if it holds one, training goes on from it,
        bit for bit. SIGTERM and SIGINT then save once and end the process
    :param options: further arguments of :class:`ParallelTrainer`, such as ``seed`` and ``gamma``
    :returns: the learner, and the evaluations in order
    """
    trainer = ParallelTrainer(make_env, config, **options)
    with resumable(trainer, checkpoints) as (evaluations, save):
        if not evaluations:
            evaluations.append(trainer.evaluate(episodes))
        while trainer.learner.steps < steps:
            trainer.train(min(every, steps - trainer.learner.steps))
            evaluations.append(trainer.evaluate(episodes))
            save()
    return trainer.learner, evaluations
