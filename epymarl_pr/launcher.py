"""``python -m epymarl_pr``: the command line of EPyMARL's ``main.py``, word for word, with reciprocity as a choice.

find the checkout; put the stand-ins in place                (locate, compat)
derive X_pr from the checkout's X.yaml, check the pr_* keys  (derive, options)
add the reciprocal learners to EPyMARL's registry            (register)
run the checkout's own src/main.py
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from epymarl_pr import compat, derive, locate, options
from epymarl_pr.errors import UsageError

USAGE = """\
python -m epymarl_pr --config=ALGORITHM --env-config=ENVIRONMENT [with KEY=VALUE ...]

The command line of EPyMARL's src/main.py, with these additions:
  --config=X_pr           X with Policy Reciprocity, for X in qmix, vdn, iql, mappo, ippo, maa2c, ia2c, maddpg, their
                          _ns, and any X.yaml of yours with one of their learners; any other --config is upstream's
  --epymarl-dir=PATH      the EPyMARL checkout (else $EPYMARL_HOME, the current directory or a parent, ./epymarl,
                          ../epymarl, ~/epymarl)
  --start-method=METHOD   how worker processes start: fork, spawn or forkserver (else Python's default)
  pr_KEY=VALUE            after `with`: the options of reciprocity; `--pr-keys` lists them with their defaults

python -m epymarl_pr.search is EPyMARL's search.py with this launcher; python -m epymarl_pr.render films a trained team.
"""


def main(argv: Sequence[str], namespace: dict[str, Any]) -> None:
    """Run EPyMARL's ``main.py`` in ``namespace``.

    :param argv: the arguments, without the program's name
    :param namespace: of the module ``__main__``, so that worker processes can import it again
    :raises SystemExit: with code 2 for a mistake of the user's, after one message
    """
    if "-h" in argv or "--help" in argv:
        sys.stdout.write(USAGE)
        return
    if "--pr-keys" in argv:
        sys.stdout.write("".join(f"{key}: {value}\n" for key, value in options.defaults().items()))
        return
    try:
        with tempfile.TemporaryDirectory(prefix="epymarl_pr_") as folder:
            checkout, arguments, full_checkpoint = prepare(argv, Path(folder))
            run_main(checkout, arguments, namespace, full_checkpoint)
    except UsageError as error:
        sys.stderr.write(f"epymarl_pr: {error}\n")
        raise SystemExit(2) from None


def prepare(argv: Sequence[str], folder: Path) -> tuple[locate.Checkout, list[str], bool]:
    """Everything up to running ``main.py``: the checkout, the arguments that ``main.py`` gets, ``pr_full_checkpoint``.

    :param folder: where derived configurations are written
    :raises UsageError: for a mistake of the user's
    """
    arguments = list(argv)
    checkout = locate.find(take(arguments, "--epymarl-dir"))
    start_method(take(arguments, "--start-method"))
    warning = checkout.warning()
    if warning:
        sys.stderr.write(f"epymarl_pr: warning: {warning}\n")
    os.environ[locate.ENVIRONMENT_VARIABLE] = str(checkout.root)  # for worker processes
    compat.install(checkout.src)
    given = updates(arguments)
    full_checkpoint = False
    for flag, build in (("--config", derive.algorithm), ("--env-config", derive.environment)):
        name = take(arguments, flag)
        if not name:
            raise UsageError(f"{flag}=NAME is missing.\n\n{USAGE}")
        config = build(checkout, name, given)
        if config is not None:
            name = derive.write(config, folder, name)
            full_checkpoint |= bool({**config, **given}.get("pr_full_checkpoint"))
        arguments.insert(0, f"{flag}={name}")
    return checkout, arguments, full_checkpoint


def run_main(
    checkout: locate.Checkout, arguments: Sequence[str], namespace: dict[str, Any], full_checkpoint: bool
) -> None:
    """Run the checkout's own ``main.py`` as ``__main__`` with the reciprocal learners registered."""
    from epymarl_pr import register, resume
    from marl_pr_common.checkpoint import catch_signals

    register.learners()
    file = checkout.src / "main.py"
    sys.argv = [str(file), *arguments]
    # `__spec__` stays that of this package's own __main__: workers started by spawn or forkserver import that module
    # anew, and would die on EPyMARL's main.py, which trains when imported as the main module.
    namespace["__file__"] = str(file)
    program = compile(file.read_text(), str(file), "exec")
    if not full_checkpoint:
        exec(program, namespace)
        return
    with catch_signals() as stop:
        resume.install(checkout.src, stop)
        exec(program, namespace)


def take(arguments: list[str], flag: str) -> str | None:
    """Remove ``flag=value`` or ``flag value`` from the arguments before ``with`` and return the value."""
    end = arguments.index("with") if "with" in arguments else len(arguments)
    for index, argument in enumerate(arguments[:end]):
        name, equals, value = argument.partition("=")
        if name != flag:
            continue
        del arguments[index]
        if equals:
            return value
        if index < end - 1 and not arguments[index].startswith("-"):
            return arguments.pop(index)
        raise UsageError(f"{flag} needs a value: {flag}=VALUE.")
    return None


def updates(arguments: Sequence[str]) -> dict[str, Any]:
    """The ``key=value`` pairs after ``with``, read as sacred reads them."""
    from sacred import arg_parser, utils

    if "with" not in arguments:
        return {}
    changes, _ = arg_parser.get_config_updates(list(arguments)[list(arguments).index("with") + 1 :])  # type: ignore[no-untyped-call]
    return dict(utils.iterate_flattened(changes))  # type: ignore[no-untyped-call]


def start_method(name: str | None) -> None:
    """Choose how EPyMARL's parallel runner starts its workers.

    :raises UsageError: for a method that this platform does not have
    """
    if name is None:
        return
    known = multiprocessing.get_all_start_methods()
    if name not in known:
        raise UsageError(f"--start-method={name}: expected one of {', '.join(known)}.")
    multiprocessing.set_start_method(name, force=True)
