"""The datasets of results.h5 that each stage writes, in the order of docs/file-formats.md."""

from __future__ import annotations

from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.results.schema import (
    ALIVE,
    CLASS,
    COMPLEXITY,
    COMPLEXITY_HALF,
    COMPLEXITY_LIMIT,
    CONFOUNDS,
    DYNAMICS_CHECKPOINTS,
    DYNAMICS_VINFORMATION,
    EFFECTIVE_CONCEPTS,
    ENERGY,
    FORGOTTEN,
    IMAGES,
    IMPORTANCE,
    IMPORTANCE_SHARE,
    IMPORTANCE_SIGNED,
    INDEX,
    LEARNED_LATE,
    NAME,
    OF_CURVES,
    OUTLIER_SEVERITY,
    PENALTY,
    PREDICTORS,
    TAPS,
    TEMPORAL,
    UNLEARNED,
    VINFORMATION,
    WARNINGS,
    predictor,
)
from vinfo_mpi.results.schema_analyses import (
    BRANCHES,
    DICTIONARY_SE,
    ENDS,
    FIT_COMPLEXITY,
    FIT_ERROR,
    FIT_PARTS,
    FLOW_BLOCKS,
    HOYER,
    MEASURES,
    NOISE_RANGE,
    NOISE_VARIANCE,
    NOISE_VARIANCE_UNDIVIDED,
    RANGE,
    REDUNDANCY,
    REDUNDANCY_RATES,
    REDUNDANCY_VALUES,
    RUNNER_UP,
    RUNNER_UP_SCORE,
    SEEDS,
    SIGMAS,
    SIMILARITY,
    SPECTRUM_CHECKPOINTS,
    SPECTRUM_CURVES,
    SPECTRUM_NUMBERS,
    SPECTRUM_TAPS,
    STABILITY,
    SUPPORT_ACCURACY,
    SUPPORT_AREA,
    SUPPORT_ORDERS,
    SUPPORT_PROPORTIONS,
    SUPPORT_RELATIVE,
    VARIANCE,
    VARIANCE_UNDIVIDED,
    WORD,
    WORD_AS_GOOD,
    WORD_BY_CHANCE,
    WORD_SCORE,
    flow,
    flow_mean,
)
from vinfo_mpi.results.schema_audit import AUDIT
from vinfo_mpi.results.schema_autoencoder import AUTOENCODER
from vinfo_mpi.results.schema_bias import OF_BIAS
from vinfo_mpi.results.schema_collapse import COLLAPSE, COLLAPSE_CHECKPOINTS
from vinfo_mpi.results.schema_facets import FACETS_OF_IMAGES
from vinfo_mpi.results.schema_filters import FILTERS
from vinfo_mpi.results.schema_merging import MERGING
from vinfo_mpi.results.schema_metafeatures import (
    CLASSES,
    CLUSTER,
    CLUSTER_COMPLEXITY,
    CLUSTER_SHOWN,
    CLUSTER_SIZE,
    CLUSTERS,
    CONCEPT_LINKAGE,
    LEAVES,
    LINKAGE,
    MAP_X,
    MAP_Y,
    SUPER_CLASS,
    SUPER_IMPORTANCE,
    SUPER_LEAVES,
    SUPER_LINKAGE,
    SUPER_NAMES,
    TREE_CONCEPTS,
)
from vinfo_mpi.results.schema_migration import (
    KIND_NAMES,
    KIND_SHARE,
    MIGRATION_CHECKPOINTS,
    OF_PATHS,
    PATHS,
)
from vinfo_mpi.results.schema_monosemanticity import OF_MONOSEMANTICITY
from vinfo_mpi.results.schema_patterns import PATTERNS
from vinfo_mpi.results.schema_pointwise import POINTWISE
from vinfo_mpi.results.schema_sedimentation import (
    GRID,
    GRID_CHECKPOINTS,
    MEAN_COMPLEXITY,
    MEAN_PARTS,
    OWN_ACCURACY,
    OWN_COMPLEXITY,
    OWN_CORRELATION,
    OWN_EPOCHS,
    OWN_IMPORTANCE,
    OWN_PREDICTIONS_KEPT,
    OWN_RELATIVE_ERROR,
    TOP_COMPLEXITY,
)
from vinfo_mpi.results.schema_sparsity import SPARSITY

OF_PREDICTOR = (VINFORMATION, PENALTY, COMPLEXITY, *OF_CURVES)
WRITTEN_BY: dict[str, tuple[Dataset, ...]] = {
    "all": (INDEX,),
    "score": (
        *(TAPS, VINFORMATION, PENALTY, CLASS, ALIVE, NAME, COMPLEXITY, *OF_CURVES),
        *(*CONFOUNDS, COMPLEXITY_HALF, COMPLEXITY_LIMIT, IMAGES, WARNINGS),
        *(ENERGY, EFFECTIVE_CONCEPTS, OUTLIER_SEVERITY),
        *(predictor(name, dataset) for name in PREDICTORS for dataset in OF_PREDICTOR),
    ),
    "importance": (IMPORTANCE, IMPORTANCE_SIGNED, IMPORTANCE_SHARE),
    "dynamics": (
        *(DYNAMICS_CHECKPOINTS, DYNAMICS_VINFORMATION),
        *(TEMPORAL, UNLEARNED, LEARNED_LATE, FORGOTTEN),
    ),
    "flow": (
        FLOW_BLOCKS,
        *(flow(branch, measure) for branch in BRANCHES for measure in MEASURES),
        *(
            flow_mean(end, branch, measure)
            for end in ENDS
            for branch in BRANCHES
            for measure in MEASURES
        ),
    ),
    "redundancy": (REDUNDANCY_RATES, REDUNDANCY_VALUES, REDUNDANCY),
    "support": (
        SUPPORT_ORDERS,
        SUPPORT_PROPORTIONS,
        SUPPORT_ACCURACY,
        SUPPORT_RELATIVE,
        SUPPORT_AREA,
    ),
    "hoyer": (HOYER,),
    "metafeatures": (
        *(CLUSTER, MAP_X, MAP_Y, CLUSTERS, CLUSTER_SIZE, CLUSTER_COMPLEXITY, CLUSTER_SHOWN),
        *(TREE_CONCEPTS, CONCEPT_LINKAGE),
        *(CLASSES, LINKAGE, LEAVES, SUPER_NAMES, SUPER_CLASS, SUPER_LINKAGE, SUPER_LEAVES),
        SUPER_IMPORTANCE,
    ),
    "sparsity": SPARSITY,
    "spectrum": (SPECTRUM_CHECKPOINTS, SPECTRUM_TAPS, *SPECTRUM_CURVES, *SPECTRUM_NUMBERS),
    "collapse": (COLLAPSE_CHECKPOINTS, *COLLAPSE),
    "robustness": (
        *(SIGMAS, VARIANCE, NOISE_VARIANCE, VARIANCE_UNDIVIDED, NOISE_VARIANCE_UNDIVIDED),
        *(RANGE, NOISE_RANGE),
    ),
    "stability": (
        *(SEEDS, SIMILARITY, FIT_ERROR, STABILITY),
        *(FIT_COMPLEXITY, *FIT_PARTS.values(), DICTIONARY_SE),
    ),
    "autoencoder": AUTOENCODER,
    "audit": AUDIT,
    "monosemanticity": OF_MONOSEMANTICITY,
    "names": (
        *(WORD, WORD_SCORE, WORD_BY_CHANCE, WORD_AS_GOOD),
        *(RUNNER_UP, RUNNER_UP_SCORE),
    ),
    "sedimentation": (
        *(GRID_CHECKPOINTS, GRID, OWN_EPOCHS, OWN_COMPLEXITY, OWN_IMPORTANCE),
        *(MEAN_COMPLEXITY, *MEAN_PARTS.values(), TOP_COMPLEXITY, OWN_CORRELATION, OWN_ACCURACY),
        *(OWN_RELATIVE_ERROR, OWN_PREDICTIONS_KEPT),
    ),
    "migration": (MIGRATION_CHECKPOINTS, *PATHS, KIND_NAMES, KIND_SHARE, *OF_PATHS),
    "patterns": PATTERNS,
    "merging": MERGING,
    "filters": FILTERS,
    "pointwise": POINTWISE,
    "facets": FACETS_OF_IMAGES,
    "bias": OF_BIAS,
}
_STAGES = {dataset.name: stage for stage, datasets in WRITTEN_BY.items() for dataset in datasets}


def stage_of(dataset: Dataset) -> str:
    """Return the stage that writes a dataset, or that whose standard error it is."""
    return _STAGES.get(dataset.name) or _STAGES[dataset.name.removesuffix("_se")]


def stage_of_column(column: str) -> str:
    """Return the stage that writes a column of the table of concepts; score for an unknown one."""
    name = f"{INDEX.group}/{column}"
    return _STAGES.get(name) or _STAGES.get(name.removesuffix("_se"), "score")
