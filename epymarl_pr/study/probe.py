"""The number of agents of an environment, from EPyMARL's own environment object.

EPyMARL's modules have names such as ``run`` and ``utils``; a process of its own keeps them out of the study's.

    python -m epymarl_pr.study.probe < configuration.json
"""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from epymarl_pr import checks, compat, locate, register
from epymarl_pr.errors import UsageError
from epymarl_pr.study import processes

SECONDS = 300
MARK = "n_agents="


def n_agents(checkout: locate.Checkout, config: Mapping[str, Any]) -> int:
    """How many agents the environment of a configuration has. Asked once for each task in this process.

    :param config: with ``env``, ``env_args``, ``common_reward`` and ``reward_scalarisation``
    :raises UsageError: if the environment can't be built
    """
    wanted = {key: config[key] for key in ("env", "env_args", "common_reward", "reward_scalarisation")}
    return _ask(str(checkout.root), json.dumps(wanted, sort_keys=True))


@functools.cache
def _ask(root: str, config: str) -> int:
    done = subprocess.run(
        [sys.executable, "-m", "epymarl_pr.study.probe", root],
        input=config,
        env=processes.variables(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    found = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
    if done.returncode == 0 and found:
        return int(found[-1].removeprefix(MARK))
    lines = done.stderr.strip().splitlines() or ["it said nothing"]
    raise UsageError(lines[-1])


def main(root: str) -> int:
    """Build the environment, print its number of agents; an error is one line."""
    config = json.load(sys.stdin)
    compat.install(Path(root) / "src")
    register.environments()
    try:
        checks.environment({**config, "env": None} if config["env"] in checks.TRIED else config)  # built below
        env = checks.build({**config, "seed": 0})
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{MARK}{env.get_env_info()['n_agents']}\n")
    env.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
