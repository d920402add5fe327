"""``--env package.module:factory``: copies and teams of the user's own train as ours do; mistakes are one message."""

import sys
from dataclasses import replace

import pytest

pytest.importorskip("pettingzoo", reason="needs the extra mpe: pip install 'marl-pr[mpe]'")
from marl_pr_common import cli
from marl_pr_common.runs.files import read_json, write_json
from marl_pr_common.runs.status import read_status
from marl_pr_common.runs.table import read_results
from marl_pr_common.study.hosts import Plan
from sb3_pr import TD3PR
from sb3_pr.render import film
from sb3_pr.study import host as study_host
from sb3_pr.study.config import TrainConfig
from sb3_pr.study.run import resume, train
from sb3_pr.study.tasks import copies
from sb3_pr.study.team_records import Evaluations
from tests.envs import own_envs

OWN = "tests.envs.own_envs"
TINY = TrainConfig(
    env=f"{OWN}:Duel",
    timesteps_per_agent=30,
    learning_starts=10,
    batch_size=4,
    buffer_size=100,
    eval_every=15,
    eval_episodes=2,
    net_arch=(4,),
    device="cpu",
)


@pytest.fixture(autouse=True)
def _no_stack_traces(monkeypatch):
    monkeypatch.delenv("MARL_PR_DEBUG", raising=False)


def test_a_team_is_trained_and_evaluated_as_a_team(tmp_path):
    train(TINY, tmp_path / "run")
    table = read_results([tmp_path / "run"]).query("metric == 'eval/return'")
    assert set(table["task"]) == {f"{OWN}:Duel"}
    assert sorted(table["agent"].unique()) == [0, 1]
    assert set(table["evaluation"]) == {"2 episodes of the whole team, deterministic, seed 10000 + seed"}
    assert read_json(tmp_path / "run" / "run.json")["config"]["n_agents"] == 2, "taken from the team"
    with pytest.raises(
        ValueError, match=r"Duel' can't be filmed: it has no render\(\)\. An environment of your .*render_mode="
    ):
        film(tmp_path / "run")


@pytest.mark.parametrize(("algo", "copies"), [("td3", 1), ("ddpg_pr", 3)])
def test_a_task_for_one_has_a_new_environment_for_each_agent(algo, copies, tmp_path, monkeypatch):
    made = []

    def make():
        made.append(own_envs.Fine())
        return made[-1]

    monkeypatch.setattr(own_envs, "make_fine", make, raising=False)
    train(replace(TINY, env=f"{OWN}:make_fine", algo=algo), tmp_path / "run")
    table = read_results([tmp_path / "run"]).query("metric == 'eval/return'")
    assert set(table["value"]) == {10.0}
    assert table["agent"].nunique() == copies
    assert len({id(env) for env in made}) == 1 + 2 + copies, "a look, two for evaluation, one for each agent"


@pytest.mark.slow
def test_it_is_the_same_run_as_by_gymnasiums_id(tmp_path):
    for env in ("Pendulum-v1", f"{OWN}:pendulum"):
        own_envs.pendulum = lambda: own_envs.gym.make("Pendulum-v1")
        train(replace(TINY, env=env, n_agents=2), tmp_path / env)
    first, second = (read_results([tmp_path / env])["value"] for env in ("Pendulum-v1", f"{OWN}:pendulum"))
    assert first.equals(second)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"algo": "td3"}, "algo=td3 on .*:Duel: upstream's algorithm is one agent"),
        ({"n_agents": 4}, "n_agents=4, but .*:Duel has 2 agents. Set n_agents=2"),
        ({"env": f"{OWN}:DiscreteDuel"}, "agent 'a' has the action space Discrete.* need continuous actions"),
        ({"env": f"{OWN}:lake"}, r"Discrete\(4\); DDPG, SAC and TD3 need continuous actions"),
        ({"env": f"{OWN}:NoBounds"}, "which is not bounded"),
        ({"env": f"{OWN}:Mixed"}, "agents 'a' and 'b' have observation spaces without a common one"),
        ({"env": f"{OWN}:Nobody"}, r"possible_agents is \[\]"),
        ({"env": f"{OWN}:Unlisted"}, r"possible_agents is \[\]"),
        ({"env": f"{OWN}:raises"}, "its factory raised KeyError: 'port'"),
        ({"env": f"{OWN}:columns"}, "DummyVecEnv, a vector of environments"),
        ({"env": f"{OWN}:Dueel"}, "Did you mean 'Duel'"),
        ({"env": f"{OWN}:Dueel-v0"}, "cannot be made: .*Dueel.*package.module:factory"),
        ({"env": "not_there:make"}, "no module 'not_there'"),
    ],
)
def test_a_mistake_is_named_before_a_run_or_a_study_begins(change, message, tmp_path):
    asked = replace(TINY, **change)
    with pytest.raises(ValueError, match=message) as caught:
        train(asked, tmp_path / "run")
    assert asked.env in str(caught.value)
    assert not (tmp_path / "run").exists()
    with pytest.raises(ValueError, match=message):
        study_host.plan(asked.env, 0, {"algo": asked.algo, "n_agents": asked.n_agents})


def test_what_a_teams_code_raises_is_one_message(tmp_path, capsys):
    small = ("--timesteps-per-agent", "30", "--eval-episodes", "1", "--net-arch", "4", "--device", "cpu")
    assert cli.main(["train", "--env", f"{OWN}:StepRaises", "--out", str(tmp_path / "run"), *small]) == 2
    error = capsys.readouterr().err
    assert "step() of StepRaises (own_envs.py, line" in error
    assert "RuntimeError: the server does not answer" in error
    assert "Traceback" not in error
    assert read_status(tmp_path / "run").state == "failed"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Exits", r"step\(\) of Exits \(own_envs.py, line \d+\) raised SystemExit: 0"),
        ("ExitsOtherwise", r"step\(\) of ExitsOtherwise \(own_envs.py, line \d+\) raised SystemExit: 0"),
        ("Panics", r"step\(\) of Panics \(own_envs.py, line \d+\) raised Panic: index out of bounds"),
        ("NoFlag", r"step\(\) of NoFlag returned terminated=nan \(float\): expected True or False"),
    ],
)
def test_an_end_of_the_process_and_an_end_that_is_none_are_errors(name, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        train(replace(TINY, env=f"{OWN}:{name}"), tmp_path / "run")
    assert read_status(tmp_path / "run").state == "failed"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("OldStep", r"step\(\) is not what gymnasium's API says .*check_env.*values to unpack"),
        ("OldReset", r"reset\(\) is not what gymnasium's API says .*check_env.*'seed'"),
        ("ListOfRewards", r"step\(\) is not what gymnasium's API says .*check_env"),
        ("Helped", r"step\(\) of Helped \(blamed_envs.py, line \d+\) raised LookupError: no such level"),
        ("Decorated", r"step\(\) of Decorated \(blamed_envs.py, line \d+\) raised KeyError: 'lost'"),
        ("transformed", r"reward\(\) of TransformReward \(.*\) raised LookupError: no table for this reward"),
    ],
)
def test_what_an_environment_does_wrong_is_said_of_it(name, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        train(replace(TINY, env=f"tests.envs.blamed_envs:{name}"), tmp_path / "run")


@pytest.mark.parametrize(
    ("name", "message"), [("Endless", "an episode had not ended"), ("EndlessDuel", "no agent's episode had ended")]
)
def test_an_evaluation_that_would_never_end_is_an_error(name, message, tmp_path):
    with pytest.raises(ValueError, match=f"{name}': {message} after 50 steps.*TimeLimit.*eval_max_steps"):
        train(replace(TINY, env=f"{OWN}:{name}", eval_max_steps=50), tmp_path / "run")


def test_nor_do_stacked_teams_wait_for_it():
    config = replace(TINY, env=f"{OWN}:Endless", n_agents=1, eval_max_steps=50)
    model = TD3PR("MlpPolicy", copies(config, 2), n_teams=2, seed=0, policy_kwargs={"net_arch": [4]})
    with pytest.raises(ValueError, match="an episode had not ended after 50 steps"):
        Evaluations([config] * 2, copies(config, 4), copies(config, 2)).of(model, 0)


def test_a_study_plans_the_teams_number_of_agents_and_keeps_such_cells_apart():
    plan = study_host.plan(f"{OWN}:Duel", 0, {"algo": "td3_pr", "timesteps_per_agent": 100})
    assert (plan.n_agents, plan.total_env_steps, plan.settings["n_agents"]) == (2, 200, 2)
    assert not study_host.may_share(f"{OWN}:Duel", Plan({}, 2, 10, 10, ""))


def test_a_run_that_goes_on_elsewhere_says_where_it_was_begun(tmp_path, monkeypatch):
    out, home = tmp_path / "run", tmp_path / "home"
    home.mkdir()
    (home / "begun_here.py").write_text("from tests.envs.own_envs import Duel as make\n")
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place])
    monkeypatch.chdir(home)
    train(replace(TINY, env="begun_here:make", checkpoint_every=10), out)
    write_json(out / "status.json", read_json(out / "status.json") | {"state": "stopped"})
    monkeypatch.delitem(sys.modules, "begun_here")
    sys.path.remove(str(home))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=rf"no module 'begun_here' in {tmp_path} .* It was begun in {home}"):
        resume(out)
    monkeypatch.chdir(home)
    resume(out)
    assert read_status(out).state == "complete"
