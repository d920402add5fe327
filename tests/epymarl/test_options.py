"""The ``pr_*`` keys: one for every option, and a clear answer to a wrong one."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from epymarl_pr.launch import options
from epymarl_pr.launch.errors import UsageError
from marl_pr_common import __version__
from marl_pr_common.reciprocity import ReciprocityConfig

OWN = {
    "pr_z",
    "pr_act",
    "pr_shared_experience",
    "pr_observation_masks",
    "pr_seed",
    "pr_full_checkpoint",
    "pr_version",
    "pr_own_critics",
}


def test_every_option_has_a_key_and_every_key_an_option() -> None:
    assert options.defaults().keys() == {f"pr_{item.name}" for item in dataclasses.fields(ReciprocityConfig)} | OWN


def test_defaults_are_those_of_the_method_but_for_the_estimator() -> None:
    common = {f"pr_{key}": value for key, value in dataclasses.asdict(ReciprocityConfig()).items()}
    changed = {key: value for key, value in options.defaults().items() if key in common and value != common[key]}
    assert changed == {"pr_estimator": "one_state"}
    assert options.defaults()["pr_version"] == __version__


def test_defaults_survive_a_yaml_file_and_parse_to_themselves() -> None:
    assert options.parse(yaml.safe_load(yaml.safe_dump(options.defaults()))) == options.Options()


OTHER = {
    "pr_kappa": 0.25, "pr_adjacency": "resample", "pr_rho": 2, "pr_n_adjacent": 3, "pr_include_self": False,
    "pr_weights": "uniform", "pr_temperature": 0.5, "pr_noise_scale": 0.2, "pr_peers": "ring", "pr_n_peers": 2,
    "pr_normalize": "sum", "pr_min_over": "mixture", "pr_estimator": "full", "pr_sync_interval": 4,
    "pr_in_actor": True, "pr_z": "Q", "pr_seed": 7, "pr_full_checkpoint": True,
}  # fmt: skip


@pytest.mark.parametrize("key", OTHER)
def test_a_key_sets_its_option_and_no_other(key: str) -> None:
    value = OTHER[key]
    assert value != options.defaults()[key]
    more = {"pr_adjacency": "resample"} if key == "pr_include_self" else {}
    found = options.parse({key: value, **more, "lr": 0.1})
    holder: Any = found if key in OWN else found.reciprocity
    assert getattr(holder, key.removeprefix("pr_")) == value
    rest = {key.removeprefix("pr_"): value for key, value in more.items()}
    expected = dataclasses.replace(options.Options().reciprocity, **rest)
    if key in OWN:
        assert found == options.Options(reciprocity=expected, **{key.removeprefix("pr_"): value})
    else:
        assert found.reciprocity == dataclasses.replace(expected, **{key.removeprefix("pr_"): value})


def test_an_unknown_key_is_named_with_the_nearest_one() -> None:
    with pytest.raises(UsageError, match=r"unknown key pr_kapa\. Known keys: pr_kappa, .*Did you mean pr_kappa\?"):
        options.parse({"pr_kapa": 0.5})


WRONG: list[tuple[str, Any]] = [
    ("pr_kappa", 1.5), ("pr_kappa", "much"), ("pr_adjacency", "near"), ("pr_rho", -1), ("pr_n_adjacent", 0),
    ("pr_temperature", 0), ("pr_noise_scale", -0.1), ("pr_peers", "all"), ("pr_n_peers", 0), ("pr_normalize", "max"),
    ("pr_estimator", "half"), ("pr_sync_interval", 0), ("pr_z", "W"), ("pr_seed", -1), ("pr_seed", True),
    ("pr_full_checkpoint", "yes"), ("pr_include_self", 2), ("pr_weights", "equal"),
]  # fmt: skip


@pytest.mark.parametrize("key, value", WRONG)
def test_a_wrong_value_is_named_with_its_key(key: str, value: Any) -> None:
    with pytest.raises(UsageError) as caught:
        options.parse({key: value}, "--config=qmix_pr")
    assert key in str(caught.value)
    assert str(value) in str(caught.value)


def host(learner: str, **changes: Any) -> SimpleNamespace:
    """What ``check_learner`` reads of EPyMARL's arguments."""
    return SimpleNamespace(**{"learner": learner, "standardise_returns": False, "critic_type": "cv_critic", **changes})


MASKS = {"pr_observation_masks": [[True, False]]}
REFUSED: list[tuple[dict[str, Any], SimpleNamespace, str]] = [
    ({"pr_z": "V"}, host("q_learner"), "pr_z=V with q_learner: it takes auto, Q"),
    ({"pr_z": "A"}, host("maddpg_learner"), "pr_z=A with maddpg_learner: it takes auto, Q"),
    ({"pr_z": "Q"}, host("ppo_learner"), "pr_z=Q with ppo_learner: it takes auto, V, A"),
    ({"pr_in_actor": True}, host("q_learner"), "pr_in_actor=True with q_learner: only maddpg_learner"),
    ({"pr_in_actor": True}, host("actor_critic_learner"), "pr_in_actor=True with actor_critic_learner"),
    ({"pr_consensus": 0.1}, host("maddpg_learner"), "pr_consensus=0.1: EPyMARL's learners don't have it"),
    ({}, host("maddpg_learner", standardise_returns=True), "standardise_returns=True with maddpg_learner"),
    ({}, host("ppo_learner", critic_type="coma_critic"), "critic_type=coma_critic has no reciprocity"),
    (MASKS, host("ppo_learner"), r"pr_observation_masks with ppo_learner \(cv_critic\)"),
    (MASKS, host("maddpg_learner", critic_type="maddpg_critic"), "pr_observation_masks with maddpg_learner"),
]


@pytest.mark.parametrize("keys, args, message", REFUSED)
@pytest.mark.parametrize("prefix", ["", "pr_"])
def test_what_a_learner_does_not_have_is_refused(
    keys: dict[str, Any], args: SimpleNamespace, message: str, prefix: str
) -> None:
    named = SimpleNamespace(**{**vars(args), "learner": prefix + args.learner})
    with pytest.raises(UsageError, match=message):
        options.check_learner(options.parse(keys), named)


@pytest.mark.parametrize(
    "keys, args",
    [
        ({"pr_z": "Q"}, host("q_learner", standardise_returns=True)),
        ({"pr_z": "A"}, host("ppo_learner")),
        ({"pr_in_actor": True}, host("maddpg_learner", critic_type="maddpg_critic_ns")),
        (MASKS, host("q_learner")),
        (MASKS, host("actor_critic_learner", critic_type="ac_critic_ns")),
    ],
)
def test_what_a_learner_has_is_not(keys: dict[str, Any], args: SimpleNamespace) -> None:
    options.check_learner(options.parse(keys), args)
