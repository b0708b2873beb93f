"""Evaluate expressions on the pretended device: each argument is one; `x` is a (3, 4) tensor there.

Prints as JSON what each has come to: its value as text, or its error, and the counts.
"""

import json
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pretended
import torch

from vinfo_mpi.parallel import memory
from vinfo_mpi.parallel.devices import Binding
from vinfo_mpi.parallel.prefetch import ahead
from vinfo_mpi.parallel.transfer import Arriving
from vinfo_mpi.run.run import Run

USED = (SimpleNamespace, Arriving, Run, ahead)  # by expressions, under their own names


def full(ranks: int) -> str:
    """Return what is said where ranks share a device and one asks for more than there is."""
    try:
        torch.empty(2**55, device=pretended.CUDA)
    except RuntimeError as error:
        assert memory.is_exhausted(error)
        bindings = [Binding("node", "cuda:0", "A GPU", "id", 1, "card")] * ranks
        return memory.exhausted(error, bindings, 0)
    return "there is room"


def outcome(expression: str) -> dict[str, Any]:
    """Return the value of an expression or the error that it ended with, and what was counted."""
    with pretended.device() as cuda:
        x = pretended.placed(torch.arange(12, dtype=torch.float64).view(3, 4))
        names = {each.__name__: each for each in (*USED, full, torch)}
        names |= {"np": np, "x": x, "cuda": cuda}
        pretended.COUNTS.clear()
        try:
            value = eval(expression, names)
        except (RuntimeError, TypeError) as problem:
            value = None
            error = str(problem)
        else:
            error = None
        counts = pretended.COUNTS.summary()
    return {"value": str(value), "error": error, **counts}


if __name__ == "__main__":
    print(json.dumps({expression: outcome(expression) for expression in sys.argv[1:]}))
