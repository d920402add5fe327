"""Random environments in which agents come, go, wait and leave out what they may, and what must be learnt from them.

``NUMBA_BOUNDSCHECK=1 python -m tests.tabular.chaos`` runs them all, with a NUMBA_CACHE_DIR of its own.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium import spaces

from marl_pr_common.reciprocity import peers
from marl_pr_common.tabular import (
    ParallelTrainer,
    Power,
    TabularConfig,
    TheoryWarning,
    decision,
    faithful,
    iql,
)
from marl_pr_common.tabular.kernels import keep_allowed
from marl_pr_common.tabular.learner import TabularPR
from tests.tabular.vectorised import schedule

CONFIGS = {
    "iql": iql(),
    "faithful": faithful(),
    "decision": decision(Power(1.0, 0.65)),
    "decision, no blend": decision(trust=None),
    "decision, mean": TabularConfig(weighting="mean", kappa=0.5, q_init=1.0),
}
N_STATES, N_ACTIONS, GAMMA = 5, 3, 0.9


class Chaos:
    """Three agents; the cell is drawn anew each step. ``log`` has what was said and sent, as dicts.

    :param masks: "infos", "observations" or ""
    :param wrong: changes the dicts of one step, from the seventh on, into something that must be refused
    """

    def __init__(self, seed: int, masks: str = "", wrong: Callable[..., Any] | None = None) -> None:
        self.rng, self.masks, self.wrong = np.random.default_rng(seed), masks, wrong
        self.possible_agents = ["a", "b", "c"]
        seen: Any = spaces.Discrete(N_STATES, start=2)
        if masks == "observations":
            seen = spaces.Dict(observation=seen, action_mask=spaces.MultiBinary(N_ACTIONS))
        self.seen, self.moves = seen, spaces.Discrete(N_ACTIONS, start=-1)
        self.log: list[Any] = []
        self.steps = 0

    def state_dict(self) -> dict[str, Any]:
        return {"agents": self.agents, "t": self.t, "steps": self.steps, "rng": self.rng.bit_generator.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.agents, self.t, self.steps = state["agents"], state["t"], state["steps"]
        self.rng.bit_generator.state = state["rng"]

    def observation_space(self, agent: str) -> Any:
        return self.seen

    def action_space(self, agent: str) -> Any:
        return self.moves

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.t = 0
        self.agents = [a for a in self.possible_agents if self.rng.random() < 0.7] or ["b"]
        told = self.told([a for a in self.agents if self.rng.random() < 0.8])
        self.log.append(("reset", list(self.agents), *told))
        return told

    def told(self, agents: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Observations and infos of some agents; a mask in three of four infos."""
        cells = {a: int(self.rng.integers(2, 2 + N_STATES)) for a in agents}
        allowed = {a: [int(x) for x in self.rng.random(N_ACTIONS) < 0.6] for a in agents}
        for mask in allowed.values():
            mask[1] |= not any(mask)
        if self.masks == "observations":
            return {a: {"observation": cells[a], "action_mask": allowed[a]} for a in agents}, {}
        infos = {a: {"action_mask": allowed[a]} for a in agents if self.masks and self.rng.random() < 0.75}
        return cells, infos

    def step(self, actions: dict[str, int]) -> Any:
        assert list(actions) == self.agents
        assert all(self.moves.contains(action) for action in actions.values())
        self.t += 1
        self.steps += 1
        ways = dict(zip(self.agents, self.rng.choice(8, len(actions), p=[0.5, *[0.5 / 7] * 7]), strict=True))
        if self.t == 30:
            ways = dict.fromkeys(ways, 2)
        # 0 goes on, 1 terminated, 2 truncated, 3 truncated unseen, 4 gone in silence, 5 gone and seen, 6 and 7 waits
        self.agents = [a for a, way in ways.items() if way in (0, 6, 7)]
        late = [a for a in self.possible_agents if a not in actions and self.rng.random() < 0.1]
        observations, infos = self.told([a for a, way in ways.items() if way in (0, 1, 2, 5)] + late)
        self.agents += late
        rewards = {a: float(self.rng.normal()) for a, way in ways.items() if way != 6}
        over = {a: way == 1 for a, way in ways.items() if way not in (4, 6)}
        cut = {a: bool(way in (2, 3) or (way == 1 and self.t % 2)) for a, way in ways.items() if way not in (4, 6)}
        answer = [observations, rewards, over, cut, infos]
        if self.wrong and self.steps >= 7:
            self.wrong(self, *answer)
        self.log.append(("step", actions, list(self.agents or ()), *answer))
        return tuple(answer)


def reference(log: list[Any], config: TabularConfig, learner: TabularPR) -> tuple[np.ndarray, np.ndarray]:
    """Tables and visits by eq. 1, 4, 5 and 6 over the log, agent by agent, in dicts and plain Python.

    Q_star of all agents comes from ``Reciprocity.q_star``, which is held to loops over eq. 4 and 6 elsewhere.
    """
    shape = (3, N_STATES, N_ACTIONS)
    q, n = np.full(shape, config.q_init), np.zeros(shape, dtype=int)
    index, steps, masked = {"a": 0, "b": 1, "c": 2}, 0, False
    here: dict[str, tuple[int, list[int]]] = {}
    under_way: dict[str, list[Any]] = {}
    for kind, *entry in log:
        if kind == "reset":
            agents, observations, infos = entry
            here, under_way = {a: told(a, observations, infos) for a in agents if a in observations}, {}
            masked |= any(None is not mask for _, mask in here.values()) or bool(infos)
            continue
        actions, agents, observations, rewards, over, cut, infos = entry
        for a, (s, mask) in here.items():
            assert mask is None or mask[actions[a] + 1], f"{a} took {actions[a]} of {mask}"
            under_way[a] = [s, actions[a] + 1, 0.0, 1.0]
        after = {a: told(a, observations, infos) for a in observations}
        masked |= any(mask is not None for a, (_, mask) in after.items() if not over.get(a))
        masked |= any(a in agents for a in infos)
        hat, star = peers_values(learner, config, q, n, steps, masked)
        changes = []
        for a, transition in list(under_way.items()):
            s, u, _, _ = transition
            transition[2] += transition[3] * rewards.get(a, 0.0)
            transition[3] *= GAMMA
            i, known = index[a], a in after and (a in agents or a in over or a in cut)
            if over.get(a) or known:
                value = 0.0
                if not over.get(a):
                    following, mask = after[a]
                    value = max(hat[i, following, v] for v in range(N_ACTIONS) if mask is None or mask[v])
                changes.append((i, s, u, transition[2] + transition[3] * value, star[i, s, u]))
            if over.get(a) or cut.get(a) or known:
                del under_way[a]
        for i, s, u, target, pulled in changes:
            k, old = n[i, s, u], q[i, s, u]
            q[i, s, u] += float(config.alpha(k, k)) * (target - old)
            if config.mode == "faithful":
                q[i, s, u] += float(config.beta(k, k)) * (pulled - old)
            n[i, s, u] += 1
        here = {a: after[a] for a in agents if a in after}
        steps += 1
    return q, n


def told(agent: str, observations: Any, infos: Any) -> tuple[int, list[int] | None]:
    """State and mask."""
    found = observations[agent]
    if isinstance(found, dict):
        return found["observation"] - 2, found["action_mask"]
    return found - 2, infos.get(agent, {}).get("action_mask")


def peers_values(
    learner: TabularPR, config: TabularConfig, q: np.ndarray, n: np.ndarray, steps: int, masked: bool
) -> tuple[np.ndarray, np.ndarray]:
    """What is bootstrapped on, and Q_star, of all agents, states and actions."""
    pull = schedule(learner.rules.pull, n, np.broadcast_to(n.sum(axis=0), n.shape))
    star = learner.reciprocity.q_star(q, pull, n, steps, masked)
    if config.mode == "faithful":
        return q, star
    weight = 1.0 if config.trust is None else config.trust / (config.trust + n)
    return q + weight * (star - q), star


def run(seed: int, name: str, masks: str = "", graph: Any = None, wrong: Any = None, steps: int = 150) -> Any:
    """A trainer after some steps in ``Chaos``, and its environment."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TheoryWarning)
        trainer = ParallelTrainer(
            lambda: Chaos(seed, masks, wrong), CONFIGS[name], GAMMA, epsilon=0.3, seed=seed, graph=graph
        )
    trainer.train(steps)
    trainer.evaluate(2)
    return trainer


def check(seed: int, name: str, masks: str = "", graph: Any = None) -> None:
    """Compare a trainer with the reference."""
    trainer = run(seed, name, masks, graph)
    q, n = reference(trainer.env.log, CONFIGS[name], trainer.learner)
    assert n.sum() > 50
    np.testing.assert_array_equal(trainer.learner.tables.n[0], n)
    np.testing.assert_allclose(trainer.learner.q[0], q, rtol=0, atol=1e-9)


def some(agents: Any, value: Any) -> Callable[..., Any]:
    """Set an entry of one dict of a step for an agent that is there."""

    def change(env: Chaos, *answer: Any) -> None:
        if env.agents:
            answer[agents][env.agents[0]] = value

    return change


WRONG = [
    *(some(0, value) for value in (1, 7, -1, 10**9, -(10**9), 2.5, None, "2", [2, 2], np.nan, np.int64(-(2**63)))),
    *(some(1, value) for value in (np.nan, np.inf, None, "1", [1.0, 2.0], 1e300)),
    *(some(number, value) for number in (2, 3) for value in (None, "no", 2, True)),
    *(some(4, {"action_mask": mask}) for mask in ([1], [1] * 4, [2, 0, 0], [-1, 1, 1], "111", 1)),
    *(some(4, value) for value in ("mask", [1, 1, 1])),
    lambda env, *_: env.agents.append("d"),
    lambda env, *_: env.agents.extend(["a", "a"]),
    lambda env, observations, *_: observations.update(d=2),
    lambda env, observations, rewards, *_: rewards.update(d=2.0),
    lambda env, *_: setattr(env, "agents", None),
]


def everything() -> None:
    """All configurations, forms of masks and violations once, where bounds are checked."""
    try:
        keep_allowed(np.zeros(2), np.ones(2, dtype=np.bool_), np.zeros(1, dtype=np.int64))
    except IndexError:
        pass
    else:
        raise AssertionError("run me with NUMBA_BOUNDSCHECK=1")
    for number, name in enumerate(CONFIGS):
        for masks, graph in (("", None), ("infos", np.diag([1.0, 1.0], 1)), ("observations", peers.ring(3))):
            check(number, name, masks, graph)
    for number, wrong in enumerate(WRONG):
        try:
            run(number, list(CONFIGS)[number % len(CONFIGS)], ("", "infos")[number % 2], wrong=wrong)
        except ValueError:
            continue
        raise AssertionError(f"violation {number} was taken")


if __name__ == "__main__":
    everything()
