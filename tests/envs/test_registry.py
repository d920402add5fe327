"""The table of environments: what a record says is what the environment does, and all names come from it."""

import subprocess
import sys

import pytest

pytest.importorskip("mpe2", reason="needs the extra mpe: pip install 'marl-pr[mpe]'")
from marl_pr_common.envs.registry import FAMILIES, find, grid_spec, is_ours, make, parse, register

MADE = [family for family in FAMILIES if family.limit is not None]  # SMAX needs jax, and has tests of its own


def length_of_an_episode(env, seed):
    steps, _ = 0, env.reset(seed=seed)
    while env.agents:
        env.step(dict.fromkeys(env.agents, 0))  # nobody moves
        steps += 1
    return steps


@pytest.mark.parametrize("family", MADE, ids=lambda family: family.shown)
def test_a_record_says_what_the_environment_does(family):
    least = 20 if family.agents is None else family.agents[0]
    name = family.name.format(least)
    env = make(name)
    assert len(env.possible_agents) == least
    assert bool(family.spec) == (type(env).__name__ == "Grid")
    assert max(length_of_an_episode(env, seed) for seed in range(5)) == family.limit, "some floors are slippery"
    if family.continuous:
        assert make(name, continuous_actions=True).action_space(env.possible_agents[0]).shape == (5,)
    else:
        with pytest.raises(TypeError, match="continuous_actions"):
            make(name, continuous_actions=True)


@pytest.mark.parametrize("family", [family for family in MADE if family.agents], ids=lambda family: family.shown)
def test_no_other_number_of_agents_is_made(family):
    least, most = family.agents
    for number in (least - 1, *([most + 1] if most else [])):
        name = family.name.format(number)
        assert is_ours(name)
        with pytest.raises(ValueError, match=rf"Unknown .*environment '{name}'. Expected {family.shown} with "):
            parse(name)
        with pytest.raises(ValueError, match=name):
            make(name)


def test_names_are_told_apart():
    assert find("CooperativeNavigation-3-maptf").family.limit == 100
    assert find("CooperativeNavigation-3").family.limit == 25
    assert (find("smax:3m").said, find("Navigation-10").said, find("Digital").said) == ("3m", "10", "")
    for other in ("Cliff-v0", "Digital-3", "Navigation", "Navigation-", "Navigation-3 ", "ALE/Pong-v5", "mod:Cliff-3"):
        assert not is_ours(other), other
    with pytest.raises(ValueError, match="Known: Landmarks-N, Navigation-N, Blocker-N, N >= 1"):
        grid_spec("Courier-3")
    with pytest.raises(ValueError, match="variant='mpe2'. Leave it out, or take CooperativeNavigation-3"):
        make("CooperativeNavigation-3-maptf", variant="mpe2")
    for taken in ("Navigation-3", "Navigation-fast", "Digital", "smax:mine"):
        with pytest.raises(ValueError, match="taken"):
            register(taken, lambda: None)


def test_reading_the_table_imports_nothing_heavy():
    code = (
        "import sys, marl_pr_common.envs.registry as r; r.parse('Navigation-3')\n"
        "print([m for m in ('torch', 'numba', 'pettingzoo', 'gymnasium', 'mpe2', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
