"""Small non-negative least squares, many at once, by block principal pivoting.

Portugal, Júdice and Vicente 1994, "A comparison of block pivoting and interior-point algorithms for
linear least squares problems with nonnegative variables", *Mathematics of Computation* 63: all
variables that are negative, or whose gradient is, change sides together; where that leads nowhere
for a while, the last one alone, which ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

EXCHANGES = 40
PATIENCE = 3  # exchanges of whole blocks without an improvement
RIDGE = 1e-12  # relative to a variable's square, for variables that are there twice
# Problems that are factorised together. Of more, as a GPU has them, those with as many free
# variables are together: each takes as long as the largest beside it.
TOGETHER = 1024


@dataclass
class Solution:
    """Minimisers of z A zᵀ / 2 - t zᵀ under z ≥ 0, for several A and t.

    Attributes
    ----------
    values : (b, m) tensor
    positive : (b, m) bool tensor
        Which of them are free, not held at 0.
    solved : (b,) bool tensor
        Whether the factorisations went through.
    """

    values: torch.Tensor
    positive: torch.Tensor
    solved: torch.Tensor


def solve(
    products: torch.Tensor, target: torch.Tensor, allowed: torch.Tensor, slack: torch.Tensor
) -> Solution:
    """Return the solution of each problem.

    Parameters
    ----------
    products : (b, m, m) tensor
        A, positive semi-definite.
    target : (b, m) tensor
        t.
    allowed : (b, m) bool tensor
        Variables that may be positive; the search begins with all of them free.
    slack : (b,) tensor
        That gradients of variables at 0 may be below 0.
    """
    count, size = target.shape
    values = torch.zeros_like(target)
    positive = allowed.clone()
    solved = positive.new_ones(count)
    left = torch.arange(count, device=target.device)
    fewest = torch.full_like(left, size + 1)
    patience = torch.full_like(left, PATIENCE)
    for _ in range(EXCHANGES):
        free = positive[left]
        z, gradient, factored = _on_free(products, left, target[left], free)
        wrong_gradient = ~free & allowed[left] & (gradient < -slack[left, None])
        wrong = (free & (z < 0)) | wrong_gradient
        values[left] = torch.where(factored[:, None], z.clamp(min=0), values[left])
        solved[left] = factored

        number = wrong.sum(1)
        patience[left] = torch.where(number < fewest[left], PATIENCE, patience[left] - 1)
        fewest[left] = torch.minimum(fewest[left], number)
        stuck = patience[left] < 0
        exchanged = free ^ torch.where(stuck[:, None], _last(wrong), wrong)
        goes_on = (factored & (number > 0)).nonzero()[:, 0]  # the one wait for a GPU
        left = left[goes_on]
        if not len(left):
            break
        positive[left] = exchanged[goes_on]
    return Solution(values, positive, solved)


def chosen_places(chosen: torch.Tensor, width: int) -> torch.Tensor:
    """Return the places of each row's that are chosen, and others up to a width: (b, width)."""
    return chosen.byte().argsort(dim=1, descending=True, stable=True)[:, :width]


def lines_of(matrices: torch.Tensor, rows: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Return lines of some of the matrices (b, m, m): at `places` (n, s) of `rows`, (n, s, m)."""
    width = matrices.shape[2]
    return matrices.view(-1, width)[(rows * width)[:, None] + places]


def columns_of(lines: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Return the columns of lines (n, s, m) at the same places (n, s): (n, s, s)."""
    return lines.gather(2, places[:, None, :].expand(-1, places.shape[1], -1))


def _on_free(
    products: torch.Tensor, rows: torch.Tensor, target: torch.Tensor, free: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return solutions of least squares on the free variables; their gradients; which are found.

    Of the problems whose products are at these rows; their solutions are 0 elsewhere.
    """
    if len(rows) > TOGETHER:
        return _in_parts(products, rows, target, free)
    a = products if len(rows) == len(products) else products[rows]
    z, factored = _least_squares(a, target, free)
    return z, (a @ z[:, :, None])[:, :, 0] - target, factored


def _in_parts(
    products: torch.Tensor, rows: torch.Tensor, target: torch.Tensor, free: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the same, found in parts that are as wide as the most free variables of a row."""
    z = torch.zeros_like(target)
    gradient = torch.empty_like(target)
    factored = torch.empty_like(free[:, 0])
    numbers, order = free.sum(1).sort()
    widths = torch.stack([part[-1] for part in numbers.split(TOGETHER)]).tolist()
    for part, width in zip(order.split(TOGETHER), widths, strict=True):
        places = chosen_places(free[part], width)
        lines = lines_of(products, rows[part], places)
        t = target[part]
        values, factored[part] = _least_squares(
            columns_of(lines, places), t.gather(1, places), free[part].gather(1, places)
        )
        z[part] = torch.zeros_like(t).scatter_(1, places, values)
        gradient[part] = (values[:, None, :] @ lines)[:, 0] - t
    return z, gradient, factored


def _least_squares(
    products: torch.Tensor, target: torch.Tensor, free: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the least squares solution of the free variables, 0 elsewhere; and which are found."""
    a = products * (free[:, :, None] & free[:, None, :])
    own = products.diagonal(dim1=1, dim2=2)
    a.diagonal(dim1=1, dim2=2).add_(torch.where(free, RIDGE * own, 1.0))
    factor, failed = torch.linalg.cholesky_ex(a)
    z = torch.cholesky_solve((target * free)[:, :, None], factor)[:, :, 0]
    return z, failed == 0


def _last(chosen: torch.Tensor) -> torch.Tensor:
    """Return the last place of each row's that is chosen, alone."""
    numbers = torch.arange(1, chosen.shape[1] + 1, device=chosen.device) * chosen
    return chosen & (numbers == numbers.amax(1, keepdim=True))
