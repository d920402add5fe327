"""``marl-pr``: finds the subcommand, reads its options, runs it. What a command does stands elsewhere."""

from __future__ import annotations

import argparse
import errno
import importlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from marl_pr_common import __version__
from marl_pr_common.config.mapping import suggest

COMMANDS = {
    "train": "train one algorithm on one task",
    "enjoy": "film what a run has learnt",
    "eval": "play a run's agents again and print their returns",
    "push": "put an agent of a run on the Hugging Face Hub, with a model card",
    "compare": "compare algorithms on one task over several seeds, with figure and summary",
    "study": "run a whole study from one YAML, go on with it, and report: arms x tasks x seeds",
    "plot": "draw runs that are there, or two folders of logs: mine=logs/a base=logs/b",
    "report": "write one HTML file with verdicts, figures and tables of runs that are there",
    "demo": "IQL and IQL+PR on Navigation-10, then TD3 and TD3PR on Pendulum-v1, a few minutes",
    "figure": "make figure 2 to 8 of the paper again, with its data",
    "list": "list algorithms, environments, configurations, studies and arms",
    "completion": "print a script for completion by the shell: bash, zsh or fish",
    "doctor": "say what is installed, what is missing, and what to do",
}
"""Name -> what it does; its options are the dataclass ``Command`` in the module of that name."""
OF_HOSTS = {"train": "sb3_pr.cli", "compare": "sb3_pr.cli", "push": "sb3_pr.cli"}
"""Commands whose options are those of a host's runs -> the package that has them."""
DEBUG = "MARL_PR_DEBUG"
COMPLETE = "--complete"
"""What a shell calls, with the words so far."""
logger = logging.getLogger("marl_pr")
QUIET, VERBOSE = ("-q", "--quiet"), ("-v", "--verbose")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand and return the exit code: 0 done, 1 a run failed, 2 the input was wrong."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == [COMPLETE]:
        from marl_pr_common.cli.completion import candidates

        sys.stdout.writelines(f"{word}\n" for word in candidates(given[1:]))
        return 0
    top = _parser().parse_args(given)
    if top.command is None:
        _parser().print_help()
        return 0
    debug = top.debug or os.environ.get(DEBUG, "0") not in ("", "0")
    try:
        with _terminate_as_interrupt():
            return int(_command(top.command, _loudness(top)).run())
    except BrokenPipeError:  # `marl-pr train --help | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError, ImportError) as error:
        if debug:
            raise
        sys.stderr.write(f"marl-pr {top.command}: error: {error}{_advice(error, top.command)}\n")
        return 2
    except Exception as error:
        if debug:
            raise
        said = f"{type(error).__name__}: {error}"
        sys.stderr.write(f"marl-pr {top.command}: {said}\nWhere it was raised: marl-pr --debug {top.command} ...\n")
        return 1
    except KeyboardInterrupt as interrupt:
        sys.stderr.write(f"marl-pr {top.command}: {str(interrupt) or 'interrupted'}\n")
        return 130


_DISK = {
    errno.ENOSPC: ". The disk is full: make room, then give the same command again",
    errno.EDQUOT: ". Your quota is used up: make room, then give the same command again",
    errno.EROFS: ". Nothing can be written there: give a directory that you may write to",
}
_BEGUN = ", with --resume if the run has a checkpoint, else with another --out"


def _advice(error: Exception, command: str) -> str:
    """What to do about a full disk, or a module that can't be imported, where the error does not say it."""
    if isinstance(error, OSError) and error.errno in _DISK:
        return f"{_DISK[error.errno]}{_BEGUN if command == 'train' and error.errno != errno.EROFS else ''}."
    if not isinstance(error, ImportError) or "pip install" in str(error):
        return ""
    if (error.name or "").split(".")[0] in ("marl_pr_common", "sb3_pr", "epymarl_pr"):
        return ". marl-pr was installed anew while this ran: give the command again, which keeps what is done."
    return '. Install it with: pip install "marl-pr[sb3]"'


def _loudness(top: argparse.Namespace) -> list[str]:
    """Set how much is said; the command's options without those that say so.

    :raises ValueError: for both
    """
    end = top.options.index("--") if "--" in top.options else len(top.options)
    quiet = top.quiet or any(word in QUIET for word in top.options[:end])
    verbose = top.verbose or any(word in VERBOSE for word in top.options[:end])
    if quiet and verbose:
        raise ValueError("--quiet and --verbose are opposites: give one of them.")
    logging.basicConfig(format="%(message)s", level=logging.INFO if verbose else logging.WARNING)
    level = logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO
    logger.setLevel(level)
    logging.getLogger("marl_pr.advice").setLevel(logging.ERROR if quiet else logging.NOTSET)
    own = [word for word in top.options[:end] if word not in (*QUIET, *VERBOSE)]
    if own[:1] not in (["-h"], ["--help"]):
        from marl_pr_common.runs import console

        console.be_quiet(quiet)
    return [*own, *top.options[end:]]


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
    commands = "\n".join(f"  {name:12}{text}" for name, text in COMMANDS.items())
    parser = _Parser(
        prog="marl-pr",
        usage="marl-pr [-h] [--version] [--debug] [-q | -v] COMMAND ...",
        description="Multi-agent Policy Reciprocity for Stable-Baselines3, EPyMARL and tables, compared with the "
        "upstream baseline.",
        epilog=f"commands:\n{commands}\n\n`marl-pr COMMAND --help` shows all options of a command.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"marl-pr {__version__}")
    parser.add_argument("--debug", action="store_true", help=f"show the stack of an error (also: {DEBUG}=1)")
    loud = parser.add_mutually_exclusive_group()
    loud.add_argument(*QUIET, action="store_true", help="say only what went wrong; also behind the command")
    loud.add_argument(*VERBOSE, action="store_true", help="say more, the settings among it; also behind the command")
    parser.add_argument("command", nargs="?", type=_known, metavar="COMMAND", help="one of the commands below")
    parser.add_argument("options", nargs=argparse.REMAINDER, metavar="...", help="options of the command")
    return parser


class _Parser(argparse.ArgumentParser):
    """Says which option may have been meant."""

    def error(self, message: str) -> NoReturn:
        wrong = message.removeprefix("unrecognized arguments: ")
        known = [word for action in self._actions for word in action.option_strings]
        super().error(message + (suggest(wrong, known, bare=True) if wrong != message else ""))


def _known(command: str) -> str:
    """:raises ArgumentTypeError: if there is no such command"""
    if command not in COMMANDS:
        raise argparse.ArgumentTypeError(
            f"there is no command {command!r}.{suggest(command, COMMANDS)} Commands: {', '.join(COMMANDS)}"
        )
    return command


def command_of(name: str) -> Any:
    """The dataclass whose fields are the options of a command."""
    module = "names" if name == "list" else name  # a module of that name would hide Python's list here
    return importlib.import_module(f"{OF_HOSTS.get(name, __package__)}.{module}").Command


def _command(name: str, options: Sequence[str]) -> Any:
    """The command with its options: the flags, else the file of ``--config``, else the dataclass's defaults."""
    import tyro

    from marl_pr_common.cli.options import prepared, registry

    command = command_of(name)
    options = prepared(command, options)
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
    how = {"default": default, "config": (tyro.conf.OmitArgPrefixes,), "registry": registry()}
    found = tyro.cli(command, prog=f"marl-pr {name}", args=options, **how)
    logger.debug("marl-pr %s: %s", name, found)
    return found
