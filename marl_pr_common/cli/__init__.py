"""``marl-pr``: finds the subcommand, reads its options, runs it. What a command does stands elsewhere."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

COMMANDS = {
    "train": "train one algorithm on one task",
    "compare": "compare algorithms on one task over several seeds, with figure and summary",
    "study": "run a whole study from one YAML, go on with it, and report: arms x tasks x seeds",
    "plot": "draw figure and summary of runs that are there",
    "report": "write one HTML file with figures, tables and conclusion of runs that are there",
    "demo": "IQL and IQL+PR on Navigation-10, then TD3 and TD3PR on Pendulum-v1, a few minutes",
    "figure": "make figure 2, 3 or 4 of the paper again, with its data",
    "doctor": "say what is installed, what is missing, and what to do",
}
"""Name -> what it does; its options are the dataclass ``Command`` in the module of that name."""
OF_HOSTS = {"train": "sb3_pr.cli", "compare": "sb3_pr.cli"}
"""Commands whose options are those of a host's runs -> the package that has them."""
DEBUG = "MARL_PR_DEBUG"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand and return the exit code: 0 done, 1 a run failed, 2 the input was wrong."""
    top = _parser().parse_args(arguments)
    debug = top.debug or os.environ.get(DEBUG, "0") not in ("", "0")
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logging.getLogger("marl_pr").setLevel(logging.INFO)
    try:
        with _terminate_as_interrupt():
            return int(_command(top.command, top.options).run())
    except BrokenPipeError:  # `marl-pr train --help | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError, ImportError) as error:
        if debug:
            raise
        advice = ' Install it with: pip install "marl-pr[sb3]"' if isinstance(error, ImportError) else ""
        sys.stderr.write(f"marl-pr {top.command}: error: {error}{advice}\n")
        return 2
    except Exception as error:
        if debug:
            raise
        said = f"{type(error).__name__}: {error}"
        sys.stderr.write(f"marl-pr {top.command}: {said}\nWhere it was raised: marl-pr --debug {top.command} ...\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(f"marl-pr {top.command}: interrupted\n")
        return 130


@contextmanager
def _terminate_as_interrupt() -> Iterator[None]:
    """SIGTERM ends a command as Ctrl-C does: processes it started are ended, states are written."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _parser() -> argparse.ArgumentParser:
    commands = "\n".join(f"  {name:10}{text}" for name, text in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="marl-pr",
        description="Multi-agent Policy Reciprocity for Stable-Baselines3, compared with the upstream baseline.",
        epilog=f"commands:\n{commands}\n\n`marl-pr COMMAND --help` shows all options of a command.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--debug", action="store_true", help=f"show the stack of an error (also: {DEBUG}=1)")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of the commands below")
    parser.add_argument("options", nargs=argparse.REMAINDER, metavar="...", help="options of the command")
    return parser


def _command(name: str, options: Sequence[str]) -> Any:
    """The command with its options: the flags, else the file of ``--config``, else the dataclass's defaults."""
    import tyro

    command = importlib.import_module(f"{OF_HOSTS.get(name, __package__)}.{name}").Command
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    early.add_argument("--config")
    for directory in ("--out", "--resume"):
        early.add_argument(directory, nargs="?")
    known = early.parse_known_args(options)[0]
    if "" in (known.out, known.resume):
        raise ValueError('the directory given is "", which would be the current one: give it a name, or "." if it is.')
    path = known.config
    default = tyro.MISSING_NONPROP
    if path is not None and hasattr(command, "defaults"):
        default = command(**{"out": tyro.MISSING, **command.defaults(path)})
    return tyro.cli(command, prog=f"marl-pr {name}", args=options, default=default, config=(tyro.conf.OmitArgPrefixes,))
