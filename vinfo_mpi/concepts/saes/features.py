"""The features of a sparse autoencoder, from a file or from the user's own function."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch

from vinfo_mpi.data.targets import call_target
from vinfo_mpi.errors import InputError
from vinfo_mpi.numerics.autoencoder import Encoder

AGREEMENT = 1e-3  # of a decoder with a linear one, relative to what it gives
CHECKED = 8  # codes that this is tried with
COLUMNS = 256  # atoms that are asked of a decoder at once


class Features(Protocol):
    """F features of vectors."""

    def codes(self, x: torch.Tensor) -> torch.Tensor:
        """Return the codes: (n, d) to (n, F) float64."""

    def before(self, x: torch.Tensor) -> torch.Tensor:
        """Return what rises with the codes, where it can be, also where they are 0: (n, F)."""


class FromFile:
    """The features of an encoder that is known."""

    def __init__(self, encoder: Encoder) -> None:
        self.codes = encoder.__call__
        self.before = encoder.before


class FromFunction:
    """The features of an object with ``encode``, and perhaps ``decode`` or atoms.

    Parameters
    ----------
    target : str
        ``package.module:function``, which returns it.
    channels : int
        Numbers d of a vector.
    device : torch.device

    Attributes
    ----------
    count : int
        How many features it has.

    Raises
    ------
    InputError
        If it does not encode vectors.
    """

    def __init__(self, target: str, channels: int, device: torch.device) -> None:
        self.where = f"dictionary.sae: {target}"
        self.model: Any = call_target(target, "dictionary.sae")
        self.channels = channels
        self.dtype = torch.float32
        if isinstance(self.model, torch.nn.Module):
            self.model = self.model.eval().requires_grad_(False).to(device)
            weights = [each for each in self.model.parameters() if each.is_floating_point()]
            self.dtype = weights[0].dtype if weights else self.dtype
        if not callable(getattr(self.model, "encode", None)):
            raise InputError(
                f"{self.where} returns a {type(self.model).__name__} without a method encode; "
                "return an object with encode(x): (n, d) to codes (n, K)"
            )
        self.count = 0
        self.count = self.codes(torch.zeros(2, channels, device=device)).shape[1]

    def codes(self, x: torch.Tensor) -> torch.Tensor:
        """Return the codes, checked. See `Features`."""
        codes = self._called("encode", x)
        if codes.ndim != 2 or len(codes) != len(x) or self.count not in (0, codes.shape[1]):
            expected = f"({len(x)}, {self.count or 'K'})"
            raise InputError(
                f"{self.where}: encode returns shape {tuple(codes.shape)} for vectors of shape "
                f"{tuple(x.shape)}; expected {expected}"
            )
        if not torch.isfinite(codes).all():
            raise InputError(f"{self.where}: encode returns NaN or infinity; check its weights")
        return codes

    def before(self, x: torch.Tensor) -> torch.Tensor:
        """Return the codes: nothing else is known. See `Features`."""
        codes = self.codes(x)
        if x.requires_grad and not codes.requires_grad:
            raise InputError(f"{self.where}: encode gives no gradient; do not detach its codes")
        return codes

    def decoder(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Return atoms (F, d) and offset (d,): of its decode, or its atoms; None: it has neither.

        Raises
        ------
        InputError
            If they have another shape, or decode is not linear.
        """
        if callable(getattr(self.model, "decode", None)):
            return self._of_decode(device)
        for name in ("get_dictionary", "atoms", "W_dec"):
            atoms = getattr(self.model, name, None)
            if atoms is not None:
                tensor = _tensor(atoms() if callable(atoms) else atoms).to(device)
                self._check_shape(tensor, (self.count, self.channels), f"its {name}")
                return tensor, tensor.new_zeros(self.channels)
        return None

    def _of_decode(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the linear map that decode is."""
        offset = self._called("decode", torch.zeros(1, self.count, device=device))
        self._check_shape(offset, (1, self.channels), "decode of one vector of codes")
        identity = torch.eye(self.count, device=device)
        atoms = torch.cat([self._called("decode", part) for part in identity.split(COLUMNS)])
        atoms = atoms - offset
        some = torch.rand(CHECKED, self.count, generator=torch.Generator().manual_seed(0))
        some = some.double().to(device)
        given = self._called("decode", some)
        difference = (given - offset - some @ atoms).abs().max()
        if not difference <= AGREEMENT * given.abs().max():
            raise InputError(
                f"{self.where}: decode is not linear, so it has no atoms; leave it out, and "
                "the linear decoder that fits best is taken"
            )
        return atoms, offset[0]

    def _called(self, method: str, x: torch.Tensor) -> torch.Tensor:
        """Return what a method gives, the last of several things, in float64."""
        given = getattr(self.model, method)(x.to(self.dtype))
        return _tensor(given[-1] if isinstance(given, tuple) else given).to(x.device)

    def _check_shape(self, tensor: torch.Tensor, expected: tuple[int, int], what: str) -> None:
        if tuple(tensor.shape) != expected:
            raise InputError(
                f"{self.where}: {what} has shape {tuple(tensor.shape)}; expected {expected}"
            )


def _tensor(values: Any) -> torch.Tensor:
    tensor = torch.from_numpy(values) if isinstance(values, np.ndarray) else values
    return (tensor.to_dense() if tensor.layout != torch.strided else tensor).double()
