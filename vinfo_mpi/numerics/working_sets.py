"""Non-negative least squares by working sets, where few atoms of many carry a row.

A row begins with no atom. Those that violate the optimality conditions most join its working set;
least squares on the working set alone is solved by block pivoting (`vinfo_mpi.numerics.pivoting`);
atoms without a code leave it. Only then are all atoms looked at again, by one product. A row needs
some ten looks, where alternating directions (`vinfo_mpi.numerics.nnls_rows`) need some 300.
"""

from __future__ import annotations

import torch
from torch.nn.functional import embedding_bag

from vinfo_mpi.numerics import pivoting
from vinfo_mpi.numerics.nnls_rows import free_on, scale_of, violation_of

ROWS = 64  # worked on at once on a CPU
# On a GPU rows at least and at most, and the share of its free memory that they may take: what a
# step takes there beside its arithmetic is the same for any number of rows.
FEWEST = 2**8
MOST = 2**14
FREE = 0.6
# Numbers that are held: of a row for each atom; of a row for each product of its set, while it is
# made; of a problem that is factorised for each of its products.
OF_ATOMS = 7
OF_PRODUCTS = 2.5
OF_FACTORS = 5
FIRST = 32  # atoms of the first working set
JOIN = 16  # atoms that join at each look, at most; or
SHARE = 0.25  # ... so many of those that carry the row, if that is more
LOOKS = 100
# Atoms that carry a row at most, cubed, as a share of the numbers of the dictionary: with more of
# them, factorising their products takes as long as alternating directions do. A row whose residual
# is still above FAR with half of them will need more.
DENSE = 4.0
FAR = 5e-3
INNER = 0.5  # of the tolerance: violations that may stay within a working set


def solve(
    x: torch.Tensor,
    atoms: torch.Tensor,
    products: torch.Tensor,
    tolerance: float,
    together: int | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the codes of rows, and how far they are from the optimality conditions.

    Parameters
    ----------
    x : (n, d) float64 tensor
    atoms : (K, d) float64 tensor
    products : (K, K) float64 tensor
        D Dᵀ.
    tolerance : float
        That the residual, see `nnls.Codes`, is to be at most.
    together : int, or None
        Rows that are worked on at once; None: see `rows_at_once`.

    Returns
    -------
    codes : (n, K) float64 tensor
    residual : (n,) float64 tensor
        Above the tolerance for a row that was given up: too many atoms carry it, the atoms of its
        working set are dependent, or it took `LOOKS` looks.
    """
    codes = x.new_zeros(len(x), len(atoms))
    residual = x.new_full((len(x),), torch.inf)
    together = together or rows_at_once(atoms)
    for start in range(0, len(x), together):
        rows = slice(start, start + together)
        _solve_together(x[rows], atoms, products, tolerance, codes[rows], residual[rows])
    return codes, residual


def most_that_carry(concepts: int, channels: int) -> int:
    """Return with how many atoms a row is given up."""
    return int((DENSE * concepts * channels) ** (1 / 3))


def widest(concepts: int, channels: int) -> int:
    """Return how many atoms a working set has at most."""
    most = min(concepts, most_that_carry(concepts, channels))
    return most + max(FIRST, JOIN, int(SHARE * most))


def memory(rows: int, concepts: int, channels: int) -> float:
    """Return the bytes that so many rows take on a GPU while their sets are the largest."""
    products = widest(concepts, channels) ** 2
    of_row = OF_ATOMS * concepts + OF_PRODUCTS * products
    return 8.0 * (rows * of_row + min(rows, pivoting.TOGETHER) * OF_FACTORS * products)


def rows_within(room: float, concepts: int, channels: int) -> int:
    """Return how many rows a GPU works on at once in so many bytes: a power of two."""
    rows = MOST
    while rows > FEWEST and memory(rows, concepts, channels) > room:
        rows //= 2
    return rows


def rows_at_once(atoms: torch.Tensor, room: float | None = None) -> int:
    """Return how many rows suit the device of the atoms; `room`: bytes of a GPU, None: the free."""
    if not atoms.is_cuda:
        return ROWS
    free = free_on(atoms.device)
    return rows_within(FREE * (free if room is None else min(free, room)), *atoms.shape)


def _solve_together(
    x: torch.Tensor,
    atoms: torch.Tensor,
    products: torch.Tensor,
    tolerance: float,
    codes: torch.Tensor,
    residual: torch.Tensor,
) -> None:
    """Write codes and residual of a few rows."""
    target = x @ atoms.T
    scale = scale_of(target)
    open_rows = torch.arange(len(x), device=x.device)
    most = most_that_carry(*atoms.shape)
    sets = WorkingSets(len(x), products)
    descent = target
    for _ in range(LOOKS):
        sets.join(descent)
        t = target[open_rows]
        values, solved = sets.restricted(t, INNER * tolerance)
        rebuilt = embedding_bag(sets.members, atoms, per_sample_weights=values, mode="sum")
        descent = (x[open_rows] - rebuilt) @ atoms.T
        reached = sets.spread(values)
        left = violation_of(reached, -descent, scale[open_rows])
        codes[open_rows] = reached
        residual[open_rows] = left
        limit = torch.where(left > FAR, most / 2, most)
        goes_on = solved & (left > tolerance) & (sets.carries.sum(1) <= limit)
        kept = goes_on.nonzero()[:, 0]
        if not len(kept):
            return
        open_rows = open_rows[kept]
        descent = descent[kept]
        sets.keep(kept)
        sets.hide_carrying(descent)


class WorkingSets:
    """Atoms that may carry each row, and their products with each other.

    Rows have as many places as the largest of their sets.

    Attributes
    ----------
    members : (b, m) int64 tensor
        Numbers of the atoms.
    carries : (b, m) bool tensor
        Which of them carry the row.
    """

    def __init__(self, rows: int, products: torch.Tensor) -> None:
        self._all_products = products
        self.members = products.new_empty(rows, 0, dtype=torch.int64)
        self.carries = products.new_empty(rows, 0, dtype=torch.bool)
        self._products = products.new_empty(rows, 0, 0)

    def join(self, descent: torch.Tensor) -> None:
        """Take in the atoms along which the error falls most: those of largest descent (b, K).

        How many they are depends on the row alone.
        """
        size = self.carries.sum(1)
        most = torch.where(size == 0, FIRST, (SHARE * size).long().clamp(min=JOIN))
        steepest = descent.topk(min(int(most.max()), descent.shape[1]), dim=1)
        number = torch.arange(steepest.values.shape[1], device=most.device)
        joins = (number < most[:, None]) & (steepest.values > 0)
        before = self.members.shape[1]
        self.members = torch.cat([self.members, steepest.indices], 1)
        self.carries = torch.cat([self.carries, joins], 1)
        self._products = self._extended(steepest.indices, before)

    def restricted(
        self, target: torch.Tensor, tolerance: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return codes (b, m) within the working sets, and which rows have them.

        `target`: x Dᵀ, (b, K). `tolerance`: of their residual.
        """
        slack = tolerance * target.amax(1)
        solution = pivoting.solve(
            self._products, target.gather(1, self.members), self.carries, slack
        )
        self.carries = solution.positive
        return solution.values, solution.solved

    def spread(self, values: torch.Tensor) -> torch.Tensor:
        """Return codes (b, K) of all atoms from those of the working sets."""
        codes = values.new_zeros(len(values), len(self._all_products))
        return codes.scatter_add_(1, self.members, values)

    def keep(self, rows: torch.Tensor) -> None:
        """Go on with these rows, and with the atoms that carry them."""
        carries = self.carries[rows]
        size = int(carries.sum(1).max())
        places = pivoting.chosen_places(carries, size)
        self.carries = carries.gather(1, places)
        self.members = self.members[rows].gather(1, places)
        lines = pivoting.lines_of(self._products, rows, places)
        self._products = pivoting.columns_of(lines, places)

    def hide_carrying(self, descent: torch.Tensor) -> None:
        """Set the descent (b, K) along atoms that carry their row to 0, that they join once."""
        rows, places = self.carries.nonzero(as_tuple=True)
        descent[rows, self.members[rows, places]] = 0.0

    def _extended(self, joining: torch.Tensor, before: int) -> torch.Tensor:
        """Return the products of the atoms, of which those from place `before` on are new."""
        rows, count = self.members.shape
        concepts = len(self._all_products)
        places = joining[:, :, None] * concepts + self.members[:, None, :]
        new = self._all_products.view(-1)[places]
        products = new.new_empty(rows, count, count)
        products[:, :before, :before] = self._products
        products[:, before:] = new
        products[:, :before, before:] = new[:, :, :before].mT
        return products
