"""Action masks in both of PettingZoo's forms: acting, evaluating and bootstrapping keep to them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from marl_pr_common.envs import ObsSpace
from marl_pr_common.reciprocity import peers
from marl_pr_common.tabular import ParallelTrainer, Shrink, TabularConfig, TabularPR, decision, faithful, iql
from tests.tabular.line import Line, train
from tests.tabular.vectorised import Vectorised

CONFIGS = {
    "iql": iql(),
    "faithful": faithful(),
    "decision": decision(),
    "decision, mean": TabularConfig(weighting="mean", kappa=0.5),
    "decision, no blend": decision(trust=None),
}


class Masked(Line):
    """A third action is forbidden everywhere, going left at the left end; forbidden actions are an error."""

    kind: Any = lambda allowed: np.array(allowed, dtype=np.int8)

    def __init__(self) -> None:
        super().__init__()
        self.moves = dict.fromkeys(self.possible_agents, spaces.Discrete(3, start=1))

    def mask(self, agent: str) -> Any:
        return type(self).kind([int(self.cells[agent] > 0), 1, 0])

    def info(self, agent: str) -> Any:
        return {"action_mask": self.mask(agent)}

    def step(self, actions: dict[str, int]) -> Any:
        for agent, action in actions.items():
            assert action == 2 or (action == 1 and self.cells[agent] > 0), f"{agent} took {action}"
        return super().step({agent: action - 1 for agent, action in actions.items()})


class InObservation(Masked):
    def __init__(self) -> None:
        super().__init__()
        seen = spaces.Dict(observation=spaces.Discrete(5), action_mask=spaces.MultiBinary(3))
        self.seen = dict.fromkeys(self.possible_agents, seen)

    def observe(self, agent: str) -> Any:
        return {"observation": self.cells[agent], "action_mask": self.mask(agent)}

    def info(self, agent: str) -> Any:
        return {}


@pytest.mark.filterwarnings("ignore::marl_pr_common.tabular.TheoryWarning")
@pytest.mark.parametrize("env", [Masked, InObservation])
@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.few(2)
def test_forbidden_actions_are_never_taken_and_never_bootstrapped_on(env: type[Line], config: str) -> None:
    """Whatever stands in the tables where an action is forbidden: nothing that is learnt depends on it."""
    found = []
    for value in (0.0, 1e6):
        trainer = ParallelTrainer(env, CONFIGS[config], gamma=0.5, epsilon=0.3)
        q = trainer.learner.tables.q
        q[..., 2] = q[..., 0, 0] = value
        trainer.train(1_500)
        assert trainer.evaluate(2).returns.tolist() == [[1.0, 1.0]] * 2
        assert trainer.learner.tables.n[..., 2].sum() == trainer.learner.tables.n[..., 0, 0].sum() == 0
        q[..., 2] = q[..., 0, 0] = 0.0
        found.append(q.copy())
    np.testing.assert_array_equal(*found)
    assert found[0][0, :, 3, 1].min() > 0.9


@pytest.mark.parametrize("kind", [list, tuple, lambda m: np.array(m, bool), lambda m: np.array([m], float), np.array])
def test_masks_of_any_type_are_the_same(kind: Any) -> None:
    env = type("Env", (Masked,), {"kind": staticmethod(kind)})
    np.testing.assert_array_equal(train(env).q, train(InObservation).q)


MASKS = {
    "no mask of its 3 actions": ([1, 1], [1, 1, 1, 1], [2, 1, 0], [-1, 1, 0], [0.5, 1, 0], "110", [None] * 3, 1),
    "allows no action": ([0, 0, 0], np.zeros(3, bool)),
}


@pytest.mark.parametrize("env", [Masked, InObservation])
@pytest.mark.parametrize(("message", "mask"), [(name, mask) for name, masks in MASKS.items() for mask in masks])
def test_what_is_no_mask_is_named(env: type[Masked], message: str, mask: Any) -> None:
    with pytest.raises(ValueError, match=f"agent 'a': .*action_mask.* {message}"):
        train(type("Env", (env,), {"kind": staticmethod(lambda allowed: mask)}))


def test_an_observation_without_its_mask_is_named() -> None:
    with pytest.raises(ValueError, match="agent 'a': the observation .* is not in its space"):
        train(type("Env", (InObservation,), {"observe": lambda self, agent: {"observation": 1}}))


def test_without_a_mask_everything_is_allowed() -> None:
    """Masks from the third step on only, none for agents that ended, and one of zeros for an agent that ended."""

    class Late(Masked):
        def info(self, agent: str) -> Any:
            if self.t < 3:
                return None
            return super().info(agent) if self.cells[agent] < 4 else {"action_mask": [0, 0, 0]}

        def step(self, actions: dict[str, int]) -> Any:
            return super().step({agent: action if self.t >= 3 else 2 for agent, action in actions.items()})

    learner = train(Late, TabularConfig(weighting="mean", kappa=0.5), 2_000)
    assert learner.tables.n[0, 0, 0, 2] > 0
    assert learner.tables.n[0, :, 3, 2].sum() == 0
    assert np.isfinite(learner.q).all()


def test_a_mask_of_all_actions_changes_nothing() -> None:
    class Free(Line):
        def info(self, agent: str) -> Any:
            return {"action_mask": [1, 1]}

    for config in (iql(), decision()):
        np.testing.assert_array_equal(train(Free, config).q, train(Line, config).q)


@pytest.mark.filterwarnings("ignore::marl_pr_common.tabular.TheoryWarning")
@pytest.mark.parametrize("graph", ["complete", "ring", "changing"])
@pytest.mark.parametrize("config", [*CONFIGS.values(), TabularConfig(weighting="mean", kappa=Shrink(2.0), q_init=3.0)])
@pytest.mark.few(3)
def test_kernels_and_vectorised_learner_agree_on_masks(config: TabularConfig, graph: str) -> None:
    """Random transitions of several steps, random masks from the middle on: the same actions, tables equal to 1e-12."""
    views = [ObsSpace((3, 2, 2), keep, (True, True, False)) for keep in [(1, 1, 0), (1, 0, 1), (1, 1, 0), (1, 1, 1)]]
    matrix = {"complete": None, "ring": peers.ring(4), "changing": np.stack([peers.ring(4), peers.complete(4)])}[graph]
    both = [kind(config.reciprocity(views, matrix), 3, config, 0.9, 2) for kind in (Vectorised, TabularPR)]
    rng = np.random.default_rng(5)
    sizes = np.array([view.n_states for view in views])
    for t in range(600):
        states, following = rng.integers(sizes, size=(2, 2, 4))
        masks = rng.random((2, 2, 4, 3)) < 0.5
        masks[..., 1] |= ~masks.any(axis=-1)
        active, uniforms, discounts = rng.random((2, 4)) < 0.8, rng.random((2, 4)), 0.9 ** rng.integers(1, 4, (2, 4))
        rewards, terminated = rng.normal(size=(2, 4)), rng.random((2, 4)) < 0.1
        taken = []
        for learner in both:
            if t >= 300:
                learner.expect_masks()
            now, later = (masks[0], masks[1]) if t >= 300 else (None, None)
            taken.append(learner.act(states, 0.3, uniforms, active, now))
            learner.update(states, taken[-1], rewards, following, terminated, active, later, discounts)
        np.testing.assert_array_equal(*taken)
        assert t < 300 or np.take_along_axis(masks[0], taken[0][..., None], axis=-1)[active].all()
    scale = np.abs(both[0].q).max()
    np.testing.assert_allclose(both[0].q, both[1].q, rtol=0, atol=1e-12 * scale)
    np.testing.assert_allclose(both[0].tables.pool, both[1].tables.pool, rtol=0, atol=1e-9 * scale)
    np.testing.assert_allclose(both[0].q_hat(1), both[1].q_hat(1), rtol=0, atol=1e-12 * scale)
