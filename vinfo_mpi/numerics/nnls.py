"""Non-negative least squares of many rows against one dictionary: z = argmin_{z ≥ 0} ||x - z D||².

Alternating directions (ADMM; Boyd et al. 2011, "Distributed Optimization and Statistical Learning via the Alternating
Direction Method of Multipliers", sections 3.4 and 5.2): nothing but matrix products, and steps that the dictionary's
common direction does not shorten, as it does those of projected gradients. With D Dᵀ = B diag(v) Bᵀ, one iteration for
a row with penalty r, and t = x Dᵀ, is

- a = t/r + y - u, and z = a - ((a B) v/(r + v)) Bᵀ, the minimum of the quadratic function,
- y' = max(0, s'), u' = s' - y', with s' = y + RELAXATION (z - y) + u.

One array holds both: y = max(0, s) and u = min(0, s), so that y - u = |s| and y + u = s.

Every row has a penalty of its own, and stops on its own: a code depends on its row alone, not on the rows beside it. A
row that is done makes room for the next one, so that the products stay large and the memory small.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

CHECK = 10  # iterations between looks at which rows are done
# Elements of the codes that are worked on at once, and rows at least: what stays in a processor's cache; all on a GPU.
CACHE, FEWEST = 2**16, 256
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

        A row stops when its residual, looked at every `CHECK` iterations, is at most `tolerance`; what is reached after
        `max_iterations` is returned as it is, with its residual.
        """
        n, concepts = len(x), len(self.atoms)
        codes = torch.zeros(n, concepts, dtype=torch.float64, device=x.device)
        residual = torch.zeros(n, dtype=torch.float64, device=x.device)
        together = n if x.is_cuda else min(n, max(FEWEST, CACHE // concepts))
        open_rows, entered = _Rows(self, x, torch.arange(together, device=x.device)), together
        while len(open_rows.index):
            open_rows.iterate(CHECK)
            violation = open_rows.violation()
            done = (violation <= tolerance) | (open_rows.age >= max_iterations)
            index = open_rows.index[done]
            codes[index], residual[index] = open_rows.y[done], violation[done]
            open_rows.balance()
            following = torch.arange(entered, min(n, entered + len(index)), device=x.device)
            open_rows.replace(done, following)
            entered += len(following)
        return Codes(codes, residual)


class _Rows:
    """Rows on their way to their codes.

    Attributes
    ----------
    index, age : (m,) int64 tensors
        Which rows of x these are, and how many iterations each has seen.
    y : (m, K) float64 tensor
        Codes, as of the last look.
    """

    def __init__(self, dictionary: Dictionary, x: torch.Tensor, index: torch.Tensor) -> None:
        self._dictionary, self._x = dictionary, x
        self.index, self.age = index, torch.zeros_like(index)
        self._target = x[index].double() @ dictionary.atoms.T
        self._s = torch.zeros_like(self._target)
        self._penalty = torch.full_like(self._target[:, :1], float(dictionary.penalty))
        self._offset, self._weight = self._from_penalty(slice(None))
        self.y, self._z = torch.empty(2, *self._target.shape, dtype=torch.float64, device=x.device)
        self._image = torch.empty(len(index), dictionary.basis.shape[1], dtype=torch.float64, device=x.device)

    def iterate(self, count: int) -> None:
        """Go so many iterations on."""
        basis, s, y, z = self._dictionary.basis, self._s, self.y, self._z
        for _ in range(count):
            torch.abs(s, out=z).add_(self._offset)
            torch.mm(z, basis, out=self._image).mul_(self._weight)
            z.addmm_(self._image, basis.T, alpha=-1)
            torch.clamp(s, min=0, out=y)
            s.sub_(y, alpha=RELAXATION).add_(z, alpha=RELAXATION)
        self.age += count

    def violation(self) -> torch.Tensor:
        """Return how far each row is from the optimality conditions, see `Codes`: (m,)."""
        self._before = self.y.clone()
        y, scale = torch.clamp(self._s, min=0, out=self.y), self._target.abs().amax(1).clamp(min=TINY)
        gradient = torch.mm(y, self._dictionary.basis, out=self._image).mul_(self._dictionary.values) @ self._dictionary.basis.T
        return torch.minimum(y, gradient.sub_(self._target), out=gradient).abs_().amax(1) / scale

    def balance(self) -> None:
        """Weigh primal against dual residual, while rows are young (Boyd et al. 2011, section 3.4.1)."""
        young = (self.age <= BALANCED).nonzero()[:, 0]
        if len(young):
            y, z, before = self.y[young], self._z[young], self._before[young]
            change = ((z - y).norm(dim=1) + TINY) / ((y - before).norm(dim=1) + TINY)
            factor = change.sqrt().clamp(0.3, 3)[:, None]
            s = self._s[young]
            self._s[young] = torch.where(s < 0, s / factor, s)
            self._penalty[young] *= factor
            self._offset[young], self._weight[young] = self._from_penalty(young)

    def replace(self, done: torch.Tensor, following: torch.Tensor) -> None:
        """Put the following rows of x in the place of those that are done; where there are no more, close up."""
        places = done.nonzero()[:, 0]
        new = places[: len(following)]
        if len(new):
            self.index[new], self.age[new] = following, 0
            self._target[new] = self._x[following].double() @ self._dictionary.atoms.T
            self._s[new], self._penalty[new] = 0.0, float(self._dictionary.penalty)
            self._offset[new], self._weight[new] = self._from_penalty(new)
        if len(new) < len(places):
            done[new] = False
            for name in ("index", "age", "_target", "_s", "_penalty", "_offset", "_weight"):
                setattr(self, name, getattr(self, name)[~done])
            self.y, self._z, self._image = (part[: len(self.index)] for part in (self.y, self._z, self._image))

    def _from_penalty(self, rows: torch.Tensor | slice) -> tuple[torch.Tensor, torch.Tensor]:
        penalty, values = self._penalty[rows], self._dictionary.values
        return self._target[rows] / penalty, values / (penalty + values)


def encode(x: torch.Tensor, atoms: torch.Tensor, tolerance: float = 1e-4, max_iterations: int = 5000) -> Codes:
    """Return the codes of rows x (n, d) against the atoms (K, d). See `Dictionary.encode`."""
    return Dictionary(torch.as_tensor(atoms)).encode(torch.as_tensor(x), tolerance, max_iterations)
