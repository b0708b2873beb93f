"""A concept in one sentence, made from its numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vinfo_mpi.pages.site import Layout

HALF = 0.5  # V-information from which on a concept counts as readable
NAMED = 3  # classes at most


def describe(card: Mapping[str, Any], layout: Layout, name: Callable[[int], str]) -> str:
    """Return where and when a concept becomes readable, what it matters for, what is nearest.

    Parameters
    ----------
    card : dict
        Of the concept, as concept.js shows it.
    layout : Layout
    name : function
        Returns what a concept is called.
    """
    if not card["values"]["alive"]:
        return "Dead: no image activates it, or all do alike."
    clauses = [_readable(card, layout)]
    if card.get("classes"):
        clauses.append(_matters(card["classes"], layout.classes))
    if card["nearest"]:
        number, cosine = card["nearest"][0]
        clauses.append(f"nearest: {name(number)} (cosine {cosine:.2f})")
    return "; ".join(clauses) + "."


def lasting(values: Sequence[float]) -> int | None:
    """Return the first place from which on all values are at least `HALF`; None if not the last.

    >>> lasting([0.6, 0.2, 0.5, 0.9]), lasting([0.9, 0.1])
    (2, None)
    """
    low = [place for place, value in enumerate(values) if value < HALF]
    first = low[-1] + 1 if low else 0
    return first if first < len(values) else None


def _readable(card: Mapping[str, Any], layout: Layout) -> str:
    """Return from which tap and epoch on it can be read to half, or how far at most."""
    taps = card["taps"]
    start = lasting(taps)
    if start is None:
        best = max(range(len(taps)), key=taps.__getitem__)
        where = f"at most {taps[best]:.2f}, from {layout.taps[best]}"
        if taps[best] < HALF:
            return f"Not readable to half (V ≥ {HALF}) from any tap: {where}"
        last = max(place for place, value in enumerate(taps) if value >= HALF)
        return f"Readable to half (V ≥ {HALF}) up to {layout.taps[last]}, no longer after: {where}"
    when = lasting(card["epochs"]) if card.get("epochs") else None
    readable = f"Readable to half (V ≥ {HALF}) from {layout.taps[start]}"
    if when is None:
        return f"{readable} on"
    epoch = layout.epochs[when]
    return f"{readable} and epoch {epoch} on" if epoch else f"{readable} on, even untrained"


def _matters(importance: Sequence[tuple[int, float]], classes: Sequence[str]) -> str:
    """Return for which classes it matters at least half as much as for the first."""
    largest = importance[0][1]
    names = [classes[number] for number, value in importance if value >= largest / 2]
    if len(names) == 1:
        return f"matters most for class {names[0]}"
    if len(names) > NAMED:
        return f"matters for classes {', '.join(names[:NAMED])} and others"
    return f"matters for classes {', '.join(names[:-1])} and {names[-1]}"
