"""Complexity of concepts and its parts, with standard errors."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Generic

import numpy as np

from vinfo_mpi.api.arrays import A, host, like
from vinfo_mpi.api.vinformation import VInformation
from vinfo_mpi.errors import InputError
from vinfo_mpi.numerics import complexity as numerics

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Complexity(Generic[A]):
    """Complexity of K concepts, K = unreadable + late + discarded, and what else follows.

    Attributes
    ----------
    complexity : (K,) float64 array or tensor
        1 - mean V-information over the taps; NaN, here and below, for a concept without variance.
    unreadable : (K,) float64 array or tensor
        1 - the largest V-information of any tap.
    late : (K,) float64 array or tensor
        That largest less the mean of the running maximum over the taps.
    discarded : (K,) float64 array or tensor
        Mean of the running maximum less V-information.
    depth : (K,) float64 array or tensor
        late / (1 - unreadable); NaN where no tap makes the concept readable.
    peak : (K,) float64 array or tensor
        The largest V-information of any tap.
    kept : (K,) float64 array or tensor
        V-information of the last tap over the peak; NaN where that is 0.
    standard_errors : Complexity, or None
        Jackknife standard errors over the folds, of each of these; None from V-information alone.
    """

    complexity: A
    unreadable: A
    late: A
    discarded: A
    depth: A
    peak: A
    kept: A
    standard_errors: Complexity[A] | None = None

    def to_frame(self) -> pd.DataFrame:
        """Return a row per concept, columns as in `Results.concepts`: complexity, complexity_se."""
        import pandas as pd

        columns = {}
        for name in MEASURES:
            columns[name] = host(getattr(self, name))
            if self.standard_errors is not None:
                columns[f"{name}_se"] = host(getattr(self.standard_errors, name))
        return pd.DataFrame(columns).rename_axis("concept")


MEASURES = [each.name for each in fields(Complexity) if each.name != "standard_errors"]


def complexity(vinformation: VInformation[A] | A) -> Complexity[A]:
    """Return the complexity of every concept (eq. 2 of Fel et al. 2024) and its parts.

    Parameters
    ----------
    vinformation : VInformation, or (L, K) array or tensor
        From `vinfo_mpi.vinformation`; or V-information at taps in forward order, which gives no
        standard errors.

    Returns
    -------
    Complexity

    Raises
    ------
    InputError
        If an array is not one of taps and concepts, with values in [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> from vinfo_mpi import complexity
    >>> values = np.array([[0.2, 0.0], [0.8, 0.0], [0.6, 0.4]])  # three taps, two concepts
    >>> parts = complexity(values)
    >>> parts.complexity.round(2), parts.late.round(2), parts.discarded.round(2)
    (array([0.47, 0.87]), array([0.2 , 0.27]), array([0.07, 0.  ]))
    """
    if isinstance(vinformation, VInformation):
        values = host(vinformation.values)
        without = host(vinformation.without)
        reference: Any = vinformation.values
        errors = numerics.standard_errors(without)
        of_mean = numerics.jackknife(numerics.complexity(without))
        standard_errors = _result(reference, of_mean, errors)
    else:
        values = _checked(vinformation)
        reference = vinformation
        standard_errors = None
    return _result(reference, numerics.complexity(values), numerics.parts(values), standard_errors)


def _checked(vinformation: Any) -> np.ndarray:
    values = host(vinformation).astype(np.float64)
    if values.ndim != 2 or not len(values):
        raise InputError(f"V-information: has the shape {values.shape}; give taps × concepts")
    if (values < 0).any() or (values > 1).any():
        raise InputError(
            f"V-information: ranges from {np.nanmin(values):.3g} to {np.nanmax(values):.3g}; it is "
            "in [0, 1] (an R² below 0 counts as 0)"
        )
    return values


def _result(
    reference: Any,
    complexity: np.ndarray,
    parts: numerics.Parts,
    standard_errors: Complexity | None = None,
) -> Complexity:
    of_parts = {each.name: like(reference, getattr(parts, each.name)) for each in fields(parts)}
    return Complexity(
        complexity=like(reference, complexity), **of_parts, standard_errors=standard_errors
    )
