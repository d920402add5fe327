"""Adjacency spaces: what is changed, how far, and with which weight."""

import numpy as np
import pytest
import torch as th

from marl_pr_common.reciprocity import Reciprocity, ReciprocityConfig, adjacency
from marl_pr_common.reciprocity.adjacency import STRATEGIES, Perturbation
from marl_pr_common.reciprocity.moments import RunningMoments
from marl_pr_common.reciprocity.space import Seen, Strategy, choose_one
from tests.reciprocity.copies import twin

N, BATCH, DIM = 3, 64, 7
PERTURBATIONS = [name for name, kind in STRATEGIES.items() if issubclass(kind, Perturbation)]


@pytest.fixture
def states():
    return th.randn(N, BATCH, DIM, generator=th.Generator().manual_seed(3)) * th.arange(1, DIM + 1)


def space(config, states, changeable=None, seed=0):
    moments = RunningMoments(N, DIM)
    moments.update(states)
    changeable = moments.squares > 0 if changeable is None else changeable
    return STRATEGIES[config.adjacency](config).space(
        Seen(states, moments, th.Generator().manual_seed(seed)), changeable
    )


def test_same_is_the_state_itself(states):
    found = space(ReciprocityConfig(), states)
    assert found.states.shape == (1, N, BATCH, DIM)
    assert th.equal(found.states[0], states)
    assert (found.weights == 1).all()


@pytest.mark.parametrize("kind", PERTURBATIONS)
@pytest.mark.parametrize("rho", [1, 3, 20])
def test_at_most_rho_coordinates_differ_and_every_level_occurs(states, kind, rho):
    config = ReciprocityConfig(adjacency=kind, rho=rho, n_adjacent=50, include_self=False)
    level = (space(config, states).states != states).sum(-1)
    assert level.max() == min(rho, DIM)
    assert set(level.unique().tolist()) >= set(range(1, min(rho, DIM) + 1))


@pytest.mark.parametrize("kind", PERTURBATIONS)
def test_every_changeable_coordinate_is_chosen_equally_often_and_no_other(states, kind):
    changeable = th.ones(N, DIM, dtype=th.bool)
    changeable[:, [0, 4]] = False
    config = ReciprocityConfig(adjacency=kind, rho=3, n_adjacent=300, include_self=False)
    changed = (space(config, states, changeable).states != states).float().mean((0, 2))
    assert (changed[:, [0, 4]] == 0).all()
    shares = changed[:, [1, 2, 3, 5, 6]]
    np.testing.assert_allclose(shares / shares.mean(), 1, atol=0.05)


@pytest.mark.parametrize("kind", PERTURBATIONS)
def test_constant_coordinates_are_left_alone(states, kind):
    states[..., 2] = 5.0
    config = ReciprocityConfig(adjacency=kind, rho=7, n_adjacent=20, include_self=False)
    assert (space(config, states).states[..., 2] == 5.0).all()


def test_replacement_values(states):
    options = {"rho": 1, "n_adjacent": 200, "include_self": False}
    noisy = space(ReciprocityConfig(adjacency="noise", noise_scale=0.1, **options), states).states
    difference = (noisy - states).square().sum((0, 2)) / ((noisy != states).sum((0, 2)))
    np.testing.assert_allclose(difference.sqrt() / states.std(1, correction=0), 0.1, rtol=0.1)
    dropped = space(ReciprocityConfig(adjacency="drop", **options), states).states
    mean = states.double().mean(1)[None, :, None].float().expand_as(dropped)
    assert th.allclose(dropped[dropped != states], mean[dropped != states])
    seen = space(ReciprocityConfig(adjacency="resample", **options), states).states
    for agent in range(N):
        for d in range(DIM):
            assert th.isin(seen[:, agent, :, d], states[agent, :, d]).all()


@pytest.mark.parametrize("metric", ["l0", "euclidean", "cosine"])
def test_neighbours_are_the_nearest_other_rows(states, metric):
    states = states.round()
    config = ReciprocityConfig(adjacency="neighbours", metric=metric, n_adjacent=3, include_self=False)
    found = space(config, states).states.numpy()
    for agent, row in [(0, 0), (1, 17), (2, 63)]:
        s = states[agent].numpy().astype(np.float64)
        if metric == "l0":
            distance = (s != s[row]).sum(-1).astype(float)
        elif metric == "euclidean":
            distance = np.linalg.norm(s - s[row], axis=-1)
        else:
            distance = 1 - (s @ s[row]) / np.linalg.norm(s, axis=-1) / np.linalg.norm(s[row])
        distance[row] = np.inf
        nearest = np.sort(distance)[:3]
        rows = [int(np.flatnonzero((s == f).all(-1))[0]) for f in found[:, agent, row]]
        np.testing.assert_allclose(np.sort(distance[rows]), nearest, atol=1e-5)


def test_include_self_and_weights(states):
    config = ReciprocityConfig(adjacency="resample", rho=2, n_adjacent=4, temperature=2.0)
    found = space(config, states)
    assert adjacency.size(config) == 5 == len(found.states)
    assert th.equal(found.states[0], states)
    np.testing.assert_allclose(found.weights.sum(0), 1, atol=1e-6)
    level = (found.states != states).sum(-1).float()
    np.testing.assert_allclose(found.weights, th.softmax(-level / 2.0, 0), atol=1e-6)
    uniform = space(ReciprocityConfig(adjacency="resample", n_adjacent=4, weights="uniform"), states)
    np.testing.assert_allclose(uniform.weights, 1 / 5)


def test_sampling_one_state_follows_the_weights(states):
    config = ReciprocityConfig(adjacency="noise", n_adjacent=2, temperature=1.0)
    found = space(config, states)
    generator = th.Generator().manual_seed(1)
    chosen = th.stack([choose_one(found, generator) for _ in range(2000)])
    share = (chosen == states).all(-1).float().mean(0)
    np.testing.assert_allclose(share, found.weights[0], atol=0.06)


@pytest.mark.parametrize("kind", STRATEGIES)
def test_holes_are_filled_from_what_the_peer_sees(kind):
    masks = th.tensor([[1, 1, 0], [0, 1, 1]], dtype=th.bool)
    generator = th.Generator().manual_seed(0)
    seen = th.randn(2, 32, 3, generator=generator)
    seen[1] += 10
    states = seen * masks[:, None]
    moments = RunningMoments(2, 3)
    moments.update(states)
    peer = th.tensor([1, 0])[:, None].expand(2, 32)
    strategy = STRATEGIES[kind](ReciprocityConfig(adjacency=kind))
    view = strategy.view(Seen(states, moments, generator), states, peer, masks)
    assert th.equal(view[0, :, :2], states[0, :, :2])  # what the agent sees is kept
    assert th.equal(view[1, :, 1:], states[1, :, 1:])
    hole = view[0, :, 2]
    if STRATEGIES[kind].fill is Strategy.fill:
        np.testing.assert_allclose(hole, states[1, :, 2].mean(), rtol=1e-5)
    elif kind == "noise":
        assert 0 < (hole - states[1, :, 2].mean()).std() < states[1, :, 2].std()
    else:
        assert th.isin(hole, states[1, :, 2]).all()
    if kind == "neighbours":  # nearest in coordinate 1, the only one that both see
        nearest = (states[1, :, 1][None] - states[0, :, 1][:, None]).abs().argmin(1)
        assert th.equal(hole, states[1, nearest, 2])


def test_running_moments_equal_those_of_all_rows():
    batches = [th.randn(2, size, 3, dtype=th.float64) * 3 + 7 for size in (5, 1, 40)]
    moments = RunningMoments(2, 3)
    for batch in batches:
        moments.update(batch)
    together = th.cat(batches, dim=1)
    np.testing.assert_allclose(moments.mean, together.mean(1), rtol=1e-12)
    np.testing.assert_allclose(moments.std, together.std(1, correction=0), rtol=1e-12)


def test_too_few_rows_for_neighbours():
    with pytest.raises(ValueError, match="n_adjacent=64 with a batch of 64 rows"):
        space(ReciprocityConfig(adjacency="neighbours", n_adjacent=64), th.randn(N, BATCH, DIM))


@pytest.mark.parametrize("kind", sorted(set(STRATEGIES) - {"same"}))
@pytest.mark.parametrize("estimator", ["full", "sampled"])
def test_draws_are_reproducible_touch_no_global_generator_and_survive_saving(states, kind, estimator):
    config = ReciprocityConfig(adjacency=kind, n_adjacent=2, estimator=estimator)
    own = th.randn(2, N, BATCH)
    before = th.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002

    def values(reciprocity):
        return reciprocity.value(own, states, lambda s, j: s.sum(-1)[None].expand(2, -1, -1))

    one, two = Reciprocity(config, N, seed=5), Reciprocity(config, N, seed=5)
    assert th.equal(values(one), values(two))
    again = twin(one)
    assert th.equal(values(one), values(again))
    assert th.equal(th.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002


@pytest.mark.parametrize("normalize", ["mean", "sum"])
@pytest.mark.parametrize("graph", ["complete", "ring", "random"])
def test_the_sampled_estimator_is_unbiased(normalize, graph):
    """Its mean over many draws is the full double sum: a batch in which every row stands 4,000 times."""
    options = {"kappa": 0.7, "normalize": normalize, "peers": graph, "n_peers": 2}
    n, batch, draws = 4, 10, 4000
    fixed = th.Generator().manual_seed(0)  # else what is drawn depends on the tests before
    own = th.randn(1, n, batch, dtype=th.float64, generator=fixed)
    states = th.randn(n, batch, 2, dtype=th.float64, generator=fixed)
    table = th.randn(n, n, batch, dtype=th.float64, generator=fixed)  # Z_j of row (i, b)

    def evaluate(s, peer):
        i, b = th.arange(n)[:, None], th.arange(peer.shape[-1]) % batch
        return table[i, peer, b][None]

    full = Reciprocity(ReciprocityConfig(**options), n, seed=0)
    sampled = Reciprocity(ReciprocityConfig(**options, estimator="sampled"), n, seed=0)
    expected = full.value(own, states, evaluate)
    drawn = sampled.value(own.repeat(1, 1, draws), states.repeat(1, draws, 1), evaluate).unflatten(-1, (draws, batch))
    assert (drawn.std(-2) > 0).any()
    np.testing.assert_allclose(drawn.mean(-2), expected, atol=0.12)
