"""Dividing rows and concepts among the ranks, and work into what fits the memory."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def block(total: int, parts: int, index: int) -> range:
    """Return the contiguous block of ``range(total)`` that part `index` of `parts` owns.

    Sizes differ by at most one; the remainder goes to the low parts, so that a part may own
    nothing.

    >>> [block(5, 3, i) for i in range(3)]
    [range(0, 2), range(2, 4), range(4, 5)]
    """
    size, rest = divmod(total, parts)
    start = index * size + min(index, rest)
    return range(start, start + size + (index < rest))


def sizes(total: int, parts: int) -> list[int]:
    """Return the size of every part's block."""
    return [len(block(total, parts, index)) for index in range(parts)]


def batches(rows: range, size: int) -> list[range]:
    """Cut a block of rows into consecutive batches of at most `size` rows.

    >>> batches(range(3, 8), 2)
    [range(3, 5), range(5, 7), range(7, 8)]
    """
    return [
        range(start, min(start + size, rows.stop)) for start in range(rows.start, rows.stop, size)
    ]


def in_turn(total: int, size: int, parts: int, index: int) -> list[range]:
    """Return the batches of ``range(total)`` of part `index`, where the parts take them in turn.

    All batches together are the same whatever the number of parts.

    >>> in_turn(7, 2, 2, 0), in_turn(7, 2, 2, 1)
    ([range(0, 2), range(4, 6)], [range(2, 4), range(6, 7)])
    """
    return batches(range(total), size)[index::parts]


def evenly(items: Sequence[T], at_most: int) -> list[Sequence[T]]:
    """Cut items into as few consecutive groups of at most so many as there can be, as even as can.

    >>> evenly("abcde", 3), evenly("", 3)
    (['abc', 'de'], [])
    """
    parts = -(-len(items) // at_most)
    blocks = [block(len(items), parts, index) for index in range(parts)]
    return [items[rows.start : rows.stop] for rows in blocks]


def fitting(sizes: Sequence[int], room: int) -> list[range]:
    """Cut items of these sizes into consecutive groups of at most `room` together.

    An item alone may be larger.

    >>> fitting([3, 3, 9, 1, 1], 6)
    [range(0, 2), range(2, 3), range(3, 5)]
    """
    groups: list[range] = []
    held = 0
    for index, size in enumerate(sizes):
        held += size
        if not groups or held > room:
            groups.append(range(index, index))
            held = size
        groups[-1] = range(groups[-1].start, index + 1)
    return groups
