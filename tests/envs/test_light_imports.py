"""Importing our packages imports no simulator; making an environment without jax says what to install."""

import subprocess
import sys

MODULES = (
    *(
        "marl_pr_common",
        "marl_pr_common.envs",
        "marl_pr_common.cli.findings",
        "marl_pr_common.cli",
        "sb3_pr",
        "epymarl_pr",
    ),
    *("epymarl_pr.launch.launcher", "epymarl_pr.launch.checks", "epymarl_pr.envs.smax", "epymarl_pr.envs.starcraft"),
    *(
        "marl_pr_common.envs.smax.battle",
        "marl_pr_common.envs.smax.vector",
        "marl_pr_common.envs.particles.predator_prey",
    ),
)
HEAVY = ("jax", "jaxmarl", "pysc2", "smac", "smacv2", "smaclite", "s2clientprotocol")


def test_importing_them_imports_no_simulator():
    code = (
        f"import importlib, sys\nfor module in {MODULES!r}:\n    importlib.import_module(module)\n"
        f"    assert not [name for name in {HEAVY!r} if name in sys.modules], module\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_without_jax_the_error_says_what_to_install():
    calls = [
        ("smax:3m", {}),
        ("CooperativeNavigation-3", {"engine": "jaxmarl"}),
        ("PredatorPrey-3", {"engine": "jaxmarl"}),
    ]
    code = (
        "import importlib.util as u, sys\n"
        "real = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name in ('jax', 'jaxmarl') else real(name, *a)\n"
        "sys.modules['jax'] = sys.modules['jaxmarl'] = None\n"
        "from marl_pr_common.envs import make\n"
        f"for name, options in {calls!r}:\n"
        "    try:\n        make(name, **options)\n    except ImportError as error:\n        print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.count('pip install "marl-pr[smax]" && pip install --no-deps') == len(calls)
