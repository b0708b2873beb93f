"""Citations of the package, and of the papers whose measures it computes, as in CITATION.cff."""

from __future__ import annotations

CITATIONS = {
    "This report": (
        "The vinfo_mpi authors. vinfo_mpi: V-information complexity of the features of vision "
        "networks, on clusters."
    ),
    "Complexity, and all analyses of it": (
        "Fel, Béthune, Lampinen, Serre, Hermann. Understanding Visual Feature Reliance through the "
        "Lens of Complexity. NeurIPS 2024. arXiv:2407.06076"
    ),
    "The spectrum of the feature map": (
        "Nam, Mingard, Lee, Hayou, Louis. Visualising Feature Learning in Deep Neural Networks by "
        "Diagonalizing the Forward Feature Map. 2024. arXiv:2410.04264"
    ),
}
