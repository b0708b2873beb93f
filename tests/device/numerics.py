"""Every case of benchmarks.gpu.cases on the pretended device; what comes of it, as JSON."""

import json
import traceback
from typing import Any

import pretended
import torch

from benchmarks.gpu.case import Case, difference
from benchmarks.gpu.cases import CASES


def outcome(case: Case) -> dict[str, Any]:
    """Return how far a case is from the CPU and what was counted, or the error that it met."""
    expected = case.function(torch.clone)
    pretended.COUNTS.clear()
    try:
        with pretended.device():
            results = case.function(pretended.placed)
    except Exception:
        return {"error": traceback.format_exc()}
    on_processor = [getattr(tensor, "held", tensor) for tensor in results]
    return {"difference": difference(expected, on_processor), **pretended.COUNTS.summary()}


if __name__ == "__main__":
    print(json.dumps({name: outcome(case) for name, case in CASES.items()}))
