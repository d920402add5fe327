"""The preys of predator-prey: how hard they are to catch, and that EPyMARL's has its actions put right."""

import importlib.util

import numpy as np
import pytest
import torch as th

pytest.importorskip("mpe2", reason="needs the extra mpe: pip install 'marl-pr[mpe]'")
from benchmarks.environments import returns
from marl_pr_common.envs import make
from marl_pr_common.envs.grids.reference import chase
from marl_pr_common.envs.particles import prey as scripts
from marl_pr_common.envs.particles.pretrained_prey import PARAMETERS, PretrainedPrey, find_parameters, three_predators
from tests.envs.teams import needs_checkout


# Wide windows round the means of benchmarks/environments.py; docs/environments.md has the table.
@pytest.mark.parametrize(
    ("prey", "n_agents", "low", "high"),
    [
        ("random", 3, 30, 56),
        ("frozen", 3, 58, 82),
        ("flee", 3, 1, 9),
        pytest.param("random", 6, 64, 96, marks=pytest.mark.slow),
        pytest.param("flee", 6, 4, 17, marks=pytest.mark.slow),
        pytest.param("pretrained", 3, 0.5, 12, marks=needs_checkout),
        pytest.param("pretrained", 6, 3, 17, marks=[needs_checkout, pytest.mark.slow]),
    ],
)
@pytest.mark.few(2)
def test_chasing_predators_earn_what_the_prey_lets_them(prey, n_agents, low, high):
    assert low < returns(make(f"PredatorPrey-{n_agents}", prey=prey), chase, 60).mean() < high


@pytest.mark.slow
def test_the_fleeing_prey_stays_in_the_arena():
    env = make("PredatorPrey-6", prey="flee")
    env.seed(0)
    reach = []
    for _ in range(40):
        observations, _ = env.reset()
        while env.agents:
            observations, *_ = env.step(chase(observations))
            reach.append(np.abs(env.get_state()["positions"][6]).max())
    assert np.mean(np.array(reach) > 1) < 0.1
    assert max(reach) < 1.6


def test_the_fleeing_prey_runs_from_a_predator_and_turns_at_the_wall():
    rng = np.random.default_rng(0)

    def flee_from(own, *predators):
        far_obstacles = [3, 3, 3, 3]
        relative = np.array(predators) - own
        return scripts.flee(np.concatenate([[0, 0], own, far_obstacles, relative.ravel()]).astype(np.float32), rng)

    assert flee_from((0, 0), (-0.2, 0)) == 2  # right
    assert flee_from((0, 0), (0.2, 0)) == 1
    assert flee_from((0, 0), (0, -0.2)) == 4  # up
    assert flee_from((0, 0), (0, 0.2)) == 3
    assert flee_from((0.98, 0), (0.7, 0)) in (3, 4)  # along the wall, not through it


@needs_checkout
def test_the_pretrained_prey_is_inverted_as_shipped():
    env = make("PredatorPrey-3", prey="frozen")
    earned = {}
    for as_shipped in (True, False):
        env.prey = PretrainedPrey(as_shipped=as_shipped)
        earned[as_shipped] = returns(env, chase, 60).mean()
    assert earned[True] > 35
    assert earned[False] < 12


@needs_checkout
def test_the_pretrained_prey_is_epymarls_own_but_for_the_directions():
    folder = find_parameters().parent
    spec = importlib.util.spec_from_file_location("epymarl_ddpg", folder / "ddpg.py")
    ddpg = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(ddpg)
    theirs = ddpg.DDPG(14, 5, 50, 128, 0.01)
    theirs.load_params(th.load(folder / "prey_params.pt", weights_only=True)["agent_params"][-1])
    theirs.policy.eval()  # batch normalisation by its running statistics
    ours, rng = PretrainedPrey(), np.random.default_rng(0)
    observations = rng.normal(size=(300, 14)).astype(np.float32)
    answers = [theirs.step(observation) for observation in observations]
    assert set(answers) == set(range(5))
    assert [ours(observation, rng) for observation in observations] == [[0, 2, 1, 4, 3][answer] for answer in answers]
    with th.no_grad():
        scores = theirs.policy(th.as_tensor(observations)).numpy()
    np.testing.assert_allclose([ours.scores(observation) for observation in observations], scores, rtol=1e-4, atol=1e-4)


def test_the_pretrained_prey_is_shown_three_predators():
    head = np.arange(8, dtype=np.float32)
    five = np.array([[3, 0], [0.1, 0], [5, 5], [0, 0.2], [-1, 0]], dtype=np.float32)
    np.testing.assert_array_equal(three_predators(np.append(head, five)), np.append(head, five[[1, 3, 4]]))
    np.testing.assert_array_equal(three_predators(np.append(head, five[:3])), np.append(head, five[:3]))
    np.testing.assert_array_equal(three_predators(np.append(head, five[:2])), np.append(head, five[[0, 1, 1]]))


def test_without_a_checkout_the_pretrained_prey_says_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=f"{tmp_path}.*git clone.*EPYMARL_HOME.*flee"):
        make("PredatorPrey-3", prey="pretrained", checkout=tmp_path)
    monkeypatch.setenv("EPYMARL_HOME", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        make("PredatorPrey-3", prey="pretrained")
    (tmp_path / PARAMETERS).parent.mkdir(parents=True)
    (tmp_path / PARAMETERS).write_bytes(b"not a network")
    with pytest.raises(ValueError, match="does not hold EPyMARL's pretrained prey"):
        make("PredatorPrey-3", prey="pretrained")
