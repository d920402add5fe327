"""package.module:factory: what such a name may mean, and what is said of one that can't be used."""

import sys

import gymnasium as gym
import pytest

pytest.importorskip("pettingzoo", reason="needs the extra mpe: pip install 'marl-pr[mpe]'")
from marl_pr_common.envs.factories import find_factory, look, make_own
from marl_pr_common.envs.imports import NotHereError, UnusableError
from tests.envs import own_envs

OWN = "tests.envs.own_envs"


@pytest.mark.parametrize("name", ["level_3", "hidden_level", "Factory.make", "Duel", "lake"])
def test_whatever_can_be_called_makes_a_new_environment_each_time(name):
    factory = find_factory(f"{OWN}:{name}")
    first, second = (make_own(name, factory) for _ in range(2))
    assert first.unwrapped is not second.unwrapped
    assert type(first) is type(second)


def test_one_look_tells_copies_and_teams_and_is_made_once(monkeypatch):
    monkeypatch.setattr(own_envs, "Looked", type("Looked", (own_envs.Duel,), {"made": 0}), raising=False)
    for _ in range(2):
        assert look(f"{OWN}:Looked").agents == ("a", "b")
    assert own_envs.Looked.made == 1
    assert look(f"{OWN}:Factory.make").agents is None
    assert look(f"{OWN}:Factory.make").action_spaces == {None: own_envs.Fine.action_space}


@pytest.mark.parametrize("name", ["Pendulum-v1", "smax:3m", "Navigation-3", "gymnasium:Pendulum-v1", "gymnasium:Ant"])
def test_other_names_are_left_to_others(name):
    assert find_factory(name) is None
    assert look(name) is None


def test_an_attribute_wins_over_an_id():
    gym.register("Factory", entry_point=own_envs.Fine)
    try:
        assert find_factory(f"{OWN}:Factory") is own_envs.Factory
    finally:
        del gym.registry["Factory"]


def test_an_aec_environment_that_may_be_parallel_is():
    pytest.importorskip("mpe2")
    assert look(f"{OWN}:spread_in_turn").agents == ("agent_0", "agent_1")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("levl_3", r"own_envs has no 'levl_3'.* Did you mean 'level_3'\?"),
        ("Factory.mak", r"Factory has no 'mak'.* Did you mean 'make'\?"),
        ("", "own_envs has no ''"),
        ("Level", r"missing a required argument: 'level'.*functools.partial\(Level, ...\)"),
        ("Factory.bound", "missing a required argument: 'self'"),
        ("ready", r"that is an environment already \(Fine\)"),
        ("number", r"that is 3 \(int\), which can't be called"),
        ("nothing", r"that is None \(NoneType\)"),
        ("gym", "that is a module.*: gymnasium:make"),
        ("forgot", "returned None.*Does it lack a return"),
        ("a_class", r"returned the class Fine.*Return Fine\(\)"),
        ("a_function", "returned <bound method.*called once more"),
        ("later", "a coroutine, since it is an async def"),
        ("raises", r"its factory raised KeyError: 'port' \(own_envs.py, line \d+\)"),
        ("exits", r"its factory raised SystemExit: no licence \(own_envs.py, line \d+\)"),
        ("columns", "DummyVecEnv, a vector of environments.*n_agents copies.*VecNormalize"),
        ("vector", "VectorEnv, a vector of environments"),
        ("in_turn", "the AEC environment InTurn, whose agents act in turn.*is_parallelizable"),
        ("Old", "Old, which has reset and step, but is no gymnasium.Env"),
        ("SpaceRaises", r"its spaces raised LookupError: no such sensor \(own_envs.py, line \d+\)"),
    ],
)
def test_what_cannot_be_used_is_named(name, message):
    with pytest.raises(UnusableError, match=message) as caught:
        look(f"{OWN}:{name}")
    assert str(caught.value).startswith(f"env='{OWN}:{name}' cannot be made: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["singleton", "wrapped_singleton"])
def test_one_environment_for_all_is_refused(name):
    factory = find_factory(f"{OWN}:{name}")
    kept = make_own(name, factory)
    with pytest.raises(UnusableError, match=r"returned the same Fine twice"):
        make_own(name, factory)
    assert kept


@pytest.mark.parametrize(
    ("module", "text", "message"),
    [
        (
            "broken_a",
            "import not_there",
            r"broken_a raised ModuleNotFoundError: .*'not_there' \(broken_a.py, line 1\)",
        ),
        (
            "broken_b",
            "\nx = 1 / 0",
            r"broken_b raised ZeroDivisionError: .* \(broken_b.py, line 2\)",
        ),
        ("broken_c", "def f(:", r"importing broken_c raised SyntaxError: invalid syntax \(broken_c.py, line 1\)"),
        ("broken_d", "import sys; sys.exit('usage: train.py')", r"SystemExit: usage: train.py \(broken_d.py, line 1\)"),
        ("broken_e", "from . import x", "ImportError: attempted relative import"),
    ],
)
def test_a_module_that_does_not_import_is_named_with_its_place(module, text, message, tmp_path, monkeypatch):
    (tmp_path / f"{module}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnusableError, match=message):
        find_factory(f"{module}:make")


def test_the_current_directory_is_importable_and_a_slip_is_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place not in ("", str(tmp_path))])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lakes").mkdir()
    (tmp_path / "lakes" / "__init__.py").touch()
    (tmp_path / "lakes" / "still.py").write_text("import gymnasium\ndef make(): return gymnasium.make('FrozenLake-v1')")
    with pytest.raises(NotHereError, match=rf"no module 'lake' in {tmp_path}.*Did you mean 'lakes'\?"):
        find_factory("lake.still:make")
    with pytest.raises(UnusableError, match="lakes.still is a module. Write lakes.still:factory"):
        find_factory("lakes:still.make") if "lakes.still" not in sys.modules else None
    assert look("lakes.still:make").agents is None


@pytest.mark.parametrize("name", ["envs/maze.py:make", "maze.py:make", "./maze:make", ":make", "a b:make"])
def test_a_path_is_no_module(name):
    with pytest.raises(UnusableError, match="no name of a module. Expected package.module:factory"):
        find_factory(name)
