"""The records of the algorithms: what is said of an algorithm once is known everywhere."""

import typing

import pytest
from stable_baselines3 import PPO

import sb3_pr
from marl_pr_common.runs.table import read_results
from marl_pr_common.study.hosts import CellRun
from sb3_pr.algorithms.spec import ALGORITHMS, MODULES, class_name, model_class, spec, spec_of
from sb3_pr.study.config import Algorithm, TrainConfig
from sb3_pr.study.host import ARMS, plan, run

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


TINY = {"n_agents": 3, "timesteps_per_agent": 20, "eval_every": 10, "checkpoint_every": 15, "eval_episodes": 1}


@pytest.mark.parametrize("name", MODULES)
def test_one_agent_with_the_steps_of_all_takes_as_many_as_a_team(name):
    team, alone = (plan("Pendulum-v1", 0, {**TINY, **ARMS[name + arm].settings}) for arm in ("_pr", "_all_steps"))
    assert (team.n_agents, team.env_steps_per_agent, team.total_env_steps) == (3, 20, 60)
    assert (alone.n_agents, alone.env_steps_per_agent, alone.total_env_steps) == (1, 60, 60)
    assert (alone.settings["algo"], alone.settings["eval_every"], alone.settings["checkpoint_every"]) == (name, 30, 45)
    assert alone.settings["learning_starts"] == team.settings["learning_starts"]  # upstream's, of one agent
    with pytest.raises(ValueError, match=f"steps_of_all with algo={name}_pr: it is for one agent, algo={name}"):
        plan("Pendulum-v1", 0, {"algo": f"{name}_pr", "steps_of_all": True})
    pytest.importorskip("mpe2", reason="needs the extra mpe: pip install 'marl-pr[mpe]'")
    with pytest.raises(ValueError, match="upstream's algorithm is one agent, and a team is several"):
        plan("CooperativeNavigation-3", 0, ARMS[f"{name}_all_steps"].settings)


def test_its_results_count_per_agent_and_in_total(tmp_path):
    small = {"net_arch": (4,), "buffer_size": 100, "device": "cpu"}
    planned = plan("Pendulum-v1", 0, {**TINY, **small, **ARMS["td3_all_steps"].settings})
    run(CellRun("cell", "td3_all_steps", "Pendulum-v1", 0, planned), tmp_path / "run")
    rows = read_results([tmp_path / "run"]).query("metric == 'eval/return'")
    assert list(rows["env_steps_per_agent"]) == list(rows["total_env_steps"]) == [0, 30, 60]
    assert set(rows["agent"]) == {0}


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
