"""Non-negative least squares of many rows against one dictionary: z = argmin_{z ≥ 0} ||x - z D||².

Accelerated projected gradient (Beck & Teboulle 2009, FISTA) with adaptive restart (O'Donoghue & Candès 2015), row by
row: each row restarts and stops on its own, so that a code depends on its row alone, not on the rows beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

CHECK = 10  # iterations between looks at which rows are done


@dataclass
class Codes:
    """Codes and how well they satisfy the optimality conditions.

    Attributes
    ----------
    codes : (n, K) float64 tensor
    residual : (n,) float64 tensor
        max|min(z, gradient)| / max|x Dᵀ|: 0 at the optimum (the Karush-Kuhn-Tucker conditions).
    """

    codes: torch.Tensor
    residual: torch.Tensor


class Dictionary:
    """Atoms prepared for encoding: (K, d), with their largest squared singular value."""

    def __init__(self, atoms: torch.Tensor) -> None:
        self.atoms = atoms.double()
        k, d = atoms.shape
        smaller = self.atoms @ self.atoms.T if k <= d else self.atoms.T @ self.atoms
        self.curvature = torch.linalg.eigvalsh(smaller)[-1].clamp(min=torch.finfo(torch.float64).tiny)
        self._gram = self.atoms @ self.atoms.T if k <= 2 * d else None

    def gram_product(self, codes: torch.Tensor) -> torch.Tensor:
        """Return codes times D Dᵀ, (n, K), by whichever way takes fewer operations."""
        return codes @ self.atoms @ self.atoms.T if self._gram is None else codes @ self._gram

    def encode(self, x: torch.Tensor, tolerance: float = 1e-4, max_iterations: int = 5000) -> Codes:
        """Return the codes of rows x: (n, d) tensor.

        A row stops when its residual is at most `tolerance`; what is reached after `max_iterations` is returned as
        it is, with its residual.
        """
        target = x.double() @ self.atoms.T  # (n, K)
        scale = target.abs().amax(1).clamp(min=torch.finfo(torch.float64).tiny)
        codes = torch.zeros_like(target)
        residual = torch.zeros_like(scale)
        active = torch.arange(len(x), device=x.device)
        z, point, momentum = codes.clone(), codes.clone(), torch.ones_like(scale)
        zg, pg = codes.clone(), codes.clone()  # z and point times the Gram matrix
        for iteration in range(1, max_iterations + 1):
            new = (point - (pg - target) / self.curvature).clamp_(min=0)
            new_g = self.gram_product(new)
            step = new - z
            restart = ((point - new) * step).sum(1) > 0
            following = (1 + (1 + 4 * momentum.square()).sqrt()) / 2
            factor = torch.where(restart, 0.0, (momentum - 1) / following)[:, None]
            momentum = torch.where(restart, 1.0, following)
            point, pg = torch.addcmul(new, factor, step), torch.addcmul(new_g, factor, new_g - zg)
            z, zg = new, new_g
            if iteration % CHECK == 0 or iteration == max_iterations:
                violation = torch.minimum(z, zg - target).abs().amax(1) / scale
                open_rows = violation > tolerance
                stop = ~open_rows if iteration < max_iterations else torch.ones_like(open_rows)
                codes[active[stop]], residual[active[stop]] = z[stop], violation[stop]
                if not open_rows.any():
                    break
                active, scale, momentum = active[open_rows], scale[open_rows], momentum[open_rows]
                target, z, zg, point, pg = (part[open_rows] for part in (target, z, zg, point, pg))
        return Codes(codes, residual)


def encode(x: torch.Tensor, atoms: torch.Tensor, tolerance: float = 1e-4, max_iterations: int = 5000) -> Codes:
    """Return the codes of rows x (n, d) against the atoms (K, d). See `Dictionary.encode`."""
    return Dictionary(torch.as_tensor(atoms)).encode(torch.as_tensor(x), tolerance, max_iterations)
