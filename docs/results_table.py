"""Print the table of results.h5 in docs/file-formats.md: a row per dataset, from the schema.

python docs/results_table.py
"""

from __future__ import annotations

from collections.abc import Iterator

from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.results.written_by import OF_PREDICTOR, WRITTEN_BY

HEAD = ("dataset", "axes", "dtype", "unit", "stage", "meaning")
# What whoever writes a dataset fills in.
WORDS = {
    "most": "*so many*",
    "how": "*family, estimator*",
    "method": "*method*",
    "folds": "*so many*",
}


def table() -> str:
    """Return the table, in Markdown."""
    lines = [_line(HEAD), _line(["---"] * len(HEAD))]
    for stage, datasets in WRITTEN_BY.items():
        lines += [_line(_row(dataset, stage)) for dataset in _without_predictors(datasets)]
        if stage == "score":
            others = [dataset.within("predictors/<name>") for dataset in OF_PREDICTOR]
            lines += [_line(_row(dataset, stage)) for dataset in others]
    return "\n".join(lines)


def _without_predictors(datasets: tuple[Dataset, ...]) -> Iterator[Dataset]:
    """Yield the datasets but those of the other predictors, which have rows for all together."""
    for dataset in datasets:
        if not dataset.group.startswith("predictors"):
            yield dataset


def _row(dataset: Dataset, stage: str) -> list[str]:
    name = f"`/{dataset.name}`"
    if dataset.error is not None:
        name += " (`_se`)"
    dtype = "string" if dataset.dtype == "text" else dataset.dtype
    meaning = dataset.filled(**WORDS).sentence
    return [name, ", ".join(dataset.axes), dtype, dataset.unit or "", stage, meaning]


def _line(cells: list[str] | tuple[str, ...]) -> str:
    escaped = [cell.replace("|", r"\|") for cell in cells]
    return f"| {' | '.join(escaped)} |"


if __name__ == "__main__":
    print(table())
