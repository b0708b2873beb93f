"""Imports run downwards alone: from a folder to those below it, and between files in no circle."""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "vinfo_mpi"
# From the top to the bottom; a file beside the folders is a command, unless it is named here.
ORDER = [
    "commands", "cli", "api", "stages", "analyses", "comparison", "pipeline", "pages",
    "visualisation", "concepts", "run", "costs", "figures", "networks", "data", "results",
    "config", "storage", "parallel", "numerics", "for all",
]  # fmt: skip
FOR_ALL = ("registry", "stage", "errors", "units")
FILES_BESIDE = {"": "api"} | dict.fromkeys(FOR_ALL, "for all")


def name(path):
    """Return the name under which a file is imported."""
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(
        ".__init__"
    )


FILES = {name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def floor(module):
    """Return where in the order a module stands."""
    room = (*module.split("."), "")[1]
    return room if room in ORDER else FILES_BESIDE.get(room, "commands")


def imports(path):
    """Return the modules of ours that a file imports, but for those that it needs as a program."""
    modules = set()
    statements = ast.parse(path.read_text()).body
    for statement in statements:
        if ast.unparse(statement).startswith("if __name__ == '__main__':"):
            continue
        for node in ast.walk(statement):
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names = {f"{node.module}.{alias.name}" for alias in node.names}
                modules |= {name if name in FILES else node.module for name in names}
    return modules & FILES.keys()


@cache
def graph():
    """Return what each module of ours imports."""
    return {module: imports(path) for module, path in FILES.items()}


def upwards():
    """Return every import of a module that stands higher."""
    return [
        f"{module} imports {imported}"
        for module, modules in graph().items()
        for imported in sorted(modules)
        if ORDER.index(floor(imported)) < ORDER.index(floor(module))
    ]


def circle():
    """Return modules each of which imports the one before it, the first again at the end."""
    try:
        TopologicalSorter(graph()).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def test_no_import_runs_upwards():
    assert not upwards()


def test_no_imports_run_in_a_circle():
    assert not circle()
