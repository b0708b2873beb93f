"""The functions of vinfo_mpi.numerics that take tensors, as cases: see `case`."""

from __future__ import annotations

from benchmarks.gpu import concept_cases, statistics_cases
from benchmarks.gpu.case import Case

CASES: dict[str, Case] = statistics_cases.CASES | concept_cases.CASES
