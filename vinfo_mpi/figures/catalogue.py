"""The figures of a run, in the order of the report: what each shows, in words too."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from vinfo_mpi.errors import InputError, choices
from vinfo_mpi.figures import (
    atom_map,
    audit,
    autoencoder,
    bias,
    collapse,
    concepts,
    confounds,
    curves,
    facets,
    filters,
    lazy,
    measures,
    merging,
    migration,
    monosemanticity,
    parts,
    patterns,
    pointwise,
    style,
    super_classes,
    trees,
)
from vinfo_mpi.figures.captions import captions
from vinfo_mpi.figures.figure import Figure
from vinfo_mpi.figures.paper import USUAL, Paper
from vinfo_mpi.results import schema_metafeatures as meta
from vinfo_mpi.results.schema import (
    ALIVE,
    CLASS,
    COMPLEXITY,
    CONFOUNDS,
    IMPORTANCE,
    LATE,
    LEARNED_LATE,
    PARTS,
    TAPS,
    TEMPORAL,
    UNREADABLE,
    VINFORMATION,
)
from vinfo_mpi.results.schema_analyses import (
    BRANCHES,
    CUMULATED_QUALITY,
    CUMULATED_UTILISATION,
    EFFECTIVE_DIMENSION,
    EIGENVALUES,
    ENDS,
    FLOW_BLOCKS,
    LAZINESS,
    MEASURES,
    NOISE_VARIANCE,
    NOISE_VARIANCE_UNDIVIDED,
    REDUNDANCY,
    REDUNDANCY_RATES,
    REDUNDANCY_VALUES,
    SIGMAS,
    SIGNIFICANT,
    SPECTRUM_CHECKPOINTS,
    SPECTRUM_TAPS,
    SUPPORT_AREA,
    SUPPORT_ORDERS,
    SUPPORT_PROPORTIONS,
    SUPPORT_RELATIVE,
    VARIANCE,
    flow_mean,
)
from vinfo_mpi.results.schema_sedimentation import (
    MEAN_COMPLEXITY,
    MEAN_PARTS,
    OWN_COMPLEXITY,
    OWN_EPOCHS,
    OWN_IMPORTANCE,
    TOP_COMPLEXITY,
)
from vinfo_mpi.results.tables import Results
from vinfo_mpi.storage.atomic import write_text

_SCORED = (ALIVE, COMPLEXITY)
_OWN = (OWN_EPOCHS, OWN_COMPLEXITY, OWN_IMPORTANCE)
_OVER_EPOCHS = (MEAN_COMPLEXITY, TOP_COMPLEXITY, MEAN_PARTS[LATE], MEAN_PARTS[UNREADABLE])
_FLOW = [flow_mean(end, branch, name) for end in ENDS for branch in BRANCHES for name in MEASURES]

_ALL = (
    Figure(
        "parts",
        "What complexity consists of",
        (*_SCORED, *PARTS),
        parts.draw_parts,
        parts.say_parts,
        size=(style.TWO_COLUMNS, 2.4),
    ),
    Figure(
        "complexity",
        "Distribution of complexity",
        _SCORED,
        concepts.draw_complexity,
        concepts.say_complexity,
    ),
    Figure(
        "vinformation",
        "Where concepts become available",
        (*_SCORED, VINFORMATION, TAPS),
        concepts.draw_vinformation,
        concepts.say_vinformation,
        size=(style.TWO_COLUMNS, 2.4),
    ),
    Figure(
        "confounds",
        "What else goes with complexity",
        (*_SCORED, CLASS, *CONFOUNDS),
        confounds.draw_confounds,
        confounds.say_confounds,
        size=(style.TWO_COLUMNS, 2.8),
    ),
    Figure(
        "complexity_importance",
        "Complexity and importance, final network",
        (*_SCORED, IMPORTANCE),
        concepts.draw_complexity_importance,
        concepts.say_complexity_importance,
    ),
    Figure(
        "complexity_importance_first",
        "Complexity and importance, first epoch",
        _OWN,
        concepts.draw_complexity_importance_first,
        concepts.say_complexity_importance_first,
    ),
    Figure(
        "complexity_temporal",
        "Complexity and when concepts are learned",
        (*_SCORED, TEMPORAL, LEARNED_LATE),
        concepts.draw_complexity_temporal,
        concepts.say_complexity_temporal,
    ),
    Figure(
        "epochs",
        "Complexity over the training",
        (*_OWN, *_OVER_EPOCHS, *(curve.se for curve in _OVER_EPOCHS)),
        curves.draw_epochs,
        curves.say_epochs,
    ),
    Figure(
        "flow",
        "How concepts travel through the residual blocks",
        (*_SCORED, FLOW_BLOCKS, *_FLOW, *(mean.se for mean in _FLOW)),
        curves.draw_flow,
        curves.say_flow,
        size=(style.TWO_COLUMNS, 2.6),
        panels=({"measure": "vinformation"}, {"measure": "cka", "key": False}),
    ),
    Figure(
        "redundancy",
        "Complexity and redundancy",
        (*_SCORED, REDUNDANCY, REDUNDANCY_VALUES, REDUNDANCY_RATES),
        concepts.draw_redundancy,
        concepts.say_redundancy,
    ),
    Figure(
        "robustness",
        "Complexity and robustness to noise",
        (*_SCORED, NOISE_VARIANCE, NOISE_VARIANCE_UNDIVIDED, VARIANCE, SIGMAS),
        concepts.draw_robustness,
        concepts.say_robustness,
    ),
    Figure(
        "support",
        "How many concepts the decisions need",
        (
            *(SUPPORT_ORDERS, SUPPORT_PROPORTIONS, SUPPORT_RELATIVE, SUPPORT_RELATIVE.se),
            *(SUPPORT_AREA, SUPPORT_AREA.se),
        ),
        curves.draw_support,
        curves.say_support,
        size=(style.TWO_COLUMNS, 2.6),
        panels=({"in_turn": True}, {"in_turn": False, "key": False}),
    ),
    autoencoder.AUTOENCODER_FIGURE,
    audit.AUDIT_FIGURE,
    Figure(
        "map",
        "Map of the concepts",
        (*_SCORED, IMPORTANCE, CLASS, meta.MAP_X, meta.MAP_Y),
        atom_map.draw_map,
        atom_map.say_map,
        size=(style.TWO_COLUMNS, 1.75),
        panels=tuple({"colour": each.column} for each in (COMPLEXITY, IMPORTANCE, CLASS)),
    ),
    Figure(
        "metafeatures",
        "Meta-features",
        (
            *(*_SCORED, IMPORTANCE, meta.CLUSTER, meta.CLUSTER_SIZE, meta.CLUSTER_SHOWN),
            *(meta.CLUSTER_COMPLEXITY, meta.CLUSTER_COMPLEXITY.se),
        ),
        trees.draw_metafeatures,
        trees.say_metafeatures,
    ),
    super_classes.SUPER_CLASSES_FIGURE,
    Figure(
        "tree",
        "Tree of the concepts",
        (*_SCORED, IMPORTANCE, CLASS, meta.TREE_CONCEPTS, meta.CONCEPT_LINKAGE),
        trees.draw_tree,
        trees.say_tree,
        size=(style.TWO_COLUMNS, 2.2),
        panels=tuple({"colour": each.column} for each in (COMPLEXITY, IMPORTANCE)),
    ),
    Figure(
        "spectrum",
        "Spectrum of the last tap over the training",
        (
            *(SPECTRUM_CHECKPOINTS, SPECTRUM_TAPS, SIGNIFICANT),
            *(EFFECTIVE_DIMENSION, EFFECTIVE_DIMENSION.se, LAZINESS, LAZINESS.se),
            *(EIGENVALUES, CUMULATED_UTILISATION, CUMULATED_QUALITY),
        ),
        curves.draw_spectrum,
        curves.say_spectrum,
        size=(style.TWO_COLUMNS, 2.1),
        panels=(
            {"curve": EIGENVALUES.column, "key": False},
            {"curve": CUMULATED_UTILISATION.column, "key": False},
            {"curve": CUMULATED_QUALITY.column},
        ),
    ),
    collapse.COLLAPSE_FIGURE,
    lazy.LAZY_FIGURE,
    migration.MIGRATION_FIGURE,
    pointwise.POINTWISE_FIGURE,
    monosemanticity.MONOSEMANTICITY_FIGURE,
    facets.FACETS_FIGURE,
    bias.BIAS_FIGURE,
    measures.MEASURES_FIGURE,
    patterns.PATTERNS_FIGURE,
    merging.MERGING_FIGURE,
    filters.FILTERS_FIGURE,
)
FIGURES: dict[str, Figure] = {figure.name: figure for figure in _ALL}


def available(results: Results) -> list[Figure]:
    """Return the figures whose datasets a run has, in the order of the report."""
    return [figure for figure in FIGURES.values() if figure.command(results) is None]


def missing(results: Results) -> list[Figure]:
    """Return the figures that a run has not computed, and could; `command` says how."""
    return [
        figure
        for figure in FIGURES.values()
        if figure.command(results) is not None and all(map(results.suits, figure.stages))
    ]


def write(
    results: Results, folder: str | Path, names: Iterable[str] | None = None, paper: Paper = USUAL
) -> list[Path]:
    """Write figures as <name>.pdf, vectors with their fonts, and <name>.png; captions.tex.

    The same results give the same bytes.

    Parameters
    ----------
    results : Results
    folder : str or Path
        Made where it is not there.
    names : iterable of str, optional
        Which ones; default: all that were computed.
    paper : Paper
        Their widths and type, as `vinfo_mpi.figures.paper.VENUES` has some.

    Returns
    -------
    list of Path
        The files, figure by figure; last captions.tex, LaTeX with the sentence of each.

    Raises
    ------
    InputError
        If there is no figure of a name, or it was not computed, or the folder cannot be written to.
    """
    figures = available(results) if names is None else [_named(name) for name in names]
    paths = [path for figure in figures for path in figure.save(results, Path(folder), paper)]
    write_text(Path(folder) / "captions.tex", captions(figures, results))
    return [*paths, Path(folder) / "captions.tex"]


def _named(name: str) -> Figure:
    if name not in FIGURES:
        raise InputError(f"there is no figure '{name}'; {choices(name, FIGURES)}")
    return FIGURES[name]
