"""The datasets of compare.h5: names and meaning."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vinfo_mpi.comparison.concepts import Matches, There
from vinfo_mpi.comparison.study import Study
from vinfo_mpi.numerics.bootstrap import Estimate
from vinfo_mpi.results.schema import CLASS, COMPLEXITY, IMPORTANCE, LATE, UNREADABLE, VINFORMATION
from vinfo_mpi.storage.hdf5 import Table, fixed_width

FILETYPE = "vinfo-comparison"
# What is copied of each run's results, where it is there.
OF_RUN = (COMPLEXITY, COMPLEXITY.se, UNREADABLE, LATE, IMPORTANCE, CLASS, VINFORMATION)
DIFFERENCES = (COMPLEXITY, UNREADABLE, LATE, IMPORTANCE)

Tables = dict[str, Table]


def of_run(study: Study) -> Tables:
    """Return the tables of one run alone."""
    group = f"runs/{study.label}"
    taps = fixed_width(study.activations.taps)
    tables = {f"{group}/taps": Table(taps, "layers, in forward order", axes=("tap",))}
    for dataset in OF_RUN:
        if dataset in study.results:
            values = study.results.read(dataset)
            axes = ("tap", "concept")[-values.ndim :]
            description = study.results.description(dataset)
            tables[f"{group}/{dataset.column}"] = Table(values, description, dataset.unit, axes)
    return tables


def of_layers(first: str, second: str, cka: np.ndarray) -> Tables:
    """Return the table of two runs' layers."""
    text = f"debiased linear CKA of the layers of {first} (rows) and {second} (columns)"
    return {f"layers/{first}/{second}/cka": Table(cka, text, axes=("tap", "other tap"))}


def of_concepts(first: str, second: str, there: There, matches: Matches) -> Tables:
    """Return the tables of the first run's concepts in the second."""
    group = f"concepts/{first}/in/{second}"
    whose = f"the concepts of {first}"
    columns = {
        "complexity": (there.complexity, f"complexity of {whose} by the layers of {second}"),
        "complexity_se": (there.standard_error, "its standard error: jackknife over the folds"),
        "partner": (matches.partner, f"concept of {second} whose codes correlate most; -1: none"),
        "correlation": (matches.correlation, "its correlation, over the images"),
        "partner_within_classes": (
            matches.partner_within,
            f"concept of {second} whose codes, less the means of the classes, correlate most",
        ),
        "correlation_within_classes": (
            matches.correlation_within,
            "its correlation, within classes",
        ),
        "mutual": (
            matches.mutual.astype(np.int8),
            "1 where the concept is also the partner of its partner",
        ),
    }
    tables = {
        f"{group}/{name}": Table(values, text, axes=("concept",))
        for name, (values, text) in columns.items()
    }
    tables[f"{group}/vinformation"] = Table(
        there.vinformation,
        f"V-information at the layers of {second} (rows) of {whose} (columns)",
        axes=("other tap", "concept"),
    )
    return tables


def of_universality(label: str, universality: np.ndarray) -> Tables:
    """Return the table of how universal a run's concepts are."""
    text = (
        "mean over the other runs of the correlation, within classes, with the best partner there"
    )
    return {f"runs/{label}/universality": Table(universality, text, axes=("concept",))}


def of_differences(first: str, second: str, estimates: Mapping[str, Estimate]) -> Tables:
    """Return the tables of the differences of means."""
    group = f"differences/{first}/{second}"
    tables = {}
    for name, estimate in estimates.items():
        text = f"mean {name} of the concepts of {second} less that of {first}"
        tables[f"{group}/{name}"] = Table(np.float64(estimate.value), text)
        error = f"standard error of it, over {estimate.over}"
        tables[f"{group}/{name}_se"] = Table(np.float64(estimate.standard_error), error)
    return tables
