"""PyTorch's compiler waits until somebody asks for it, and is whole then."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

COMPILED = """
import sys
from marl_pr_common.runs.lean import without_compiler
without_compiler()
import torch as th
net = th.nn.Linear(3, 1)
adam = th.optim.Adam(net.parameters())
def step(x):
    adam.zero_grad()
    net(x).sum().backward()
    adam.step()
    return x + 1
step(th.ones(2, 3))
adam.load_state_dict(adam.state_dict())
assert "sympy" not in sys.modules, "the compiler was loaded"
import torch._dynamo.config as part
import torch._dynamo as whole
assert whole.config is part is sys.modules["torch._dynamo.config"]
assert "sympy" in sys.modules
assert whole.explain and type(whole) is type(sys)
assert (th.compile(step, backend="eager")(th.ones(2, 3)) == 2).all()
step(th.ones(2, 3))
"""


@pytest.mark.slow
def test_the_compiler_waits_until_it_is_asked_and_works_then():
    variables = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", COMPILED], env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
