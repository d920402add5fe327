"""The loop counters of EPyMARL's ``run_sequential``: local variables, set to constants before training starts.

The checkout's own ``run.py`` is read and compiled with one change: where it gives a counter its first value, that value
passes through a function of ours. The file itself is not touched, and without ``pr_full_checkpoint`` it is imported as
it is.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from epymarl_pr.launch.errors import UsageError

FUNCTION = "run_sequential"
NAMES = ("episode", "last_test_T", "last_log_T", "model_save_time")
"""Counters of ``run_sequential``; what else it keeps only times its messages."""
_HOOK = "_pr_counter"


def load_run(src: Path, counter: Callable[[str, int], int]) -> ModuleType:
    """Import the checkout's ``run`` with ``counter(name, value)`` giving each counter its first value.

    :raises UsageError: if the checkout's ``run.py`` does not have these counters
    """
    file = src / "run.py"
    tree = ast.parse(file.read_text(), str(file))
    change = _FirstValues()
    tree = ast.fix_missing_locations(change.visit(tree))
    if sorted(change.found) != sorted(NAMES):
        raise UsageError(
            f"pr_full_checkpoint=True: {file} sets {', '.join(change.found) or 'none'} of the counters "
            f"{', '.join(NAMES)} in {FUNCTION}; expected each once. Use the tested commit of EPyMARL, or "
            "pr_full_checkpoint=False."
        )
    module = ModuleType("run")
    module.__file__ = str(file)
    setattr(module, _HOOK, counter)
    exec(compile(tree, str(file), "exec"), vars(module))
    sys.modules["run"] = module
    return module


class _FirstValues(ast.NodeTransformer):
    """``episode = 0`` becomes ``episode = _pr_counter("episode", 0)``, at the top level of the function alone."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        if node.name == FUNCTION:
            for statement in node.body:
                if isinstance(statement, ast.Assign):
                    self._change(statement)
        return node

    def _change(self, statement: ast.Assign) -> None:
        target = statement.targets[0]
        if isinstance(target, ast.Name) and target.id in NAMES:
            arguments = [ast.Constant(target.id), statement.value]
            statement.value = ast.Call(ast.Name(_HOOK, ast.Load()), arguments, [])
            self.found.append(target.id)
