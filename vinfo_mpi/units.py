"""Numbers of things, bytes and seconds as people read them."""


def counted(count: int, thing: str) -> str:
    """Return a number of things, of one thing in the singular.

    >>> counted(1, "rank"), counted(1_281_167, "image")
    ('1 rank', '1,281,167 images')
    """
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


def size(count: float) -> str:
    """Return a number of bytes with its unit.

    >>> size(512), size(1536)
    ('512.0 B', '1.5 KiB')
    """
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def duration(seconds: float) -> str:
    """Return a time with its unit.

    >>> duration(4.2), duration(187), duration(7509)
    ('4.2 s', '3:07 min', '2:05:09 h')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d} h" if hours else f"{minutes}:{rest:02d} min"
