"""Every stage once: who does it, what it reads and makes, which settings matter.

This imports nothing heavy.
"""

from __future__ import annotations

from vinfo_mpi.stage import Stage

_FEWER_SUMS = "use more ranks, or lower score.folds or the number of concepts"
_REPEATED = ("seed", "dictionary", "encode", "score")  # of stages that make a dictionary again
_FACTORS = {"factors", "group"}  # columns of data.table: the images are the same without them
_OTHER_PREDICTORS = {"family", "also", "random_features"}  # of the stage score alone

SPINE = {
    "train": Stage(
        "vinfo_mpi.stages.train:train_network",
        reads=(),
        makes=("checkpoint",),
        settings=("seed", "data", "network", "train"),
        # Which images and epochs are analysed.
        ignores={
            "data": {"analyse", "per_class", "on_bad_image", "on_missing_factor", *_FACTORS},
            "train": {"save"},
        },
        remedy="use more ranks, or lower train.batch or machine.batch",
    ),
    "extract": Stage(
        "vinfo_mpi.stages.extract:extract_activations",
        reads=("checkpoint",),
        makes=("activations", "all activations"),
        settings=("seed", "data", "network", "extract"),
        # A file with more maps than are asked for is as good.
        ignores={"data": _FACTORS, "extract": {"maps"}},
        remedy="lower machine.batch",
        version=3,  # the hash of every image
    ),
    "dictionary": Stage(
        "vinfo_mpi.stages.dictionary:make_dictionary",
        reads=("activations",),
        makes=("dictionary",),
        settings=("seed", "dictionary"),
        files={
            "atoms": "dictionary.file",
            "autoencoder": "dictionary.autoencoder",
            "settings of the autoencoder": "dictionary.autoencoder_settings",
        },
        remedy="use more ranks, or lower data.per_class or extract.positions",
    ),
    "encode": Stage(
        "vinfo_mpi.stages.encode:encode_images",
        reads=("activations", "dictionary"),
        makes=("codes",),
        settings=("encode",),
        remedy="lower machine.rows or the number of concepts",
    ),
    "score": Stage(
        "vinfo_mpi.stages.score:score_concepts",
        reads=("activations", "codes"),
        settings=("seed", "score"),
        remedy=_FEWER_SUMS,
        version=4,  # energy of atoms, effective concepts, outlier severity of taps
    ),
    "importance": Stage(
        "vinfo_mpi.stages.importance:measure_importance",
        reads=("activations", "dictionary", "codes"),
        settings=("importance",),
    ),
    "dynamics": Stage(
        "vinfo_mpi.stages.dynamics:score_checkpoints",
        reads=("all activations", "codes"),
        settings=("seed", "score"),
        ignores={"score": _OTHER_PREDICTORS},
        remedy=_FEWER_SUMS,
        version=4,  # parts of the temporal score; means over all epochs; standard errors
    ),
}

ANALYSES = {
    "flow": Stage(
        "vinfo_mpi.analyses.flow:measure_flow",
        reads=("activations", "codes", "score"),
        settings=("seed", "score", "flow"),
        ignores={"score": _OTHER_PREDICTORS},
    ),
    "redundancy": Stage(
        "vinfo_mpi.analyses.redundancy:measure_redundancy",
        reads=("activations", "codes"),
        settings=("seed", "score", "redundancy"),
        ignores={"score": _OTHER_PREDICTORS},
        version=2,  # of V-information, not of CKA
    ),
    "support": Stage(
        "vinfo_mpi.analyses.support:measure_support",
        reads=("activations", "dictionary", "codes", "score", "importance"),
        settings=("seed", "support"),
        version=2,  # orders in turn over classes
    ),
    "hoyer": Stage(
        "vinfo_mpi.analyses.hoyer:measure_sparseness",
        reads=("dictionary", "codes"),
        settings=(),
    ),
    "metafeatures": Stage(
        "vinfo_mpi.analyses.metafeatures:find_metafeatures",
        reads=("activations", "dictionary", "codes", "score"),
        settings=("seed", "importance", "metafeatures"),
        version=4,  # importance for super-classes; errors over classes
        files={"super-classes": "metafeatures.super_classes"},
    ),
    "sparsity": Stage(
        "vinfo_mpi.analyses.sparsity:measure_sparsity",
        reads=("all activations",),
        settings=("sparsity",),
        remedy="lower machine.batch",
        version=2,  # hidden units
    ),
    "spectrum": Stage(
        "vinfo_mpi.analyses.spectrum:measure_spectrum",
        reads=("all activations",),
        settings=("spectrum",),
    ),
    "collapse": Stage(
        "vinfo_mpi.analyses.collapse:measure_collapse",
        reads=("all activations",),
        settings=(),
    ),
    "robustness": Stage(
        "vinfo_mpi.analyses.robustness:measure_robustness",
        reads=("activations", "dictionary", "codes"),
        settings=("seed", "data", "network", "encode", "robustness"),
        ignores={"data": _FACTORS},
        version=2,
        long=True,
    ),
    "stability": Stage(
        "vinfo_mpi.analyses.stability:measure_stability",
        reads=("activations", "dictionary", "codes", "score"),
        settings=(*_REPEATED, "stability"),
        ignores={"score": {"also"}},
        long=True,
        version=2,  # complexity of the matched concepts
    ),
    "autoencoder": Stage(
        "vinfo_mpi.analyses.autoencoder:compare_autoencoder",
        reads=("activations", "dictionary", "codes"),
        settings=("seed", "encode", "score", "importance", "autoencoder"),
        ignores={"score": {"also"}},
        remedy="lower autoencoder.vectors or machine.rows",
        long=True,  # it trains, encodes and scores once more
        version=2,  # training without a loss for dead features
    ),
    "audit": Stage(
        "vinfo_mpi.analyses.audit:audit_factors",
        reads=("all activations", "dictionary", "codes", "score"),
        settings=("seed", "score", "audit"),
        ignores={"score": _OTHER_PREDICTORS},
        long=True,  # it reads all images again
    ),
    "names": Stage(
        "vinfo_mpi.analyses.names:name_concepts",
        reads=("activations", "codes"),
        settings=("seed", "names"),
        files={
            "vocabulary": "names.vocabulary",
            "words": "names.words_file",
            "images": "names.images_file",
            "model": "names.model_files",
        },
        remedy="use more ranks, fewer words or a lower names.strongest",
        long=True,  # it needs what is not there: words, and embeddings
        version=2,  # how good words are by chance
    ),
    "monosemanticity": Stage(
        "vinfo_mpi.analyses.monosemanticity:measure_monosemanticity",
        reads=("activations", "codes"),
        settings=("monosemanticity",),
        files={
            "images": "monosemanticity.images_file",
            "activations": "monosemanticity.activations",
        },
        remedy="lower machine.rows or monosemanticity.strongest",
        long=True,  # it asks for a reference other than the run's own
    ),
    "sedimentation": Stage(
        "vinfo_mpi.analyses.sedimentation:measure_sedimentation",
        reads=("all activations", "codes", "score", "importance"),
        settings=(*_REPEATED, "extract", "importance", "sedimentation"),
        ignores={"score": _OTHER_PREDICTORS},
        long=True,
        version=2,  # the mean complexity in its parts
    ),
    "migration": Stage(
        "vinfo_mpi.analyses.migration:measure_migration",
        reads=("score", "sedimentation"),
        settings=("migration",),
        long=True,  # what it reads is
    ),
    "patterns": Stage(
        "vinfo_mpi.analyses.patterns:find_patterns",
        reads=("all activations",),
        settings=("seed", "patterns"),
        remedy="lower machine.batch, patterns.images or patterns.bits",
        long=True,  # the images go through the network of every checkpoint again
    ),
    "merging": Stage(
        "vinfo_mpi.analyses.merging:merge_features",
        reads=("all activations",),
        settings=("merging",),
        remedy="lower machine.batch, or give fewer merging.thresholds",
        long=True,  # passes of images through a network for each threshold
    ),
    "filters": Stage(
        "vinfo_mpi.analyses.filters:measure_filters",
        reads=("all activations",),
        settings=(),
        long=True,  # it is about weights alone, not about concepts
    ),
    "pointwise": Stage(
        "vinfo_mpi.analyses.pointwise:find_hardest",
        reads=("activations", "codes"),
        settings=("seed", "score"),
        ignores={"score": {*_OTHER_PREDICTORS, "estimator"}},
        remedy=_FEWER_SUMS,
        long=True,  # it reads the last tap twice, which score has read
    ),
    "facets": Stage(
        "vinfo_mpi.analyses.facets:find_facets",
        reads=("activations", "codes"),
        settings=("seed", "facets"),
        version=2,  # codes of the images
        long=True,  # many divisions of the images of every concept
    ),
    "bias": Stage(
        "vinfo_mpi.analyses.bias:measure_bias",
        reads=("checkpoint",),
        settings=("seed", "data", "network", "extract"),
        ignores={
            "data": {"analyse", "per_class", *_FACTORS},
            "extract": {"maps", "dtype", "positions", "branches"},
        },
        remedy="lower machine.batch",
        long=True,  # it sees other images than the run's
    ),
}

PAGES = {
    "visualise": Stage(
        "vinfo_mpi.stages.visualise:draw_pictures",
        reads=("activations", "dictionary", "codes", "score"),
        makes=("visualisation",),
        settings=("seed", "data", "network", "encode", "visualise"),
        ignores={"data": _FACTORS},
        optional={"facets": "visualise.facets"},
        version=2,
        remedy="use more ranks, or lower machine.batch or what visualise draws",
    ),
    "report": Stage(
        "vinfo_mpi.stages.report:write_report",
        reads=("activations", "dictionary", "codes", "score", "importance"),
        makes=("report",),
        settings=("figures", "report"),
        shows=("dynamics", *ANALYSES, "visualisation"),
        version=2,  # scales and distributions of codes, sentences
        packages=("matplotlib",),
    ),
}

STAGES = SPINE | ANALYSES | PAGES
# What else can be typed after ``python -m vinfo_mpi.`` or ``vinfo``.
TOOLS = ("analyses", "compare", "import_activations", "inspect", "io_check", "signs")


def command(stage: str | None) -> str:
    """Return what is typed after ``python -m`` for a stage, for ``analyses``, or None: for all."""
    if stage is None:
        return "vinfo_mpi"
    return f"vinfo_mpi.analyses.{stage}" if stage in ANALYSES else f"vinfo_mpi.{stage}"


def needs(stage: str) -> tuple[str, ...]:
    """Return the stages that make what a stage reads."""
    makers = {product: name for name, made in STAGES.items() for product in made.makes}
    return tuple(dict.fromkeys(makers.get(name, name) for name in STAGES[stage].reads))


def before(stage: str) -> set[str]:
    """Return all stages that a stage needs, directly or not."""
    return {name for need in needs(stage) for name in {need, *before(need)}}
