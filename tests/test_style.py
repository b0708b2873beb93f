"""How the code of the package reads, in numbers that may fall and not rise.

python tests/test_style.py
"""

import ast
from functools import cache

import pytest
from test_imports import FILES, PACKAGE, circle, graph, upwards

VAGUE = {
    "one", "found", "every", "seen", "other", "mine", "own", "wanted", "kept", "shown", "part",
}  # fmt: skip
# The most of everything; rates are per 1,000 lines that are not blank.
BOUNDS = {
    "lines over 100 characters, %": 1.0,
    "vague names per 1,000 lines": 15.0,
    "unpacked generators": 0,
    "several values in one assignment": 0,
    "chained conditionals": 0,
    "lines of the longest file": 300,
    "lines of the longest function": 60,
    "files beside the folders": 20,
    "floors of the import graph": 18,
    "files that import each other in a circle": 0,
    "imports that run upwards": 0,
}


@cache
def measured():
    """Return the numbers of all files of the package."""
    texts = [path.read_text() for path in FILES.values()]
    nodes = [node for text in texts for node in ast.walk(ast.parse(text))]
    lines = [line for text in texts for line in text.splitlines() if line.strip()]
    thousands = len(lines) / 1000
    long = [line for line in lines if len(line) > 100]
    pairs = sum(is_unpacked(node, ast.Tuple) for node in nodes)
    return {
        "lines over 100 characters, %": 100 * len(long) / len(lines),
        "vague names per 1,000 lines": (names(nodes) - parts_of_stages(nodes)) / thousands,
        "unpacked generators": sum(is_unpacked(node, ast.GeneratorExp) for node in nodes),
        "several values in one assignment": pairs,
        "chained conditionals": sum(is_chained(node) for node in nodes),
        "lines of the longest file": max(len(text.splitlines()) for text in texts),
        "lines of the longest function": max(length(node) for node in nodes),
        "files beside the folders": len([*PACKAGE.glob("*.py")]),
        "floors of the import graph": max(height(module) for module in graph()),
        "files that import each other in a circle": len(set(circle())),
        "imports that run upwards": len(upwards()),
    }


def names(nodes):
    """Return how many names, arguments and attributes are vague."""
    fields = {ast.Name: "id", ast.arg: "arg", ast.Attribute: "attr"}
    return sum(getattr(node, fields.get(type(node), ""), None) in VAGUE for node in nodes)


def parts_of_stages(nodes):
    """Return how many of these are a `part: Part`, what the engine hands to a stage."""
    count = 0
    for node in nodes:
        arguments = node.args.args if isinstance(node, ast.FunctionDef) else []
        if any(ast.unparse(argument) == "part: Part" for argument in arguments):
            inside = [*ast.walk(node)]
            count += sum(getattr(name, "id", getattr(name, "arg", "")) == "part" for name in inside)
    return count


def is_unpacked(node, kind):
    """Whether an assignment has several targets, and on the right an expression of that kind."""
    if not isinstance(node, ast.Assign) or not isinstance(node.value, kind):
        return False
    return any(isinstance(target, ast.Tuple | ast.List) for target in node.targets)


def is_chained(node):
    """Whether a conditional expression holds another."""
    if not isinstance(node, ast.IfExp):
        return False
    return any(isinstance(inner, ast.IfExp) for inner in (node.body, node.test, node.orelse))


def length(node):
    """Return the lines of a function without its docstring, 0 for what is none."""
    if not isinstance(node, ast.FunctionDef):
        return 0
    documented = ast.get_docstring(node) is not None
    docstring = node.body[0].end_lineno - node.body[0].lineno + 1 if documented else 0
    return node.end_lineno - node.lineno + 1 - docstring


@cache
def height(module):
    """Return on which floor a module lies: one above the highest that it imports."""
    return 1 + max(map(height, graph()[module]), default=0) if not circle() else float("inf")


@pytest.mark.parametrize("what", BOUNDS)
def test_the_code_reads_as_well_as_it_did(what):
    assert measured()[what] <= BOUNDS[what]


if __name__ == "__main__":
    for what, value in measured().items():
        print(f"{value:8.4g}  of {BOUNDS[what]:>4}  {what}")
