"""The house as it was drawn: floors, no circles, no loose modules, short files. Read from the source, unimported."""

from __future__ import annotations

import ast
import functools
import itertools
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COMMON, HOSTS = "marl_pr_common", ("sb3_pr", "epymarl_pr")
FLOORS = (
    {"config", "moved"},
    {"runs", "envs"},
    {"checkpoint", "results"},
    {"reciprocity", "report"},
    {"study"},
    {"tabular", "transfer"},
    {*HOSTS},
    {"cli"},
)
"""From below; what stands on one floor doesn't know each other."""
EXCEPTIONS = {
    # saved models of version 0.1.0 name ReciprocityConfig where it was, in marl_pr_common.config
    ("config", "reciprocity"): "marl_pr_common.config.__getattr__",
}
MAX_LINES, MAX_FUNCTION = 250, 60
SOURCES = (COMMON, *HOSTS, "tests", "benchmarks", "examples")


def name_of(file: Path) -> str:
    """The dotted name of a module."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(file): file for package in (COMMON, *HOSTS) for file in sorted((ROOT / package).rglob("*.py"))}


def statements(nodes: Iterator[ast.AST], where: str = "") -> Iterator[tuple[ast.Import | ast.ImportFrom, str]]:
    """Imports that are carried out, each with the name of the function that it stands in."""
    for node in nodes:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node, where
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from statements(ast.iter_child_nodes(node), node.name)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from statements(iter(node.orelse), where)
        else:
            yield from statements(ast.iter_child_nodes(node), where)


@functools.cache
def imports(module: str) -> frozenset[tuple[str, str]]:
    """Modules of ours that a module imports, each with the name of the function that it is imported in."""
    found = set()
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    for node, where in statements(ast.iter_child_nodes(tree)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            assert node.level == 0, f"{module}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        found |= {(known, where) for name in names if (known := nearest(name)) and known != module}
    return frozenset(found)


def nearest(name: str) -> str:
    """The module that a dotted name is, or is in; "" for those of others."""
    while name and name not in MODULES:
        name = name.rpartition(".")[0]
    return name


def room(module: str) -> str:
    """The folder of marl_pr_common, or the package; a command line of a host stands on the floor of command lines."""
    parts = module.split(".")
    if parts[0] in HOSTS:
        return "cli" if parts[1:2] == ["cli"] else parts[0]
    return parts[1] if len(parts) > 1 else COMMON


def test_no_module_is_loose():
    loose = {path.stem for path in (ROOT / COMMON).glob("*.py")}
    assert loose == {"__init__", "moved"}
    rooms = {path.parent.name for path in (ROOT / COMMON).glob("*/__init__.py")}
    assert rooms | set(HOSTS) | {"moved"} == set().union(*FLOORS)


def test_the_method_knows_no_host_and_hosts_do_not_know_each_other():
    for module in MODULES:
        own = module.partition(".")[0]
        strangers = {*HOSTS} - {own}
        assert not [found for found, _ in imports(module) if found.partition(".")[0] in strangers], module


def test_nobody_imports_a_floor_above_or_a_neighbour():
    level = {name: number for number, names in enumerate(FLOORS) for name in names}
    for module in MODULES:
        here = room(module)
        for found, where in imports(module):
            there = room(found)
            if COMMON in (here, there) or here == there:
                continue  # the package itself re-exports one name, and holds the version
            if EXCEPTIONS.get((here, there)) == f"{module}.{where}":
                continue
            assert level[there] < level[here], f"{module} imports {found}"


def test_no_circle():
    graph = {module: {found for found, where in imports(module) if not where} for module in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_files_and_functions_are_short():
    files = itertools.chain.from_iterable((ROOT / folder).rglob("*.py") for folder in SOURCES)
    long = []
    for file in files:
        text = file.read_text(encoding="utf-8")
        if (lines := text.count("\n")) > MAX_LINES:
            long.append(f"{file.relative_to(ROOT)}: {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                lines = (node.end_lineno or 0) - node.lineno + 1
                if lines > MAX_FUNCTION:
                    long.append(f"{file.relative_to(ROOT)}: {node.name} has {lines} lines")
    assert not long
