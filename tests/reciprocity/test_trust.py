"""Trust: peers count the less, the worse they predict; and one voice per row. Against plain loops in float64."""

import copy

import numpy as np
import pytest
import torch as th

from marl_pr_common.reciprocity import Reciprocity, ReciprocityConfig, ask
from marl_pr_common.reciprocity.listening import DECAY
from tests.reciprocity import brute_force

N, BATCH, DIM = 4, 6, 3
MATRIX = ((0.5, 2, 1, 0), (0, 0, 0, 0), (1, 1, 0, 1), (0.5, 0, 0, 0))  # one is its own peer, one has none
GRAPHS = {
    "complete": {"peers": "complete"},
    "ring": {"peers": "ring"},
    "random": {"peers": "random", "n_peers": 2},
    "matrix": {"peers": "matrix", "peer_matrix": MATRIX},
}
ERRORS = {
    "none": np.full((N, N), np.nan),
    "different": np.exp(np.random.default_rng(0).normal(size=(N, N))),
    "far apart": np.exp(100 * np.random.default_rng(1).normal(size=(N, N))),
    "some unknown": np.where(np.random.default_rng(3).random((N, N)) < 0.4, np.nan, 0.5 + np.eye(N)),
    "zeros": np.where(np.random.default_rng(4).random((N, N)) < 0.5, 0.0, 2.0),
    "some broken": np.array([[1, np.inf, 2, np.nan], [1, np.nan, 1, 1], [np.nan, 1, np.nan, np.inf], [np.inf] * 4]),
}


def group(n_critics=2, **options):
    reciprocity = Reciprocity(ReciprocityConfig(kappa=0.6, **options), N, seed=1)
    generator = th.Generator().manual_seed(2)
    weight = th.randn(n_critics, N, DIM, dtype=th.float64, generator=generator)
    states = th.randn(N, BATCH, DIM, dtype=th.float64, generator=generator)

    def evaluate(asked, peer):
        return (weight[:, peer] * asked).sum(-1)

    agent = th.arange(N)[:, None].expand(N, BATCH)
    return reciprocity, states, evaluate, evaluate(states, agent)


def oracle(reciprocity, found, states, evaluate, own):
    """Z*, with every value looked up one at a time; ``found`` are the adjacent states of every row."""
    distances = (found != states).sum(-1).permute(1, 2, 0).tolist()
    config = reciprocity.config
    graph = np.asarray(reciprocity.peer_weights)

    def peer_value(i, j, a, b):
        row = th.zeros_like(found[0])
        row[i, b] = found[a, i, b]
        return float(evaluate(row, th.full((N, BATCH), j))[:, i, b].min())

    errors = np.full((N, N), np.nan) if reciprocity.errors is None else reciprocity.errors
    mine = own.amin(0).tolist()
    if config.trust == "td":
        return brute_force.trusting_value(mine, peer_value, graph, errors, distances, config)
    return brute_force.reciprocal_value(mine, peer_value, graph, distances, config)


def adjacent(reciprocity, states):
    """The adjacent states that the next call will draw."""
    return copy.deepcopy(reciprocity).adjacent(states)


@pytest.mark.parametrize("errors", ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
@pytest.mark.parametrize("power", [1.0, 8.0])
def test_the_weights_are_those_of_plain_loops(graph, errors, power):
    reciprocity = group(trust="td", trust_power=power, **graph)[0]
    reciprocity.errors = errors
    expected = [brute_force.trusted(reciprocity.peer_weights, errors, i, power) for i in range(N)]
    np.testing.assert_allclose(reciprocity.weights, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", ["same", "resample"])
@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
def test_the_value_is_that_of_plain_loops(graph, kind):
    reciprocity, states, evaluate, own = group(trust="td", adjacency=kind, n_adjacent=2, **graph)
    reciprocity.observe_errors(ERRORS["different"])
    expected = oracle(reciprocity, adjacent(reciprocity, states).states, states, evaluate, own)
    np.testing.assert_allclose(reciprocity.value(own, states, evaluate)[0], expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", ["same", "resample"])
@pytest.mark.parametrize("trust", ["uniform", "td"])
@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
@pytest.mark.parametrize("estimator", ["one_voice", "sampled"])
def test_the_expectation_of_a_draw_is_that_of_plain_loops(graph, kind, trust, estimator, monkeypatch):
    """Every draw of a voice and of a state that there can be, weighted with its probability."""
    options = {"trust": trust, "adjacency": kind, "n_adjacent": 2, **graph}
    reciprocity, states, evaluate, own = group(estimator=estimator, **options)
    reciprocity.observe_errors(ERRORS["different"])
    found, weights = vars(adjacent(reciprocity, states)).values()
    expected = oracle(reciprocity, found, states, evaluate, own)
    total = th.zeros(N, BATCH, dtype=th.float64)
    given = {}

    def draw(probabilities, batch, generator):
        given["p"] = probabilities
        return th.full((N, batch), given["column"])

    monkeypatch.setattr(ask, "draw", draw)
    monkeypatch.setattr(ask, "choose_one", lambda adjacent, generator: found[given["state"]])
    for column in range(N + (estimator == "one_voice")):
        for state in range(len(found)):
            given.update(column=column, state=state)
            values = copy.deepcopy(reciprocity).value(own, states, evaluate)[0]
            chance = given["p"] / given["p"].sum(1, keepdim=True)
            alone = chance.isnan()  # an agent without peers draws nothing
            share = th.where(alone, 1.0 / chance.shape[1], chance)[:, column, None]
            total += share * weights[state] * values
    np.testing.assert_allclose(total, expected, rtol=1e-10, atol=1e-10)


def test_voices_are_drawn_as_often_as_they_count():
    reciprocity, states, _, _ = group(estimator="one_voice")
    chances = reciprocity._voices(None, states)
    expected = [[0.0 if i == j else 0.2 for j in range(N)] + [0.4] for i in range(N)]
    th.testing.assert_close(chances, th.tensor(expected, dtype=th.float64))
    drawn = ask.draw(chances, 1000, reciprocity.generator(states.device))
    counts = th.stack([(drawn == column).sum(1) for column in range(N + 1)], 1)
    assert (counts - 1000 * chances).abs().max() <= 1
    rows = th.stack([(ask.draw(chances, 5, reciprocity.generator(states.device)) == N) for _ in range(4000)])
    assert (rows.double().mean(0) - 0.4).abs().max() < 0.05  # every row by itself, whatever its place


@pytest.mark.parametrize("estimator", ["full", "sampled", "one_voice"])
def test_peers_that_know_nothing_are_not_heard(estimator):
    """The worse they are, the nearer the value is to the agent's own; agents that are all alike share equally."""
    reciprocity, states, evaluate, own = group(trust="td", estimator=estimator)
    reciprocity.observe_errors(np.ones((N, N)))
    np.testing.assert_allclose(reciprocity.weights, np.full((N, N), 1 / N))
    reciprocity.errors = np.where(np.eye(N), 1.0, 1e40)
    th.testing.assert_close(reciprocity.value(own, states, evaluate)[0], own.amin(0), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("estimator", ["full", "one_voice"])
def test_a_broken_peers_value_is_the_agents_own(estimator, bad):
    reciprocity, states, evaluate, own = group(trust="td", estimator=estimator, n_critics=1)

    def one_broken(asked, peer):
        return evaluate(asked, peer).masked_fill(peer == 2, bad)

    values = reciprocity.value(own, states, one_broken)[0]
    assert th.isfinite(values[[0, 1, 3]]).all()
    assert reciprocity.broken_peers == {2}
    if estimator == "one_voice":
        lean = reciprocity.one_voice(states, one_broken, lambda: own)[0]
        assert th.isfinite(lean).all()


def test_the_running_mean():
    reciprocity = group(trust="td")[0]
    first, second = ERRORS["different"], ERRORS["far apart"].clip(0, 1e3)
    second[0, 1], second[2, 2] = np.inf, np.nan
    reciprocity.observe_errors(th.as_tensor(first))
    reciprocity.observe_errors(second, updates=10)
    for i in range(N):
        for j in range(N):
            kept, old, new = DECAY**10, (1 - DECAY) * first[i, j], second[i, j]
            mean = (kept * old + (1 - kept) * new) / (1 - DECAY**11)
            assert reciprocity.errors[i, j] == pytest.approx(first[i, j] if np.isnan(new) else mean, rel=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_peer_whose_values_are_not_finite_has_no_weight_until_they_are(bad):
    reciprocity, states, evaluate, own = group(trust="td", peers="ring")
    target = th.zeros(N, BATCH, dtype=th.float64)

    def one_broken(asked, peer):
        return evaluate(asked, peer).index_fill(2, th.tensor([3]), bad).where(peer == 0, evaluate(asked, peer))

    def look(ask_peer, y=target):
        reciprocity.observe_errors(reciprocity.squared_errors(own, states, y, ask_peer))
        return reciprocity.errors, reciprocity.weights

    _, before = look(evaluate)
    assert before[1, 0] > 0
    errors, after = look(one_broken)
    assert np.isinf(errors[1, 0])
    assert after[1, 0] == 0
    assert np.isnan(errors[2, 0])  # nobody asked
    assert after[1].sum() == pytest.approx(1)
    unknown = target.clone()
    unknown[1, 0] = np.nan  # where the target is none, no answer is wrong
    np.testing.assert_array_equal(look(evaluate, unknown)[0][1], errors[1])
    again, weights = look(evaluate)
    assert again[1, 0] == pytest.approx(float(reciprocity.squared_errors(own, states, target, evaluate)[1, 0]))
    assert weights[1, 0] > 0


def test_errors_are_those_of_plain_loops():
    reciprocity, states, evaluate, own = group(trust="td", peers="ring")
    target = th.randn(N, BATCH, dtype=th.float64, generator=th.Generator().manual_seed(5))
    errors = reciprocity.squared_errors(own, states, target, evaluate)
    for i in range(N):
        for j in range(N):
            if abs(i - j) == 2:  # opposite on the ring
                assert errors[i, j].isnan()
                continue
            values = [evaluate(states, th.full((N, BATCH), j))[:, i, b].min() for b in range(BATCH)]
            mean = sum((float(values[b]) - float(target[i, b])) ** 2 for b in range(BATCH)) / BATCH
            assert float(errors[i, j]) == pytest.approx(mean, rel=1e-12)


def test_errors_that_are_none_are_refused():
    reciprocity = group(trust="td")[0]
    with pytest.raises(ValueError, match=r"errors of shape \(2, 2\): expected \(n_agents, n_agents\) = \(4, 4\)"):
        reciprocity.observe_errors(np.ones((2, 2)))
    with pytest.raises(ValueError, match="expected squares"):
        reciprocity.observe_errors(-np.ones((N, N)))
    assert reciprocity.errors is None


def test_the_state_goes_on_and_older_ones_have_none():
    one, other = group(trust="td")[0], group(trust="td")[0]
    one.observe_errors(ERRORS["different"])
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    np.testing.assert_array_equal(one.weights, other.weights)
    older = {key: value for key, value in one.state_dict().items() if key != "errors"}
    other.load_state_dict(older)
    assert other.errors is None


@pytest.mark.parametrize("draws", ["one_voice", "sampled"])
def test_an_agent_without_peers_keeps_its_value(draws):
    reciprocity, states, evaluate, own = group(estimator=draws, trust="td", peers="matrix", peer_matrix=MATRIX)
    assert th.equal(reciprocity.value(own, states, evaluate)[0, 1], own.amin(0)[1])


def test_joint_values_have_one_voice_per_row():
    """Critics of a shared state: the expectation over all voices is eq. 12."""
    config = {"kappa": 0.6, "trust": "td"}
    full = Reciprocity(ReciprocityConfig(**config), N, seed=1)
    voice = Reciprocity(ReciprocityConfig(**config, estimator="one_voice"), N, seed=1)
    values = th.randn(1, N, BATCH, dtype=th.float64, generator=th.Generator().manual_seed(0))
    states = th.zeros(BATCH, 0)
    for one in (full, voice):
        one.observe_errors(ERRORS["different"])
    expected = full.joint_value(values, states, lambda s: values[:, :, None], at_states=values)
    chances = voice._voices(None, states[None])
    heard = th.cat([values[0][None].expand(N, -1, -1), values[0][:, None]], 1)  # (i, voice, batch)
    th.testing.assert_close((chances[..., None] * heard).sum(1), expected[0], rtol=1e-12, atol=1e-12)
    found = voice.joint_value(values, states, lambda s: values[:, :, None], at_states=values)[0]
    assert (found[:, None] == heard).any(1).all()
