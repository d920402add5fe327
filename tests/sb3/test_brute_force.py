"""What critic_target answers, against three plain loops over agents, peers and adjacent states, in float64."""

import numpy as np
import pytest
import torch as th

from marl_pr_common.reciprocity import adjacency
from sb3_pr import DDPGPR, SACPR, TD3PR
from sb3_pr.target import ReciprocalTarget
from tests.reciprocity import brute_force
from tests.reciprocity.copies import twin
from tests.sb3.tools import SMALL, double, lone_critics

N, BATCH = 4, 12
GRAPH = ((0, 2, 1, 0), (0, 0, 0, 0), (1, 1, 0, 1), (0.5, 0, 0, 0))
OPTIONS = [
    {"adjacency": kind, "weights": weights, "n_adjacent": 3, "rho": 2, "include_self": include_self}
    for kind in ("same", "noise", "resample", "drop", "neighbours")
    for weights, include_self in (("exponential", True), ("uniform", False))
]
GRAPHS = [{"peers": "complete"}, {"peers": "ring"}, {"peers": "random", "n_peers": 2}, {"peers": GRAPH}]


def make(cls=TD3PR, **options):
    model = cls("MlpPolicy", "Hopper-v5", n_agents=N, policy_kwargs=dict(SMALL), seed=1, **options)
    generator = th.Generator().manual_seed(0)
    with th.no_grad():  # peers that disagree
        for parameter in model.policy.critic_target.parameters():
            parameter.add_(0.3 * th.randn(parameter.shape, generator=generator))
    rows = model.n_columns * BATCH
    obs = th.randn(rows, 11, dtype=th.float64, generator=generator)
    actions = th.rand(rows, 3, dtype=th.float64, generator=generator) * 2 - 1
    return double(model), obs, actions


def expected(model, obs, actions, critic=None, reciprocity=None, first=0):
    """The oracle: upstream critics one at a time, on adjacency spaces drawn from a copy of PR's state.

    :param reciprocity: of one of several teams, whose agents are those from ``first`` on
    """
    config = model.pr
    reciprocity = twin(reciprocity or model.reciprocity)
    reciprocity.redraw_peers()
    graph = (reciprocity.peer_weights > 0) if config.peers != "matrix" else np.asarray(config.peer_matrix)
    states = obs.view(N, BATCH, -1)
    found = reciprocity.adjacent(states).states  # (n_adjacent, N, BATCH, dim)
    networks = lone_critics(model)[first : first + N]

    def value(j, state, action):
        with th.no_grad():
            values = th.cat(networks[j](state[None], action[None]), dim=1)
        return float(values.min() if critic is None else values[0, critic])

    actions = actions.view(N, BATCH, -1)
    own = [[value(i, states[i, b], actions[i, b]) for b in range(BATCH)] for i in range(N)]
    if config.adjacency == "neighbours":
        distance = (found - states).norm(dim=-1)
    else:
        distance = (found != states).sum(-1).double()
    distances = distance.permute(1, 2, 0).tolist()
    return brute_force.reciprocal_value(
        own, lambda i, j, a, b: value(j, found[a, i, b], actions[i, b]), graph, distances, config
    )


def check(model, obs, actions, **kwargs):
    oracle = expected(model, obs, actions, **kwargs)
    with th.no_grad():
        values = model.critic_target(obs, actions)
    value = values[kwargs["critic"]] if kwargs else th.cat(values, dim=1).min(dim=1).values
    np.testing.assert_allclose(value.view(N, BATCH), oracle, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(str(v) for v in o.values()))
@pytest.mark.few(5)
def test_every_strategy_and_weight(options):
    check(*make(**options))


@pytest.mark.parametrize("graph", GRAPHS, ids=["complete", "ring", "random", "matrix"])
@pytest.mark.parametrize("kind", ["same", "resample"])
@pytest.mark.few(4)
def test_every_peer_graph(graph, kind):
    check(*make(adjacency=kind, **graph))


@pytest.mark.parametrize("kind", ["same", "noise"])
@pytest.mark.parametrize("cls", [DDPGPR, SACPR])
def test_other_algorithms(cls, kind):
    """DDPG has one critic, and of two the minimum is taken: one value either way."""
    model, obs, actions = make(cls, adjacency=kind)
    assert len(model.critic_target(obs, actions)) == 1
    check(model, obs, actions)


@pytest.mark.parametrize("kind", ["same", "drop"])
@pytest.mark.parametrize("critic", [0, 1])
def test_minimum_over_the_mixture_mixes_each_critic(kind, critic):
    model, obs, actions = make(adjacency=kind, min_over="mixture")
    assert len(model.critic_target(obs, actions)) == 2
    model, obs, actions = make(adjacency=kind, min_over="mixture")
    check(model, obs, actions, critic=critic)


@pytest.mark.parametrize("graph", [{"peers": "random", "n_peers": 2}, {"peers": GRAPH}], ids=["random", "matrix"])
@pytest.mark.parametrize("kind", adjacency.STRATEGIES)
@pytest.mark.few(3)
def test_every_strategy_in_two_teams(kind, graph):
    """The graph of all is block-diagonal, and each team draws from its own generators."""
    model, obs, actions = make(adjacency=kind, n_adjacent=2, rho=2, n_teams=2, **graph)
    parts = zip(model.reciprocity.teams, obs.chunk(2), actions.chunk(2), strict=True)
    oracle = [expected(model, *rows, reciprocity=its, first=t * N) for t, (its, *rows) in enumerate(parts)]
    with th.no_grad():
        value = th.cat(model.critic_target(obs, actions), dim=1).min(dim=1).values
    np.testing.assert_allclose(value.view(2, N, BATCH), oracle, rtol=1e-12, atol=1e-12)
    blocks = model.reciprocity.peer_weights.reshape(2, N, 2, N)
    assert blocks[0, :, 0].any()
    assert not blocks[0, :, 1].any()
    assert not blocks[1, :, 0].any()


def test_literal_sum():
    options = {"adjacency": "resample", "normalize": "sum", "kappa": 0.001, "weights": "uniform", "gamma": 0.9}
    check(*make(**options))


def test_a_broken_peer_is_left_out_counted_and_logged():
    model, obs, actions = make(min_over="peer")
    with th.no_grad():
        first = next(p for p in model.policy.critic_target.parameters())
        first[2].fill_(th.nan)
    model.reciprocity.pop_statistics()
    with th.no_grad():
        values = model.critic_target(obs, actions)[0].view(N, BATCH)
    assert th.isfinite(values[[0, 1, 3]]).all()
    assert not th.isfinite(values[2]).any()  # its own fault stays its own
    without, _, _ = make(peers=(1 - np.eye(N)) * np.array([1, 1, 0, 1]))
    with th.no_grad():
        expected_values = without.critic_target(obs, actions)[0].view(N, BATCH)
    th.testing.assert_close(values[[0, 1, 3]], expected_values[[0, 1, 3]], rtol=1e-12, atol=1e-12)
    model.reciprocity.pop_statistics()
    assert model.reciprocity.masked_peer_values == (N - 1) * BATCH


def test_the_adjacency_space_is_drawn_on_all_coordinates_that_vary():
    model, obs, _ = make(adjacency="drop", n_adjacent=40, rho=1, include_self=False)
    obs[:, 3] = 2.0
    found = model.reciprocity.adjacent(obs.view(N, BATCH, -1)).states
    changed = (found != obs.view(N, BATCH, -1)).any(0).any(1)
    assert not changed[:, 3].any()
    assert changed[:, [0, 1, 2, 4, 5, 6, 7, 8, 9, 10]].all()
    assert adjacency.size(model.pr) == 40


@pytest.mark.parametrize("kind", ["same", "resample", "neighbours"])
def test_masks_peers_see_their_own_coordinates(kind, monkeypatch):
    """Agent i's row as peer j sees it: common coordinates kept, what only i sees hidden, holes filled."""
    rng = np.random.default_rng(0)
    masks = rng.random((N, 11)) < 0.6
    masks[:, 0] = True
    model, obs, actions = make(adjacency=kind, observation_masks=masks)
    views = []
    evaluator = ReciprocalTarget.evaluator

    def watched(target, o, a):
        evaluate = evaluator(target, o, a)
        return lambda states, peer: (views.append((states, peer)), evaluate(states, peer))[1]

    monkeypatch.setattr(ReciprocalTarget, "evaluator", watched)
    with th.no_grad():
        model.critic_target(obs, actions)
    see = th.as_tensor(masks)
    states = obs.view(N, BATCH, -1)
    checked = 0
    for view, peer in views:
        common = see[peer] & see[:, None]
        changed = (view != states) & common
        assert changed.sum(-1).max() <= (1 if kind == "resample" else 11 if kind == "neighbours" else 0)
        checked += int((see[peer] & ~see[:, None]).sum())
    assert checked > 0
