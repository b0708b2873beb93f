"""Dividing rows and concepts among the ranks."""


def block(total: int, parts: int, index: int) -> range:
    """Return the contiguous block of ``range(total)`` that part `index` of `parts` owns.

    Sizes differ by at most one; the remainder goes to the low parts, so that a part may own nothing.

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
    return [range(start, min(start + size, rows.stop)) for start in range(rows.start, rows.stop, size)]
