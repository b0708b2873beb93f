"""Non-negative least squares of many rows against one dictionary: z = argmin_{z ≥ 0} ||x - z D||².

Alternating directions (ADMM; Boyd et al. 2011, "Distributed Optimization and Statistical Learning via the Alternating
Direction Method of Multipliers", sections 3.4 and 5.2): nothing but matrix products, and steps that the dictionary's
common direction does not shorten, as it does those of projected gradients. With D Dᵀ = B diag(v) Bᵀ, one iteration for
a row with penalty r, and t = x Dᵀ, is

- a = t/r + y - u, and z = a - ((a B) v/(r + v)) Bᵀ, the minimum of the quadratic function,
- y' = max(0, s), u' = s - y', with s = y + RELAXATION (z - y) + u.

Every row has a penalty of its own, and stops on its own: a code depends on its row alone, not on the rows beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

CHECK = 10  # iterations between looks at which rows are done
RELAXATION = 1.7
BALANCED = 60  # iterations during which penalties may change; fixed ones make the method converge
TINY = torch.finfo(torch.float64).tiny


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
    """Atoms prepared for encoding: (K, d), with the eigenvectors and eigenvalues of their Gram matrix."""

    def __init__(self, atoms: torch.Tensor) -> None:
        self.atoms = atoms.double()
        self.basis, singular, _ = torch.linalg.svd(self.atoms, full_matrices=False)  # (K, min(K, d))
        self.values = singular.square()
        significant = self.values[self.values > 1e-10 * self.values[:1]]
        self.penalty = (significant.median() * significant.min()).sqrt() if len(significant) else torch.tensor(1.0)

    def encode(self, x: torch.Tensor, tolerance: float = 1e-4, max_iterations: int = 5000) -> Codes:
        """Return the codes of rows x: (n, d) tensor.

        A row stops when its residual is at most `tolerance`; what is reached after `max_iterations` is returned as
        it is, with its residual.
        """
        target = x.double() @ self.atoms.T  # (n, K)
        scale = target.abs().amax(1).clamp(min=TINY)
        codes, residual = torch.zeros_like(target), torch.zeros_like(scale)
        open_rows = torch.arange(len(x), device=x.device)
        y, u = torch.zeros_like(target), torch.zeros_like(target)
        penalty = torch.full_like(scale, float(self.penalty))[:, None]
        offset, weight = target / penalty, self.values / (penalty + self.values)
        for iteration in range(1, max_iterations + 1):
            a = offset + y
            a -= u
            z = torch.addmm(a, (a @ self.basis).mul_(weight), self.basis.T, alpha=-1)
            before, s = y, torch.lerp(y, z, RELAXATION).add_(u)
            y = s.clamp(min=0)
            u = s.sub_(y)
            if iteration % CHECK and iteration < max_iterations:
                continue
            gradient = ((y @ self.basis) * self.values) @ self.basis.T - target
            violation = torch.minimum(y, gradient).abs().amax(1) / scale
            stay = violation > tolerance
            done = ~stay if iteration < max_iterations else torch.ones_like(stay)
            codes[open_rows[done]], residual[open_rows[done]] = y[done], violation[done]
            if not stay.any():
                break
            if iteration <= BALANCED:  # primal against dual residual (Boyd et al. 2011, section 3.4.1)
                change = ((z - y).norm(dim=1) + TINY) / ((y - before).norm(dim=1) + TINY)
                factor = change.sqrt().clamp(0.3, 3)[:, None]
                penalty, u = penalty * factor, u / factor
            open_rows, scale, target, y, u, penalty = (part[stay] for part in (open_rows, scale, target, y, u, penalty))
            offset, weight = target / penalty, self.values / (penalty + self.values)
        return Codes(codes, residual)


def encode(x: torch.Tensor, atoms: torch.Tensor, tolerance: float = 1e-4, max_iterations: int = 5000) -> Codes:
    """Return the codes of rows x (n, d) against the atoms (K, d). See `Dictionary.encode`."""
    return Dictionary(torch.as_tensor(atoms)).encode(torch.as_tensor(x), tolerance, max_iterations)
