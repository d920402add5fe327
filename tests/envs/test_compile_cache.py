"""What jax compiles is kept on disk for the next process. Needs jax and JaxMARL."""

import os
import subprocess
import sys

import pytest

from tests.needs import NEEDS_JAX


@NEEDS_JAX
@pytest.mark.slow
def test_the_next_process_reads_what_this_one_compiled(tmp_path):
    code = (
        "from marl_pr_common.envs import make\nenv = make('smax:3m')\n"
        "env.reset(seed=0)\nenv.step(dict.fromkeys(env.agents, 4))"
    )
    environment = {key: value for key, value in os.environ.items() if key != "JAX_COMPILATION_CACHE_DIR"}
    found = []
    for _ in range(2):
        command = [sys.executable, "-c", code]
        subprocess.run(command, env={**environment, "XDG_CACHE_HOME": str(tmp_path)}, check=True)
        found.append(
            {file.name: file.stat().st_mtime_ns for file in (tmp_path / "marl-pr" / "jax").glob("jit_*-cache")}
        )
    assert {name.partition("-")[0] for name in found[0]} >= {"jit__reset", "jit__step"}
    assert found[0] == found[1]
