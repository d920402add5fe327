"""The opt-in fast path: ``fast=True``. Results differ from the default's by float32 rounding."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.buffers import ReplayBuffer

LOGGER = logging.getLogger(__name__)


@contextmanager
def fast_matmul(enabled: bool) -> Iterator[None]:
    """Matrix products by oneDNN instead of MKL, in true float32: up to twice as fast on CPUs with full AVX-512.

    PyTorch takes oneDNN when it may use bfloat16. Whether it would really use it depends on the CPU (with AMX it
    does), so the precision is measured first, and the setting is left alone where products would lose digits.
    """
    if not enabled or not onednn_keeps_float32():
        yield
        return
    matmul: Any = th.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = matmul.fp32_precision
    matmul.fp32_precision = "bf16"
    try:
        yield
    finally:
        matmul.fp32_precision = before


@functools.lru_cache(maxsize=1)
def onednn_keeps_float32() -> bool:
    """Whether oneDNN's products on this CPU are as precise as float32 allows; measured once, on 256 x 256."""
    matmul: Any = getattr(th.backends.mkldnn, "matmul", None)
    if matmul is None or not hasattr(matmul, "fp32_precision"):
        LOGGER.info("fast=True: this PyTorch has no oneDNN switch; products stay with the default library")
        return False
    rng = np.random.default_rng(0)
    left, right = (th.as_tensor(rng.normal(size=(2, 256, 256)), dtype=th.float32) for _ in range(2))
    before = matmul.fp32_precision
    try:
        matmul.fp32_precision = "bf16"
        product = th.bmm(left, right).double()
    finally:
        matmul.fp32_precision = before
    exact = th.bmm(left.double(), right.double())
    error = float((product - exact).abs().max() / exact.abs().max())
    if error > 1e-5:  # float32 gives about 5e-7, bfloat16 about 4e-3
        LOGGER.info(
            "fast=True: oneDNN would round to bfloat16 on this CPU (error %.1e); the default library stays", error
        )
    return error <= 1e-5


def store_float32(buffer: ReplayBuffer) -> None:
    """Keep float64 observations (MuJoCo's) in float32, as the networks see them: half the memory and traffic.

    With VecNormalize the rounding happens before the scaling instead of after it.
    """
    for name in ("observations", "next_observations"):
        array = getattr(buffer, name, None)
        if isinstance(array, np.ndarray) and array.dtype == np.float64:
            # zeros are not backed by memory until they are written; copying a fresh buffer would touch all of it
            rows = buffer.buffer_size if buffer.full else buffer.pos + 1
            stored = np.zeros_like(array, dtype=np.float32)
            stored[:rows] = array[:rows]
            setattr(buffer, name, stored)
