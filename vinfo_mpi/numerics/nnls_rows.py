"""Rows on their way to non-negative codes: what `nnls.Dictionary.encode` does with them.

Alternating directions (ADMM; Boyd et al. 2011, "Distributed Optimization and Statistical Learning
via the Alternating Direction Method of Multipliers", sections 3.4 and 5.2): nothing but matrix
products, and steps that the dictionary's common direction does not shorten, as it does those of
projected gradients. With D Dᵀ = B diag(v) Bᵀ, one iteration for a row with penalty r, and t = x Dᵀ,
is

- a = y - u, and z = a + ((t B - (a B) v)/(r + v)) Bᵀ, the minimum of the quadratic function: t has
  no other part than t B Bᵀ, and what is large, t/r, is never formed, which float32 would not bear,
- y' = max(0, s'), u' = s' - y', with s' = y + RELAXATION (z - y) + u.

One array holds both: y = max(0, s) and u = min(0, s), so that y - u = |s| and y + u = s.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

RELAXATION = 1.7
BALANCED = 60  # iterations during which penalties may change; fixed ones make the method converge
TINY = torch.finfo(torch.float32).tiny

Rows = torch.Tensor | slice  # numbers of rows


@dataclass(frozen=True)
class Factors:
    """A dictionary as the iterations need it.

    Attributes
    ----------
    atoms : (K, d) tensor
    basis : (K, min(K, d)) tensor
        Eigenvectors of D Dᵀ.
    values : (min(K, d),) tensor
        Its eigenvalues, the largest first.
    turned : (d, min(K, d)) tensor
        Dᵀ B, so that t B = x Dᵀ B.
    penalty : float
        That a row begins with.
    """

    atoms: torch.Tensor
    basis: torch.Tensor
    values: torch.Tensor
    turned: torch.Tensor
    penalty: float

    def in_float32(self) -> Factors:
        """Return them in float32."""
        return Factors(
            self.atoms.float(),
            self.basis.float(),
            self.values.float(),
            self.turned.float(),
            self.penalty,
        )


class OpenRows:
    """Rows on their way to their codes.

    Attributes
    ----------
    index, age : (m,) int64 tensors
        Which rows of x these are, and how many iterations each has gone through; on the processor.
    y : (m, K) tensor
        Codes, as of the last look.
    """

    def __init__(
        self, factors: Factors, x: torch.Tensor, count: int, start: torch.Tensor | None
    ) -> None:
        self._factors = factors
        self._x = x
        self._start = start
        self.index = torch.arange(count)
        self.age = torch.zeros_like(self.index)
        atoms = factors.atoms
        self._s, self.y, self._z = atoms.new_empty(3, count, len(atoms))
        self._scale = atoms.new_empty(count)
        self._penalty = atoms.new_empty(count, 1)
        # t B, what becomes of it in an iteration, the weight of a B there, and a B itself.
        self._projected, self._offset, self._weight, self._image = atoms.new_empty(
            4, count, len(factors.values)
        )
        self._enter(slice(None), slice(count))

    def iterate(self, count: int) -> None:
        """Go so many iterations on."""
        basis = self._factors.basis
        s = self._s
        y = self.y
        z = self._z
        image = self._image
        for _ in range(count):
            torch.abs(s, out=z)
            torch.mm(z, basis, out=image)
            torch.addcmul(self._offset, image, self._weight, value=-1, out=image)
            z.addmm_(image, basis.T)
            torch.clamp(s, min=0, out=y)
            s.sub_(y, alpha=RELAXATION).add_(z, alpha=RELAXATION)
        self.age += count

    def violation(self) -> torch.Tensor:
        """Return how far each row is from the optimality conditions, see `Codes`: (m,)."""
        self._before = self.y.clone()
        y = torch.clamp(self._s, min=0, out=self.y)
        basis = self._factors.basis
        image = torch.mm(y, basis, out=self._image).mul_(self._factors.values)
        return violation_of(y, image.sub_(self._projected) @ basis.T, self._scale)

    def balance(self) -> None:
        """Weigh primal against dual residual in young rows (Boyd et al. 2011, section 3.4.1)."""
        places = (self.age <= BALANCED).nonzero()[:, 0]
        if not len(places):
            return
        young = at(places, self._x)
        y = self.y[young]
        primal = (self._z[young] - y).norm(dim=1) + TINY
        dual = (y - self._before[young]).norm(dim=1) + TINY
        factor = (primal / dual).sqrt().clamp(0.3, 3)[:, None]
        s = self._s[young]
        self._s[young] = torch.where(s < 0, s / factor, s)
        self._penalty[young] *= factor
        self._offset[young], self._weight[young] = self._from_penalty(young)

    def replace(self, places: torch.Tensor, following: torch.Tensor) -> None:
        """Put the following rows of x into these places; close up those that are left over."""
        if len(following):
            new = places[: len(following)]
            self.index[new] = following
            self.age[new] = 0
            self._enter(at(new, self._x), at(following, self._x))
        if len(following) < len(places):
            stays = torch.ones(len(self.index), dtype=torch.bool)
            stays[places[len(following) :]] = False
            kept = stays.nonzero()[:, 0]
            self.index = self.index[kept]
            self.age = self.age[kept]
            there = at(kept, self._x)
            for name in ("_s", "_scale", "_penalty", "_projected", "_offset", "_weight"):
                setattr(self, name, getattr(self, name)[there])
            for name in ("y", "_z", "_image"):
                setattr(self, name, getattr(self, name)[: len(kept)])

    def _enter(self, places: Rows, rows: Rows) -> None:
        """Begin with rows of x in these places."""
        atoms = self._factors.atoms
        x = self._x[rows].to(atoms.dtype)
        target = x @ atoms.T
        self._scale[places] = scale_of(target)
        self._projected[places] = x @ self._factors.turned
        self._penalty[places] = self._factors.penalty
        self._offset[places], self._weight[places] = self._from_penalty(places)
        self._s[places] = 0.0
        if self._start is not None:  # y, and the u at which it would stay
            y = self._start[rows].to(atoms.dtype)
            gradient = (y @ atoms) @ atoms.T - target
            u = gradient.clamp(min=0) / self._factors.penalty
            self._s[places] = torch.where(y > 0, y, -u)

    def _from_penalty(self, rows: Rows) -> tuple[torch.Tensor, torch.Tensor]:
        values = self._factors.values
        inverse = 1 / (self._penalty[rows] + values)
        return self._projected[rows] * inverse, values * inverse


def scale_of(target: torch.Tensor) -> torch.Tensor:
    """Return max|x Dᵀ| of rows: (n,)."""
    return target.abs().amax(1).clamp(min=TINY)


def violation_of(codes: torch.Tensor, gradient: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Return max|min(z, gradient)| / max|x Dᵀ| of rows: (n,); `gradient` is overwritten."""
    return torch.minimum(codes, gradient, out=gradient).abs_().amax(1) / scale


def at(numbers: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Return numbers of rows where x is, without waiting."""
    return numbers.to(x.device, non_blocking=True)


def free_on(device: torch.device) -> int:
    """Return the bytes that are free on a GPU, those that torch keeps for later among them."""
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
