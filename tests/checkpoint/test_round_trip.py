"""A tree comes back exactly: every type, every bit."""

import json
import math
import random
import tempfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th
from hypothesis import given, settings
from hypothesis import strategies as st

from marl_pr_common import checkpoint
from marl_pr_common.checkpoint.payload import from_plain, read_part, to_plain, write_part
from marl_pr_common.reciprocity import Reciprocity, ReciprocityConfig


def same(a: Any, b: Any) -> bool:
    """Equal in type and in every bit."""
    if isinstance(a, th.Tensor):
        if type(b) is not th.Tensor or a.dtype != b.dtype or a.shape != b.shape:
            return False
        return th.equal(a.detach().cpu().contiguous().flatten().view(th.uint8), b.contiguous().flatten().view(th.uint8))
    if isinstance(a, (np.ndarray, np.generic)):
        return type(a) is type(b) and a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return type(b) is dict and list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, float):
        return type(b) is float and (a.hex() == b.hex() or (math.isnan(a) and math.isnan(b)))
    return type(a) is type(b) and a == b


shared = th.arange(12.0).view(3, 4)
DTYPES = (th.bfloat16, th.float16, th.float64, th.int64, th.int32, th.int16, th.int8)
LEAVES = {
    "none": None,
    "bool": True,
    "int": -3,
    "pcg64": np.random.default_rng(0).bit_generator.state,
    "mt19937": np.random.RandomState(1).get_state(legacy=False),
    "floats": [0.1, -0.0, 1e-320, math.inf, -math.inf, math.nan, 1e308],
    "text": 'Größe "$tuple" \x00 \U0001f600 \ud800',
    "tuple": (1, (2.0, [None, ()])),
    "int keys": {0: "a", -1: {"b": 1}},
    "dollar keys": {"$tensor": "0", "$": 1},
    "one dollar key": {"$array": "0"},
    "mixed keys": {1: "int", "1": "str"},
    "empty": [{}, [], ()],
    "scalars": [np.float32(1.5), np.float64("nan"), np.int8(-1), np.bool_(True), np.str_("x"), np.str_("")],
    "times": np.array(["2020-01-01", "NaT"], "M8[D]"),
    "arrays": [np.arange(6).reshape(2, 3), np.zeros((0, 3)), np.array(2.5), np.array(["a", "bc"]), np.array([True])],
    "layouts": [np.arange(6.0).reshape(2, 3).T, np.arange(10)[::-2], np.asfortranarray(np.eye(3))],
    "byte order": np.eye(2, dtype=">f8"),
    "structured": np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
    "nan array": np.array([np.nan, np.inf, -0.0]),
    "tensors": [th.tensor(1.5), th.zeros(0, 3), th.tensor([True, False]), th.tensor([255], dtype=th.uint8)],
    "dtypes": [th.ones(3, dtype=d) for d in DTYPES],
    "views": [shared, shared, shared[1:], shared.t(), shared[:, ::2], th.ones(1).expand(3)],
    "parameter": th.nn.Parameter(th.ones(2)).detach(),
    "nan tensor": th.tensor([math.nan, math.inf, -0.0]),
}  # fmt: skip


@pytest.mark.parametrize("name", LEAVES)
def test_every_type_comes_back_exactly(name, tmp_path):
    checkpoint.save(tmp_path, {"value": LEAVES[name]}, step=1)
    assert same(checkpoint.load(tmp_path).tree, {"value": LEAVES[name]})


@pytest.mark.parametrize("name", sorted(set(LEAVES) - {"arrays", "times", "byte order", "structured"}))
def test_every_type_comes_back_exactly_as_plain_data(name):
    content = json.loads(json.dumps(to_plain({"value": LEAVES[name]})))
    assert same(from_plain(content), {"value": LEAVES[name]})


@pytest.mark.parametrize("shape", [(), (1,), (0,), (2, 0, 3), (2, 3)])
def test_arrays_keep_their_shape_as_plain_data(shape):
    tree = [np.ones(shape), np.ones(shape, np.int32).T, th.ones(shape)]
    assert same(from_plain(to_plain(tree)), tree)


def test_adam_with_its_int_keys(tmp_path):
    network = th.nn.Linear(3, 2)
    optimizer = th.optim.Adam(network.parameters(), fused=True)
    network(th.ones(1, 3)).sum().backward()
    optimizer.step()
    tree = {"optimizer": optimizer.state_dict(), "network": OrderedDict(network.state_dict())}
    checkpoint.save(tmp_path, tree, step=1)
    loaded = checkpoint.load(tmp_path).tree
    assert same({**tree, "network": dict(tree["network"])}, loaded)
    optimizer.load_state_dict(loaded["optimizer"])
    network.load_state_dict(loaded["network"])


JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.text(), JSON_LIKE))
def test_any_nesting_comes_back(tree):

    with tempfile.TemporaryDirectory() as directory:
        files = write_part(Path(directory), "tree", tree)
        assert same(tree, read_part(Path(directory), "tree", [file.name for file in files]))


@pytest.mark.parametrize(
    "value, named",
    [
        (object(), "builtins.object"),
        (np.array([object()]), "object"),
        (np.ma.masked_array([1], [True]), "MaskedArray"),
        ({1.5: 2}, "1.5"),
        ({True: 2}, "True"),
        (th.eye(2).to_sparse(), "dense"),
        (th.complex(th.ones(1), th.ones(1)), "complex"),
        (lambda: None, "function"),
        (b"bytes", "bytes"),
    ],
)
def test_what_cannot_be_kept_is_named_with_its_place(value, named, tmp_path):
    with pytest.raises(TypeError, match=r"tree\['here'\]\[0\].*" + named):
        checkpoint.save(tmp_path, {"here": [value]}, step=1)
    assert checkpoint.latest(tmp_path) is None
    assert [path.name for path in tmp_path.iterdir()] in ([], [".lock"])


def test_a_tree_inside_itself_is_refused(tmp_path):
    tree: dict = {}
    tree["again"] = tree
    with pytest.raises(TypeError, match="inside itself"):
        checkpoint.save(tmp_path, tree, step=1)


def test_parts_have_files_of_their_own(tmp_path):
    path = checkpoint.save(tmp_path, {"small": 1, "replay": {"rows": np.ones(3)}}, step=5, separate=["replay"])
    assert sorted(file.name for file in path.iterdir()) == ["manifest.json", "replay.json", "replay.npz", "tree.json"]
    assert same(checkpoint.load(path).tree, {"small": 1, "replay": {"rows": np.ones(3)}})


def test_equal_trees_give_equal_bytes(tmp_path):
    tree = {"t": th.ones(3), "a": np.arange(4), "n": {1: (2.0, None)}}
    one, two = (checkpoint.save(tmp_path / name, tree, step=1) for name in "ab")
    for name in ("tree.json", "tree.safetensors", "tree.npz"):
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_generators_go_on_where_they_were(tmp_path):
    own = [np.random.default_rng(3), np.random.RandomState(4), th.Generator().manual_seed(5)]
    own[0].random(3), own[1].normal(), th.rand(2, generator=own[2])
    states = {"global": checkpoint.rng_state(), "own": [checkpoint.generator_state(g) for g in own]}
    checkpoint.save(tmp_path, states, step=1)

    def draws():
        here = [random.random(), float(np.random.rand()), float(th.rand(1))]  # noqa: NPY002
        return [*here, float(own[0].random()), float(own[1].normal()), float(th.rand(1, generator=own[2]))]

    expected = draws()
    loaded = checkpoint.load(tmp_path).tree
    checkpoint.set_rng_state(loaded["global"])
    for generator, state in zip(own, loaded["own"], strict=True):
        checkpoint.set_generator_state(generator, state)
    assert draws() == expected


def test_a_generators_state_fits_its_own_kind_only():
    state = checkpoint.generator_state(np.random.default_rng(0))
    for other in (np.random.RandomState(0), th.Generator(), np.random.Generator(np.random.MT19937(0))):
        with pytest.raises(checkpoint.CheckpointError, match="kind"):
            checkpoint.set_generator_state(other, state)


@pytest.mark.parametrize("options", [{}, {"adjacency": "noise", "estimator": "sampled"}, {"peers": "random"}])
def test_reciprocity_goes_on_where_it_was(options, tmp_path):
    config = ReciprocityConfig(**options)
    here = Reciprocity(config, 3, seed=1)
    states, own = th.rand(3, 8, 4), th.rand(2, 3, 8)

    def values(reciprocity):
        reciprocity.redraw_peers()
        return reciprocity.value(own, states, lambda s, peer: own + s.sum(-1) + peer)

    values(here)
    checkpoint.save(tmp_path, here.state_dict(), step=1)
    there = Reciprocity(config, 3, seed=99)
    there.load_state_dict(checkpoint.load(tmp_path).tree)
    for _ in range(12):
        assert th.equal(values(here), values(there))
    a, b = here.pop_statistics(), there.pop_statistics()
    assert same(a, b)
    with pytest.raises(checkpoint.CheckpointError, match="3 agents, these are 2"):
        Reciprocity(config, 2).load_state_dict(here.state_dict())
