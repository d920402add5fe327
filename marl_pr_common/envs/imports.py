"""From ``package.module:attribute`` to the object. What is wrong with the name, or the module, is one message."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from marl_pr_common.config.mapping import suggest

ABSENT = object()
"""What :func:`reach` gives for an attribute that isn't there."""


class UnusableError(ValueError):
    """A user's environment can't be had by its name; the message says what is wrong."""


class NotHereError(UnusableError):
    """There is no such module in this place."""


def imported(name: str, module: str) -> ModuleType:
    """The module of a name, importable from the current directory too.

    :param name: the whole name, for messages
    :raises NotHereError: if there is no such module
    :raises UnusableError: if importing it raises, or that is no name of a module
    """
    if not module or not all(part.isidentifier() for part in module.split(".")) or module.endswith(".py"):
        raise UnusableError(
            f"env={name!r} cannot be made: {module!r} is no name of a module. Expected package.module:factory, as in "
            "an import: my_envs.maze:make for my_envs/maze.py."
        )
    _see_current_directory()
    if module not in sys.modules:
        importlib.invalidate_caches()  # the file may be younger than the last look into its folder
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module}.".startswith(f"{error.name}."):
            raise NotHereError(
                f"env={name!r} cannot be made: there is no module {error.name!r} in {_here()} or among the installed "
                f"packages.{_neighbours(module)} Go to the directory that holds it, or add that to PYTHONPATH."
            ) from error
        raise _broken(name, module, error) from error
    except (Exception, SystemExit) as error:
        raise _broken(name, module, error) from error


def reach(name: str, module: ModuleType, dotted: str) -> Any:
    """The attribute of a module, such as "make" or "Maze.make"; ABSENT if it isn't there, and gymnasium is to be asked.

    :raises UnusableError: if it isn't there, or looking it up raises
    """
    found: Any = module
    for part in dotted.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            if _is_id(dotted):
                return ABSENT
            raise UnusableError(_missing(name, found, part)) from None
        except Exception as error:  # of a module's __getattr__
            raise UnusableError(f"env={name!r} cannot be made: {part} raised {said(error)}{where(error)}.") from error
    return found


@contextmanager
def begun_in(directory: Any) -> Iterator[None]:
    """A module that isn't here may be where the run was begun: the message then says so.

    :param directory: what the run recorded, if it did
    """
    try:
        yield
    except NotHereError as error:
        raise NotHereError(f"{error} It was begun in {directory}." if directory else str(error)) from error


def said(error: BaseException) -> str:
    """An error in one line: its type and its words."""
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    words = " ".join(text.split()).rstrip(".")
    return f"{type(error).__name__}: {words or 'without a word'}"


def where(error: BaseException) -> str:
    """The innermost place in the user's own files, else in what is installed, as " (maze.py, line 3)"."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({Path(error.filename).name}, line {error.lineno})"
    package = str(Path(__file__).parents[1])
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(("<", package))
    ]
    installed = tuple(map(sysconfig.get_path, ("stdlib", "purelib", "platlib")))
    own = [frame for frame in frames if not frame.filename.startswith(installed)] or frames
    return f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""


def _see_current_directory() -> None:
    here = _here()
    if here and here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)


def _here() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was deleted
        return ""


def _broken(name: str, module: str, error: BaseException) -> UnusableError:
    return UnusableError(f"env={name!r} cannot be made: importing {module} raised {said(error)}{where(error)}.")


def _neighbours(module: str) -> str:
    """A module of a similar name in the current directory, as a question."""
    folder = Path(_here() or os.devnull)
    names = [path.stem for path in folder.glob("*.py")] + [path.parent.name for path in folder.glob("*/__init__.py")]
    return suggest(module.partition(".")[0], names)


def _is_id(attribute: str) -> bool:
    """Whether gymnasium, rather than the module, is asked: it knows such an id, or the text can be nothing else."""
    if not all(part.isidentifier() for part in attribute.split(".")) and attribute:
        return True
    known: Any = getattr(sys.modules.get("gymnasium"), "registry", ())  # the module has registered what it has
    return any(attribute in (key, key.rpartition("-v")[0]) for key in known)


def _missing(name: str, owner: Any, part: str) -> str:
    owned = getattr(owner, "__name__", type(owner).__name__)
    if isinstance(owner, ModuleType) and part.isidentifier() and _is_module(f"{owned}.{part}"):
        return f"env={name!r} cannot be made: {owned}.{part} is a module. Write {owned}.{part}:factory."
    names = [key for key in dir(owner) if not key.startswith("_") and callable(getattr(owner, key, None))]
    return (
        f"env={name!r} cannot be made: {owned} has no {part!r}, and gymnasium knows no such id.{suggest(part, names)} "
        "Expected package.module:factory with a function or class that returns an environment."
    )


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
