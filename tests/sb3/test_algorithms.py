"""The records of the algorithms: what is said of an algorithm once is known everywhere."""

import typing

import pytest
from stable_baselines3 import PPO

import sb3_pr
from sb3_pr.algorithms.spec import ALGORITHMS, MODULES, class_name, model_class, spec, spec_of
from sb3_pr.study.config import Algorithm, TrainConfig
from sb3_pr.study.host import ARMS, plan

CONTROLS = ["", "_pr", "_independent", "_shared_replay", "_pr_shared_replay", "_own_critics"]


@pytest.mark.parametrize("name", MODULES)
def test_every_algorithm_has_its_choices_arms_and_class(name):
    assert {name, f"{name}_pr"} <= set(ALGORITHMS) == set(typing.get_args(Algorithm))
    arms = [f"{name}{control}" for control in CONTROLS]
    assert set(arms) <= set(ARMS)
    assert [ARMS[arm].settings["algo"] for arm in arms] == [name] + [f"{name}_pr"] * 5
    ours = model_class(f"{name}_pr")
    assert getattr(sb3_pr, class_name(name)) is ours
    assert issubclass(ours, model_class(name))
    record = spec(name)
    assert ours.spec is record
    assert ours.upstream is record.upstream is model_class(name)
    assert all(hasattr(TrainConfig(), option) for option in record.options)
    for policy in ours.policy_aliases.values():
        assert policy.networks == record.networks


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_a_record_describes_its_models(algo):
    model = model_class(algo)("MlpPolicy", "Pendulum-v1", buffer_size=10, policy_kwargs={"net_arch": [4]})
    record = spec_of(model)
    assert record is spec(algo)
    assert all(hasattr(model.policy, network) for network in record.networks)
    assert all(hasattr(model, name) for name in (*record.statistics, *record.own_settings))
    assert all(tensor is getattr(model, one.tensor) for one, tensor, _ in record.learnt_by(model))


def test_other_algorithms_are_named():
    with pytest.raises(TypeError, match="PPO is none of .*DDPG, SAC or TD3"):
        spec_of(PPO("MlpPolicy", "Pendulum-v1", n_steps=8, batch_size=8))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"own_critics": True, "pr": {"trust": "td"}}, "own_critics=True with trust='td'"),
        ({"pr": {"estimator": "one_voice", "min_over": "mixture"}}, 'estimator="one_voice" with min_over="mixture"'),
    ],
)
def test_what_the_model_refuses_is_refused_before_the_first_cell(settings, message):
    with pytest.raises(ValueError, match=message):
        plan("Pendulum-v1", 0, {"algo": "td3_pr", **settings})
    assert plan("Pendulum-v1", 0, {"algo": "td3", **settings}).n_agents == 1
