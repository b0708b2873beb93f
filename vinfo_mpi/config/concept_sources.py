"""The kinds of concepts: what is true of all dictionaries of a source, for whoever must know.

How each is made stands in `vinfo_mpi.concepts.sources`. This imports nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class ConceptSource:
    """A kind of concepts.

    Attributes
    ----------
    codes : str
        How images are expressed in its atoms: by ``non-negative`` least squares, by an ``encoder``
        that comes with them, by ``projection`` of the pooled last tap, or by codes that are
        ``known`` without it.
    fitted : bool
        Whether it is a factorisation, which has settings, and may end elsewhere from another start.
    of_network : bool
        Whether the codes follow from the image through the network: another image has others.
    """

    codes: Literal["non-negative", "encoder", "projection", "known"]
    fitted: bool = False
    of_network: bool = True


SOURCES = {
    "nmf": ConceptSource("non-negative", fitted=True),
    "neurons": ConceptSource("projection"),
    "pca": ConceptSource("projection"),
    "eigenfunctions": ConceptSource("projection"),
    "logits": ConceptSource("known"),
    "factors": ConceptSource("known", of_network=False),
    "sae": ConceptSource("encoder"),
}
ATOM_FILE = ConceptSource("non-negative")
ATOM_FILES = (".npy", ".npz", ".safetensors")
# What libraries call a sparse autoencoder's weights in its folder, and the settings beside them.
AUTOENCODER_WEIGHTS = ("sae_weights.safetensors", "ae.pt", "sae.pt")
AUTOENCODER_SETTINGS = ("cfg.json", "config.json")
