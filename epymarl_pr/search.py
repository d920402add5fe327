"""``python -m epymarl_pr.search``: EPyMARL's ``src/search.py``, whose every run goes through this package's launcher.

The grid, its order and the numbering of its combinations are upstream's. Exchanged are

    work                    runs ``python main.py``, which knows no ``X_pr`` and needs the checkout's own folder
    _compute_combinations   values with spaces are quoted, since its commands are cut at spaces
    multiprocessing.Pool    its processes, and so their runs, end with the search

A run that fails fails the search: the exit code is its own for ``single``, 1 for ``locally``.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from types import ModuleType, SimpleNamespace
from typing import Any

from epymarl_pr.launch import launcher, locate
from epymarl_pr.launch.errors import UsageError
from marl_pr_common.runs.lock import PARENT, sigterm_at_parents_death

USAGE = """\
python -m epymarl_pr.search run --config=GRID.yaml [--seeds N] [--no-shuffle] locally [--cpus N]
python -m epymarl_pr.search run --config=GRID.yaml [--seeds N] [--no-shuffle] single INDEX

EPyMARL's src/search.py, whose runs know --config=X_pr and pr_KEY; see search.config.example.yaml beside it.
  --epymarl-dir=PATH   the EPyMARL checkout, as for python -m epymarl_pr; may stand anywhere
"""

SECTIONS = ("grid-search", "grid-search-groups")
EXAMPLE = "src/search.config.example.yaml"


def main(argv: Sequence[str]) -> None:
    """Run EPyMARL's search.

    :param argv: the arguments, without the program's name
    :raises SystemExit: with code 2 for a mistake of the user's, after one message
    """
    if not argv or list(argv) in (["-h"], ["--help"]):
        sys.stdout.write(USAGE)
        return
    with launcher.one_message("epymarl_pr.search"):
        arguments = list(argv)
        checkout = launcher.enter(arguments)  # its place reaches the runs as $EPYMARL_HOME
        search = load(checkout)
        codes: list[int] = []
        exchange(search, codes)
        try:
            search.cli.main(args=arguments, prog_name="python -m epymarl_pr.search")
        except SystemExit as end:
            failed = [code for code in codes if code]
            if end.code or not failed:
                raise
            if len(codes) > 1:
                sys.stderr.write(f"epymarl_pr.search: {len(failed)} of {len(codes)} runs failed.\n")
            raise SystemExit(shell_code(failed[0]) if len(codes) == 1 else 1) from None
        except KeyError as error:
            if error.args[0] not in SECTIONS:
                raise
            raise UsageError(f"the grid has no section {error.args[0]!r}; see {EXAMPLE} of the checkout.") from error
        except IndexError as error:
            raise UsageError("single INDEX: the grid has no combination of that number; they start at 0.") from error


def load(checkout: locate.Checkout) -> ModuleType:
    """The checkout's ``search.py`` as a module.

    :raises UsageError: without the package click, which it needs
    """
    if importlib.util.find_spec("click") is None:
        raise UsageError("the package click is not installed. EPyMARL's search.py needs it: pip install click")
    spec = importlib.util.spec_from_file_location("epymarl_search", checkout.src / "search.py")
    if spec is None or spec.loader is None:
        raise UsageError(f"{checkout.src / 'search.py'} can't be imported.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def exchange(search: ModuleType, codes: list[int]) -> None:
    """Put this module's functions into upstream's.

    :param codes: gets the exit code of every run
    """
    combinations: Callable[..., list[list[str]]] = search._compute_combinations

    def quoted(*arguments: Any) -> list[list[str]]:
        return [[quote(setting) for setting in found] for found in combinations(*arguments)]

    def single(command: str) -> int:
        codes.append(work(command))
        return codes[-1]

    def pool(processes: int) -> SimpleNamespace:
        inner = multiprocessing.Pool(processes, initializer=sigterm_at_parents_death)

        def run_all(_: object, commands: Sequence[str]) -> list[int]:
            codes[:] = inner.map(work, commands, chunksize=1)
            return codes

        return SimpleNamespace(map=run_all)

    search.__dict__.update(_compute_combinations=quoted, work=single, multiprocessing=SimpleNamespace(Pool=pool))


def quote(setting: str) -> str:
    """``key=value`` as one word of a command; flags keep their dashes in front."""
    key, equals, value = setting.partition("=")
    return f"{key}{equals}{shlex.quote(value)}" if equals else shlex.quote(setting)


def work(command: str) -> int:
    """Run one combination in a process of its own; a pool of processes imports this function by its name.

    :param command: "python main.py" and the arguments, as ``search.py`` writes them
    :return: the exit code
    """
    return subprocess.call(command_of(command), env={**os.environ, PARENT: str(os.getpid())})


def command_of(command: str) -> list[str]:
    """The launcher's command for one of ``search.py``.

    :raises UsageError: if it does not start with "python main.py"
    """
    program, script, *arguments = shlex.split(command)
    if (program, script) != ("python", "main.py"):
        raise UsageError(f"search.py of this checkout runs {command!r}, expected 'python main.py ...'.")
    return [sys.executable, "-m", "epymarl_pr", *arguments]


def shell_code(code: int) -> int:
    """The exit code of a run as a shell tells it: 128 and the number of the signal that ended it."""
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    main(sys.argv[1:])
