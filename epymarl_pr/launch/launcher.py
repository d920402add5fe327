"""``python -m epymarl_pr``: the command line of EPyMARL's ``main.py``, word for word, with reciprocity as a choice.

find the checkout; put the stand-ins in place                (locate, compat)
derive X_pr from the checkout's X.yaml, check the pr_* keys  (derive, options)
look at the settings, and at what is to be loaded            (settings, checks, checkpoints)
add the reciprocal learners to EPyMARL's registry            (register)
have environments and workers say why they fail              (guarded_env, workers)
run the checkout's own src/main.py
"""

from __future__ import annotations

import importlib.util
import logging
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from epymarl_pr.envs import workers
from epymarl_pr.launch import checkpoints, checks, compat, derive, locate, options, run_dir, settings
from epymarl_pr.launch.errors import EXIT_CODE, Ended, UsageError, exit_code
from epymarl_pr.transfer import table as transfer
from marl_pr_common.runs.lock import end_with_parent

USAGE = """\
python -m epymarl_pr --config=ALGORITHM --env-config=ENVIRONMENT [with KEY=VALUE ...]

The command line of EPyMARL's src/main.py, with these additions:
  --config=X_pr           X with Policy Reciprocity, for X in qmix, vdn, iql, mappo, ippo, maa2c, ia2c, maddpg, their
                          _ns, and any X.yaml of yours with one of their learners; any other --config is upstream's
  --config=maptf, dvm     MAPTF and DVM over maddpg_ns, maptf_mappo over mappo_ns; each with _pr too
  --epymarl-dir=PATH      the EPyMARL checkout (else $EPYMARL_HOME, the current directory or a parent, ./epymarl,
                          ../epymarl, ~/epymarl)
  --run-dir=DIR           all results below DIR, in sacred/ and models/, and how far the run is in status.json;
                          wall_time, cpu_time and updates are logged with every evaluation. Without it both are below
                          local_results_path, which is ./results; where they are is said at the end
  --start-method=METHOD   how worker processes start: fork, spawn or forkserver (else Python's default)
  pr_KEY=VALUE            after `with`: the options of reciprocity; `--pr-keys` lists them with their defaults
  maptf_KEY, dvm_KEY      likewise, those of the two; `--transfer-keys` lists them

python -m epymarl_pr.search is EPyMARL's search.py with this launcher; python -m epymarl_pr.render films a trained team.
"""


@dataclass(frozen=True)
class Prepared:
    """A run that has passed all checks.

    arguments: what ``main.py`` gets
    config: what the run's configuration will be, but for what sacred adds
    run_dir: where its results go, and how far it is, with ``--run-dir``
    results: where sacred's record and the networks go without
    """

    checkout: locate.Checkout
    arguments: list[str]
    config: dict[str, Any]
    run_dir: Path | None = None
    results: Path | None = None


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
    if "--transfer-keys" in argv:
        for kind in transfer.CONFIGS:
            sys.stdout.write("".join(f"{key}: {value}\n" for key, value in transfer.defaults(kind).items()))
        return
    end_with_parent()
    with one_message("epymarl_pr"), ended_in_order(), tempfile.TemporaryDirectory(prefix="epymarl_pr_") as folder:
        prepared = prepare(argv, Path(folder))
        run_main(prepared, namespace)


@contextmanager
def one_message(program: str) -> Iterator[None]:
    """A user's mistake ends the program with one message and exit code 2, Ctrl-C without one and 130.

    :param program: the name before the message
    """
    try:
        yield
    except UsageError as error:
        sys.stderr.write(f"{program}: {error}\n")
        raise SystemExit(EXIT_CODE) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except SystemExit as end:
        code = exit_code(end.__context__)  # sacred has printed the message, and exits with 1
        if code is None:
            raise
        raise SystemExit(code) from None


@contextmanager
def ended_in_order() -> Iterator[None]:
    """SIGTERM ends the program as an exit does: its workers end, and what is temporary is removed."""

    def end(number: int, frame: object) -> None:
        workers.end()
        raise Ended(128 + number)

    ours = threading.current_thread() is threading.main_thread()
    ours = ours and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def enter(arguments: list[str]) -> locate.Checkout:
    """Find the checkout, take ``--epymarl-dir`` out of the arguments, and make EPyMARL importable.

    :raises UsageError: if there is no checkout, or a package that it always needs is missing
    """
    checkout = locate.find(take(arguments, "--epymarl-dir"))
    checks.packages()
    warning = checkout.warning()
    if warning:
        sys.stderr.write(f"epymarl_pr: warning: {warning}\n")
    os.environ[locate.ENVIRONMENT_VARIABLE] = str(checkout.root)  # for worker processes
    compat.install(checkout.src)
    return checkout


def prepare(argv: Sequence[str], folder: Path) -> Prepared:
    """Everything up to running ``main.py``.

    :param folder: where derived configurations are written
    :raises UsageError: for a mistake of the user's
    """
    arguments = list(argv)
    start_method(take(arguments, "--start-method"))
    results = take(arguments, "--run-dir")
    checkout = enter(arguments)
    names = {flag: take(arguments, flag) for flag in derive.FLAGS}
    checks.separator(arguments)
    given = settings.given(arguments)
    layers = {}
    for flag, (derived, folder_name) in derive.FLAGS.items():
        name = names[flag]
        if not name:
            raise UsageError(f"{flag}=NAME is missing.\n\n{USAGE}")
        config = derived(checkout, name, given)
        layers[flag] = config or derive.read(checkout.src / "config" / folder_name / f"{name}.yaml")
        arguments.insert(0, f"{flag}={derive.write(config, folder, name) if config else name}")
    default = derive.read(checkout.src / "config" / "default.yaml")
    base = derive.merged(default, layers["--env-config"], layers["--config"])
    settings.check(given, base, f"--config={names['--config']} --env-config={names['--env-config']}")
    config = derive.merged(base, given)
    checks.full_checkpoint(config)
    checks.replay(config)
    checks.logs(config)
    checks.environment(config)
    checkpoints.check(config)
    if results is None:
        return Prepared(checkout, arguments, config, results=Path(str(config["local_results_path"])).absolute())
    checks.run_dir(config)
    where = Path(results).absolute()
    arguments += [] if "with" in arguments else ["with"]
    arguments += [] if "local_results_path" in given else [f"local_results_path={where}"]
    return Prepared(checkout, arguments, config, where)


def run_main(prepared: Prepared, namespace: dict[str, Any]) -> None:
    """Run the checkout's own ``main.py`` as ``__main__`` with the reciprocal learners registered."""
    from epymarl_pr import resume
    from epymarl_pr.launch import register
    from marl_pr_common.checkpoint import catch_signals

    register.learners()
    register.environments()
    register.runners()
    register.guards(prepared.config)
    file = prepared.checkout.src / "main.py"
    sys.argv = [str(file), *prepared.arguments]
    namespace["__file__"] = str(file)
    namespace["__spec__"] = importlib.util.find_spec("epymarl_pr.launch.worker")  # the main module of workers
    logging.getLogger("git").setLevel(logging.WARNING)  # sacred asks git, and EPyMARL shows what all loggers say
    program = run_dir.compile_main(file, prepared.run_dir or prepared.results, required=prepared.run_dir is not None)
    config = prepared.config
    # a run that only evaluates has nothing to save when a signal comes
    saves = config.get("pr_full_checkpoint") and not (config.get("evaluate") or config.get("save_replay"))
    with catch_signals() if saves else nullcontext() as stop:
        if saves:
            resume.install(prepared.checkout.src, stop)
        register.replay(config["learner"])
        watch(prepared)
        exec(program, namespace)
    run_dir.tell(namespace)


def watch(prepared: Prepared) -> None:
    """With ``--run-dir``, have the run timed and followed."""
    if prepared.run_dir is not None:
        run_dir.install(prepared.run_dir)


def take(arguments: list[str], flag: str) -> str | None:
    """Remove ``flag=value``, or before ``with`` also ``flag value``, from the arguments and return the value."""
    end = arguments.index("with") if "with" in arguments else len(arguments)
    for index, argument in enumerate(arguments):
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
