"""``help`` and completion show every parameter: SB3's, ours and PR's options, and what they show is accepted."""

import dataclasses
import inspect
import pydoc

import pytest
from stable_baselines3 import DDPG, SAC, TD3

from marl_pr_common import ReciprocityConfig
from sb3_pr import DDPGPR, SACPR, TD3PR

PAIRS = [(TD3PR, TD3), (DDPGPR, DDPG), (SACPR, SAC)]
OWN = ["n_agents", "n_teams", "seeds", "shared_replay", "observation_masks", "leader", "fast", "guards", "own_critics"]


@pytest.mark.parametrize("cls, upstream", PAIRS)
def test_every_parameter_is_shown_in_upstreams_order(cls, upstream):
    shown = inspect.signature(cls).parameters
    theirs = inspect.signature(upstream).parameters
    options = {field.name: field.default for field in dataclasses.fields(ReciprocityConfig)}
    assert list(shown) == [*theirs, *OWN, *options]
    assert {name: shown[name].default for name in options} == options
    assert {name: shown[name].default for name in theirs} == {name: theirs[name].default for name in theirs}
    assert "kappa: float = 0.5" in pydoc.render_doc(cls, renderer=pydoc.plaintext)


def test_what_is_shown_is_accepted():
    given = {name: p.default for name, p in inspect.signature(TD3PR).parameters.items() if p.default is not p.empty}
    model = TD3PR("MlpPolicy", "Pendulum-v1", **{**given, "n_agents": 2, "policy_kwargs": {"net_arch": [4]}})
    assert model.pr == ReciprocityConfig()


def test_a_users_class_shows_its_own_constructor():
    class Short(TD3PR):
        def __init__(self, env):
            super().__init__("MlpPolicy", env)

    class More(TD3PR):
        def __init__(self, *args, extra=1, **kwargs):
            super().__init__(*args, **kwargs)

    assert list(inspect.signature(Short).parameters) == ["env"]
    assert {"extra", "kappa", "learning_rate"} <= set(inspect.signature(More).parameters)
