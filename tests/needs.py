"""Marks of tests that need what may be missing."""

import importlib.util

import pytest

NEEDS_JAX = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("jax", "jaxmarl")),
    reason="jax or JaxMARL is not installed: pip install 'marl-pr[smax]' && pip install --no-deps jaxmarl",
)
"""Looks, and imports neither: that takes seconds in every process that collects tests."""
