"""Importance of each concept for a decision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic

import torch
from torch import nn

from vinfo_mpi.api.arrays import ROWS, A, Rows, like, whole_numbers
from vinfo_mpi.api.ranks import ranks_of, same_on_all
from vinfo_mpi.errors import InputError
from vinfo_mpi.numerics.attribution import Attribution
from vinfo_mpi.numerics.slopes import Slopes, network_slopes, weight_slopes

if TYPE_CHECKING:
    from mpi4py import MPI

Head = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Importance(Generic[A]):
    """Three measures of the importance of K concepts: (K,) float64 arrays or tensors.

    Attributes
    ----------
    absolute : array or tensor
        Mean |code × derivative of the class's logit along the atom|, in logits.
    signed : array or tensor
        The same without the absolute value: above 0, it promotes the class.
    share : array or tensor
        Mean share of the logit's variance under random masks of concepts (total Sobol index).
    """

    absolute: A
    signed: A
    share: A


def concept_importance(
    codes: A,
    atoms: Any,
    head: Any,
    classes: Any,
    *,
    offset: Any = None,
    comm: MPI.Comm | None = None,
) -> Importance[A]:
    """Return how much the logits of some classes rest on each concept: gradient times input.

    Parameters
    ----------
    codes : (n, K) array or tensor
    atoms : (K, d) array or tensor
        Activations are offset + codes @ atoms.
    head : (C, d) array or tensor, nn.Linear, or function from (n, d) to (n, C) torch tensors
        Weights of a linear head, or what gives the logits; a network's module will do.
    classes : (n,) array of whole numbers
        The class whose logit is explained: of each image the predicted one, or the true one.
    offset : (d,) array or tensor, optional
        Default: 0, as for NMF.
    comm : mpi4py communicator, optional
        The rows are those of this rank.

    Returns
    -------
    Importance
        The same on all ranks.

    Raises
    ------
    InputError
        If arrays do not fit together, or hold numbers that are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from vinfo_mpi import concept_importance
    >>> codes = np.array([[1.0, 2.0], [3.0, 0.0]])
    >>> head = np.array([[1.0, 0.0], [0.0, -1.0]])
    >>> concept_importance(codes, np.eye(2), head, classes=[0, 1]).signed.tolist()
    [0.5, 0.0]
    """
    ranks = ranks_of(comm)
    with ranks.together():
        z = Rows(codes, "codes")
        of_atoms = Rows(atoms, "atoms")
        if len(of_atoms) != z.shape[1]:
            raise InputError(f"atoms: are {len(of_atoms)}, of {z.shape[1]} concepts")
        z.check_finite()
        of_atoms.check_finite()
        chosen = torch.from_numpy(whole_numbers(classes, "classes", len(z))).to(z.device)
        if (chosen < 0).any():
            raise InputError(f"classes: {int(chosen.min())} is not a class; they count from 0")
        slopes = _slopes(head, of_atoms.read(range(len(of_atoms))).to(z.device), chosen, offset)
    same_on_all(ranks, "atoms", of_atoms.shape)
    attribution = Attribution(z.shape[1], z.device)
    with ranks.together():
        for where, block in z.blocks():
            attribution.add(block * slopes(block, chosen[where]))
    n = sum(ranks.allgather(len(z)))
    means = ranks.sum(attribution.sums) / n
    return Importance(*(like(codes, mean) for mean in means))


def _slopes(head: Any, atoms: torch.Tensor, chosen: torch.Tensor, offset: Any) -> Slopes:
    """Return the derivatives of the head's logits along the atoms."""
    if isinstance(head, nn.Linear):
        head = head.weight
    if not callable(head):
        weight = Rows(head, "head")
        if weight.shape[1] != atoms.shape[1]:
            raise InputError(
                f"head: has {weight.shape[1]} channels and atoms have {atoms.shape[1]}; give "
                "weights (classes, channels)"
            )
        if len(chosen) and chosen.max() >= len(weight):
            raise InputError(f"classes: go up to {int(chosen.max())}; head has {len(weight)} rows")
        return weight_slopes(weight.read(range(len(weight))).to(atoms.device), atoms)
    shift = torch.zeros_like(atoms[0]) if offset is None else torch.as_tensor(offset).to(atoms)
    return network_slopes(_in_precision(head), atoms, shift, ROWS)


def _in_precision(head: Head) -> Head:
    """Return the head as a function of float64 vectors, whatever its parameters are."""
    parameters = list(head.parameters()) if isinstance(head, nn.Module) else []
    if not parameters:
        return head
    return lambda vectors: head(vectors.to(parameters[0].dtype)).to(vectors.dtype)
