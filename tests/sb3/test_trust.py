"""Trust and one voice in SB3's own train(), against loops over upstream critics in float64."""

import numpy as np
import pytest
import torch as th
from stable_baselines3 import TD3
from stable_baselines3.common import policies as sb3_policies
from torch.nn import functional as F

from sb3_pr import DDPGPR, TD3PR, target, trust
from tests.reciprocity import brute_force
from tests.reciprocity.copies import twin
from tests.sb3 import test_brute_force
from tests.sb3.test_brute_force import BATCH, N, check
from tests.sb3.tools import SMALL, assert_same_bits, double, fill, lone_critics, prepare

GRAPH = ((0, 2, 1, 0), (0, 0, 0, 0), (1, 1, 0.5, 1), (0.5, 0, 0, 0))
GRAPHS = {
    "complete": {},
    "ring": {"peers": "ring"},
    "random": {"peers": "random", "n_peers": 1},
    "matrix": {"peers": GRAPH},
}
RUN = {"policy_kwargs": dict(SMALL), "learning_starts": 60, "batch_size": 16, "seed": 2}


@pytest.fixture
def in_float64(monkeypatch):
    cast = sb3_policies.preprocess_obs  # SB3 casts observations to float32
    monkeypatch.setattr(sb3_policies, "preprocess_obs", lambda *args, **kwargs: cast(*args, **kwargs).double())


def group(cls=TD3PR, batch=32, **options):
    """Four agents with networks of their own, a full replay buffer in float64, and the batch that they will draw."""
    options = {"target_policy_noise": 0.0} | options if cls is TD3PR else options
    model = cls("MlpPolicy", "Pendulum-v1", n_agents=N, policy_kwargs=dict(SMALL), seed=1, **options)
    double(prepare(model))
    fill(model, 200)
    drawn = [field.double() if isinstance(field, th.Tensor) else field for field in model.replay_buffer.sample(batch)]
    sampled = type(model.replay_buffer.sample(batch))(*drawn)
    model.replay_buffer.sample = lambda size, env=None: sampled
    return model, sampled


def errors_of(model, batch, errors, rows):
    """Mean squared errors of every pair, one upstream critic and one row at a time.

    :param errors: what was known when the targets were formed
    """
    networks, n_rows = lone_critics(model), len(batch.actions) // N
    reciprocity, config = twin(model.reciprocity), model.pr
    reciprocity.redraw_peers()
    graph = np.asarray(reciprocity.peer_weights)

    def value(j, obs, action):
        with th.no_grad():
            return float(th.cat(networks[j](obs[None], action[None]), dim=1).min())

    with th.no_grad():
        following = model.actor_target(batch.next_observations)
    row = np.arange(N * n_rows).reshape(N, n_rows)
    own = [[value(i, batch.next_observations[k], following[k]) for k in row[i]] for i in range(N)]
    mixed = brute_force.trusting_value(
        own,
        lambda i, j, a, b: value(j, batch.next_observations[row[i, b]], following[row[i, b]]),
        graph,
        errors,
        [[[0.0]] * n_rows] * N,
        config,
    )
    found = np.full((N, N), np.nan)
    for i in range(N):
        for j in range(N):
            total = 0.0
            for b in rows:
                k = row[i, b]
                y = float(batch.rewards[k]) + float(1 - batch.dones[k]) * model.gamma * mixed[i][b]
                total += (value(j, batch.observations[k], batch.actions[k]) - y) ** 2
            found[i, j] = total / len(rows)
    return found


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
def test_errors_are_those_of_upstreams_targets(graph, in_float64):
    model, batch = group(trust="td", **graph)
    nothing = np.full((N, N), np.nan)
    expected = errors_of(model, batch, nothing, range(32))
    model.train(1, 32)
    found = model.reciprocity.errors
    np.testing.assert_allclose(found[np.isfinite(found)], expected[np.isfinite(found)], rtol=1e-10, atol=1e-10)
    heard = (model.reciprocity.peer_weights > 0) | np.eye(N, dtype=bool)
    assert np.isfinite(found[heard]).all()
    weights = [brute_force.trusted(model.reciprocity.peer_weights, found, i, 8.0) for i in range(N)]
    np.testing.assert_allclose(model.reciprocity.weights, weights, rtol=1e-10, atol=1e-10)


def test_they_are_looked_at_every_tenth_update_and_in_part_of_the_batch(in_float64):
    model, batch = group(DDPGPR, batch=100, trust="td")
    model.train(1, 100)
    first = model.reciprocity.errors.copy()
    model.train(trust.EVERY - 1, 100)
    np.testing.assert_array_equal(model.reciprocity.errors, first)
    rows = [b * 100 // trust.ROWS for b in range(trust.ROWS)]
    new = errors_of(model, batch, first, rows)
    model.train(1, 100)
    kept = 0.99**trust.EVERY
    mean = (kept * (1 - kept) * first + (1 - kept) * new) / (1 - kept**2)
    np.testing.assert_allclose(model.reciprocity.errors, mean, rtol=1e-10, atol=1e-10)


def test_many_peers_share_the_rows():
    model, _ = group(trust="td")
    assert len(trust.rows_to_judge(model.reciprocity, 256, th.device("cpu"))) == N * 64
    many = TD3PR("MlpPolicy", "Pendulum-v1", n_agents=30, trust="td", policy_kwargs={"net_arch": [4]}, seed=0)
    assert len(trust.rows_to_judge(many.reciprocity, 256, th.device("cpu"))) == 30 * (512 // 29)


@pytest.mark.parametrize("loss", [F.mse_loss, F.smooth_l1_loss, lambda q, y: ((q - y) ** 2).mean()])
def test_a_watched_answer_is_an_ordinary_tensor(loss):
    weight, target, seen = th.randn(5, 1, requires_grad=True), th.randn(5, 1), []
    plain = loss(weight * 2, target)
    (answer,) = trust.watched((weight * 2,), seen.append)
    th.cat([answer, answer], dim=1)  # not a comparison
    watched = loss(answer, target)
    assert type(watched) is th.Tensor
    assert th.equal(plain, watched)
    assert [th.equal(one, target) for one in seen] == [True]
    assert th.equal(*(th.autograd.grad(one, weight)[0] for one in (plain, watched)))


@pytest.mark.parametrize("sync_interval", [1, 3])
@pytest.mark.parametrize("kind", ["same", "resample"])
@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
@pytest.mark.few(8)
def test_one_voice_is_the_value_of_one_critic(graph, kind, sync_interval, monkeypatch):
    """Row by row: the value of the agent and the state that were drawn, by an upstream critic."""
    drawn = []
    evaluator = target.ReciprocalTarget.evaluator

    def watched(critic, obs, actions):
        evaluate = evaluator(critic, obs, actions)
        return lambda states, peer: (drawn.append((states, peer)), evaluate(states, peer))[1]

    monkeypatch.setattr(target.ReciprocalTarget, "evaluator", watched)
    model, obs, actions = test_brute_force.make(
        estimator="one_voice", adjacency=kind, n_adjacent=2, sync_interval=sync_interval, **graph
    )
    if model.peer_critics is not None:
        model.peer_critics.double()
        model.critic_target.n_updates = 1  # renews the snapshot
    with th.no_grad():
        values = model.critic_target(obs, actions)
    ((states, peer),) = drawn
    networks, found = lone_critics(model), values[0].view(N, BATCH)
    for i in range(N):
        for b in range(BATCH):
            with th.no_grad():
                one = networks[peer[i, b]](states[i, b][None], actions.view(N, BATCH, -1)[i, b][None])
            assert float(found[i, b]) == pytest.approx(float(th.cat(one).min()), abs=1e-12)
    assert (peer != th.arange(N)[:, None]).any()


def test_one_voice_asks_every_row_once():
    model, obs, actions = test_brute_force.make(estimator="one_voice")
    rows = []
    model.critic_target.wrapped.register_forward_hook(lambda network, given, values: rows.append(len(given[1])))
    with th.no_grad():
        model.critic_target(obs, actions)
    assert len(rows) == 1
    assert rows[0] <= N * BATCH + N * N  # stratified: no critic has more than a few rows above its share


@pytest.mark.parametrize("options", [{"trust": "td"}, {"estimator": "one_voice"}, {"trust": "td", "kappa": 1.0}])
def test_a_broken_peer_is_left_out(options):
    model, obs, actions = test_brute_force.make(**options)
    with th.no_grad():
        next(model.policy.critic_target.parameters())[2].fill_(th.nan)
        values = model.critic_target(obs, actions)[0].view(N, BATCH)
    assert th.isfinite(values[[0, 1, 3]]).all()
    assert model.reciprocity.broken_peers == {2}


def test_without_errors_trust_is_equal_weights_with_oneself():
    """kappa with trust = kappa (N - 1) / N without it, before anything is known."""
    model, obs, actions = test_brute_force.make(trust="td", kappa=0.8)
    plain, _, _ = test_brute_force.make(kappa=0.8 * (N - 1) / N)
    with th.no_grad():
        th.testing.assert_close(model.critic_target(obs, actions), plain.critic_target(obs, actions))
    check(plain, obs, actions)


def test_without_peers_upstream_bit_for_bit():
    options = {**RUN, "trust": "td"}
    upstream = TD3("MlpPolicy", "Pendulum-v1", **RUN).learn(200)
    assert_same_bits(TD3PR("MlpPolicy", "Pendulum-v1", **options).learn(200), upstream)
    off = TD3PR("MlpPolicy", "Pendulum-v1", n_agents=3, kappa=0.0, **options, estimator="one_voice").learn(300)
    plain = TD3PR("MlpPolicy", "Pendulum-v1", n_agents=3, kappa=0.0, **RUN).learn(300)
    assert_same_bits(off, plain)
    assert off.reciprocity.errors is None


def test_consensus_alone_goes_with_trust_and_masks():
    masks = np.array([[1, 1, 0], [0, 1, 1], [1, 1, 1]], dtype=bool)
    options = {**RUN, "trust": "td", "kappa": 0.0, "consensus": 0.1, "observation_masks": masks}
    model = TD3PR("MlpPolicy", "Pendulum-v1", n_agents=3, **options).learn(150)
    assert np.isfinite(model.reciprocity.errors).all()


def test_what_is_logged_and_saved(tmp_path):
    options = {**RUN, "trust": "td", "trust_power": 2.0}
    model = TD3PR("MlpPolicy", "Pendulum-v1", n_agents=3, **options).learn(300)
    model.train(20, 16)
    logged = model.logger.name_to_value
    for i in range(3):
        row = [logged[f"train/agent_{i}/trust_{j}"] for j in range(3)]
        assert sum(row) == pytest.approx(1)
        assert logged[f"train/agent_{i}/trust"] == pytest.approx(1 - row[i])
    assert logged["train/trust"] == pytest.approx(np.mean([logged[f"train/agent_{i}/trust"] for i in range(3)]))
    model.save(tmp_path / "model")
    loaded = TD3PR.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.reciprocity.errors, model.reciprocity.errors)
    assert (loaded.pr.trust, loaded.pr.trust_power) == ("td", 2.0)
    assert TD3PR.load(tmp_path / "model", trust="uniform").pr.trust == "uniform"
    assert TD3PR.load(tmp_path / "model", trust=True).pr.trust == "td"  # the file is trusted
    both = {"trust": True, "pr_trust": "uniform"}
    assert TD3PR.load(tmp_path / "model", **both).trust == "uniform"
    assert TD3PR.load(tmp_path / "model", pr_trust="uniform", trust_power=3.0).pr.trust_power == 3
    assert TD3PR.load(tmp_path / "model", None, "cpu", {"trust": "uniform"}, trust=True).pr.trust == "uniform"
    with pytest.raises(ValueError, match="trust='td' and pr_trust='uniform': PR's trust is given twice"):
        TD3PR.load(tmp_path / "model", trust="td", pr_trust="uniform")
    with pytest.raises(ValueError, match="trust='tdd' is not one of uniform, td"):
        TD3PR.load(tmp_path / "model", trust=True, pr_trust="tdd")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"own_critics": True, "trust": "td"}, "own_critics=True with trust='td'"),
        ({"own_critics": True, "estimator": "one_voice"}, 'own_critics=True with estimator="one_voice"'),
        ({"own_critics": True, "consensus": 0.1}, "own_critics=True with consensus=0.1"),
        ({"estimator": "one_voice", "min_over": "mixture"}, 'estimator="one_voice" with min_over="mixture"'),
        ({"trust": "dt"}, "trust='dt' is not one of uniform, td"),
    ],
)
def test_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TD3PR("MlpPolicy", "Pendulum-v1", n_agents=3, policy_kwargs=dict(SMALL), **options)
