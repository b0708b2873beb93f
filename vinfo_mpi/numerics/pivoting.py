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
    solved = torch.ones(count, dtype=torch.bool)
    fewest = torch.full((count,), size + 1)
    patience = torch.full((count,), PATIENCE)
    left = torch.arange(count)
    for _ in range(EXCHANGES):
        a = products if len(left) == count else products[left]
        free = positive[left]
        z, factored = _on_free(a, target[left], free)
        gradient = (a @ z[:, :, None])[:, :, 0] - target[left]
        wrong_gradient = ~free & allowed[left] & (gradient < -slack[left, None])
        wrong = (free & (z < 0)) | wrong_gradient
        values[left[factored]] = z[factored].clamp(min=0)
        solved[left] = factored

        number = wrong.sum(1)
        patience[left] = torch.where(number < fewest[left], PATIENCE, patience[left] - 1)
        fewest[left] = torch.minimum(fewest[left], number)
        stuck = patience[left] < 0
        exchanged = free ^ torch.where(stuck[:, None], _last(wrong), wrong)
        goes_on = factored & (number > 0)
        left = left[goes_on]
        if not len(left):
            break
        positive[left] = exchanged[goes_on]
    return Solution(values, positive, solved)


def _on_free(
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
    numbers = torch.arange(1, chosen.shape[1] + 1) * chosen
    return chosen & (numbers == numbers.amax(1, keepdim=True))
