"""Importing our packages imports no simulator; making an environment without jax says what to install."""

import subprocess
import sys

import pytest

MODULES = (
    *(
        "marl_pr_common",
        "marl_pr_common.envs",
        "marl_pr_common.cli.findings",
        "marl_pr_common.cli",
        "sb3_pr",
        "epymarl_pr",
    ),
    *("epymarl_pr.launcher", "epymarl_pr.checks", "epymarl_pr.smax", "epymarl_pr.starcraft"),
    *(
        "marl_pr_common.envs.smax.battle",
        "marl_pr_common.envs.smax.vector",
        "marl_pr_common.envs.particles.predator_prey",
    ),
)
HEAVY = ("jax", "jaxmarl", "pysc2", "smac", "smacv2", "smaclite", "s2clientprotocol")


@pytest.mark.parametrize("module", MODULES)
def test_importing_it_imports_no_simulator(module):
    code = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "call",
    [
        "make('smax:3m')",
        "make('CooperativeNavigation-3', engine='jaxmarl')",
        "make('PredatorPrey-3', engine='jaxmarl')",
    ],
)
def test_without_jax_the_error_says_what_to_install(call):
    code = (
        "import importlib.util as u, sys\n"
        "real = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name in ('jax', 'jaxmarl') else real(name, *a)\n"
        "sys.modules['jax'] = sys.modules['jaxmarl'] = None\n"
        f"from marl_pr_common.envs import make\ntry:\n    {call}\nexcept ImportError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "marl-pr[smax]" && pip install --no-deps' in done.stdout
