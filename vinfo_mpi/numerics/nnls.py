"""Non-negative least squares of many rows against one dictionary: z = argmin_{z ≥ 0} ||x - z D||².

Alternating directions (ADMM; Boyd et al. 2011, "Distributed Optimization and Statistical Learning
via the Alternating Direction Method of Multipliers", sections 3.4 and 5.2): nothing but matrix
products, and steps that the dictionary's common direction does not shorten, as it does those of
projected gradients. With D Dᵀ = B diag(v) Bᵀ, one iteration for a row with penalty r, and t = x Dᵀ,
is

- a = t/r + y - u, and z = a - ((a B) v/(r + v)) Bᵀ, the minimum of the quadratic function,
- y' = max(0, s'), u' = s' - y', with s' = y + RELAXATION (z - y) + u.

One array holds both: y = max(0, s) and u = min(0, s), so that y - u = |s| and y + u = s.

Every row has a penalty of its own, and stops on its own: a code depends on its row alone, not on
the rows beside it. A row that is done makes room for the next one, so that the products stay large
and the memory small.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

CHECK = 10  # iterations between looks at which rows are done
# Elements of the codes that are worked on at once, and rows at least: what stays in a processor's
# cache; all on a GPU.
CACHE = 2**16
FEWEST = 256
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
    """Atoms prepared for encoding: with the eigenvectors and eigenvalues of their Gram matrix.

    Parameters
    ----------
    atoms : (K, d) tensor
    """

    def __init__(self, atoms: torch.Tensor) -> None:
        self.atoms = atoms.double()
        # The basis: (K, min(K, d)).
        self.basis, singular, _ = torch.linalg.svd(self.atoms, full_matrices=False)
        self.values = singular.square()
        significant = self.values[self.values > 1e-10 * self.values[:1]]
        self.penalty = torch.tensor(1.0)
        if len(significant):
            self.penalty = (significant.median() * significant.min()).sqrt()

    def encode(self, x: torch.Tensor, tolerance: float = 1e-4, max_iterations: int = 5000) -> Codes:
        """Return the codes of rows x: (n, d) tensor.

        A row stops when its residual, looked at every `CHECK` iterations, is at most `tolerance`;
        what is reached after `max_iterations` is returned as it is, with its residual.
        """
        n = len(x)
        concepts = len(self.atoms)
        codes = torch.zeros(n, concepts, dtype=torch.float64, device=x.device)
        residual = torch.zeros(n, dtype=torch.float64, device=x.device)
        entered = n if x.is_cuda else min(n, max(FEWEST, CACHE // concepts))
        open_rows = _Rows(self, x, torch.arange(entered, device=x.device))
        while len(open_rows.index):
            open_rows.iterate(CHECK)
            violation = open_rows.violation()
            done = (violation <= tolerance) | (open_rows.age >= max_iterations)
            index = open_rows.index[done]
            codes[index] = open_rows.y[done]
            residual[index] = violation[done]
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
        Which rows of x these are, and how many iterations each has gone through.
    y : (m, K) float64 tensor
        Codes, as of the last look.
    """

    def __init__(self, dictionary: Dictionary, x: torch.Tensor, index: torch.Tensor) -> None:
        self._dictionary = dictionary
        self._x = x
        self.index = index
        self.age = torch.zeros_like(index)
        self._target = x[index].double() @ dictionary.atoms.T
        self._s = torch.zeros_like(self._target)
        self._penalty = torch.full_like(self._target[:, :1], float(dictionary.penalty))
        self._offset, self._weight = self._from_penalty(slice(None))
        self.y, self._z = torch.empty(2, *self._target.shape, dtype=torch.float64, device=x.device)
        rank = dictionary.basis.shape[1]
        self._image = torch.empty(len(index), rank, dtype=torch.float64, device=x.device)

    def iterate(self, count: int) -> None:
        """Go so many iterations on."""
        basis = self._dictionary.basis
        s = self._s
        y = self.y
        z = self._z
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
        y = torch.clamp(self._s, min=0, out=self.y)
        scale = self._target.abs().amax(1).clamp(min=TINY)
        basis = self._dictionary.basis
        image = torch.mm(y, basis, out=self._image).mul_(self._dictionary.values)
        gradient = image @ basis.T
        return torch.minimum(y, gradient.sub_(self._target), out=gradient).abs_().amax(1) / scale

    def balance(self) -> None:
        """Weigh primal against dual residual in young rows (Boyd et al. 2011, section 3.4.1)."""
        young = (self.age <= BALANCED).nonzero()[:, 0]
        if not len(young):
            return
        y = self.y[young]
        primal = (self._z[young] - y).norm(dim=1) + TINY
        dual = (y - self._before[young]).norm(dim=1) + TINY
        factor = (primal / dual).sqrt().clamp(0.3, 3)[:, None]
        s = self._s[young]
        self._s[young] = torch.where(s < 0, s / factor, s)
        self._penalty[young] *= factor
        self._offset[young], self._weight[young] = self._from_penalty(young)

    def replace(self, done: torch.Tensor, following: torch.Tensor) -> None:
        """Put the following rows of x in the place of those that are done; close up at the end."""
        places = done.nonzero()[:, 0]
        new = places[: len(following)]
        if len(new):
            self.index[new] = following
            self.age[new] = 0
            self._target[new] = self._x[following].double() @ self._dictionary.atoms.T
            self._s[new] = 0.0
            self._penalty[new] = float(self._dictionary.penalty)
            self._offset[new], self._weight[new] = self._from_penalty(new)
        if len(new) < len(places):
            done[new] = False
            for name in ("index", "age", "_target", "_s", "_penalty", "_offset", "_weight"):
                setattr(self, name, getattr(self, name)[~done])
            for name in ("y", "_z", "_image"):
                setattr(self, name, getattr(self, name)[: len(self.index)])

    def _from_penalty(self, rows: torch.Tensor | slice) -> tuple[torch.Tensor, torch.Tensor]:
        penalty = self._penalty[rows]
        values = self._dictionary.values
        return self._target[rows] / penalty, values / (penalty + values)


def encode(
    x: torch.Tensor, atoms: torch.Tensor, tolerance: float = 1e-4, max_iterations: int = 5000
) -> Codes:
    """Return the codes of rows x (n, d) against the atoms (K, d). See `Dictionary.encode`."""
    return Dictionary(torch.as_tensor(atoms)).encode(torch.as_tensor(x), tolerance, max_iterations)
