"""results.h5: every dataset of metafeatures once; see `vinfo_mpi.results.schema`."""

from __future__ import annotations

from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.results.schema import CONCEPT, names
from vinfo_mpi.results.schema_analyses import OVER_CLASSES, OVER_IMAGES

CLUSTER = Dataset(
    "concepts/cluster", CONCEPT, "cluster of the atom; -1: the atom is zero", "int64", None
)
MAP_X = Dataset("concepts/map_x", CONCEPT, "where the atom lies on the map ({method})", unit=None)
MAP_Y = Dataset("concepts/map_y", CONCEPT, "where the atom lies on the map ({method})", unit=None)
CLUSTERS = Dataset(
    "metafeatures/clusters",
    ("cluster",),
    "number of the cluster, by rising mean complexity",
    "int64",
    None,
)
CLUSTER_SIZE = Dataset("metafeatures/size", ("cluster",), "atoms in the cluster", "int64", None)
CLUSTER_COMPLEXITY = Dataset(
    "metafeatures/complexity",
    ("cluster",),
    "mean complexity of the cluster's concepts",
    error=OVER_CLASSES,
)
CLUSTER_SHOWN = Dataset(
    "metafeatures/shown",
    ("cluster",),
    "1 for a fifth of the clusters, evenly spaced by mean complexity: those in the figure",
    "uint8",
    None,
)
TREE_CONCEPTS = Dataset(
    "metafeatures/tree_concepts",
    ("tree leaf",),
    "concepts in the tree of concepts: all living ones, or {most} evenly spaced by complexity",
    "int64",
    None,
)
CONCEPT_LINKAGE = Dataset(
    "metafeatures/concept_linkage",
    ("tree merge", "column"),
    "tree of these concepts by the cosine distance of their atoms: average linkage, "
    "in SciPy's format",
    unit=None,
)
CLASSES = names("metafeatures/classes", "class", "names of the classes")
LINKAGE = Dataset(
    "metafeatures/linkage",
    ("merge", "column"),
    "tree of the classes by the cosine distance of their mean codes: average linkage, "
    "in SciPy's format",
    unit=None,
)
LEAVES = Dataset(
    "metafeatures/leaves", ("leaf",), "the classes in the order of the tree", "int64", None
)
SUPER_NAMES = names("metafeatures/super_names", "super_name", "names of the super-classes")
SUPER_CLASS = Dataset(
    "metafeatures/super_class", ("class",), "super-class of every class", "int64", None
)
SUPER_LINKAGE = Dataset(
    "metafeatures/super_linkage",
    LINKAGE.axes,
    LINKAGE.sentence.replace("classes", "super-classes"),
    unit=None,
)
SUPER_LEAVES = Dataset(
    "metafeatures/super_leaves",
    LEAVES.axes,
    LEAVES.sentence.replace("classes", "super-classes"),
    "int64",
    None,
)
SUPER_IMPORTANCE = Dataset(
    "metafeatures/super_importance",
    ("super_name", "concept"),
    "importance of the concept for the images of the super-class: mean of |code * slope|",
    unit="logit",
    error=OVER_IMAGES,
)
