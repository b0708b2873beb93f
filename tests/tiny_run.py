"""A tiny configuration, and what a command that is refused says."""

TINY = {
    "data": {"source": "digits", "per_class": 30, "image_size": 16},
    "network": {"name": "resnet18", "small_images": True, "width": 0.0625},
    "train": {"epochs": 1},
    "dictionary": {"concepts_per_class": 3},
    "analyses": [],
    "pages": [],
    "machine": {"device": "cpu"},
}


def refusal(result):
    """Return the one sentence of a command that was refused."""
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith("vinfo_mpi: ")]
    assert len(lines) == 1
    return lines[0].removeprefix("vinfo_mpi: ")
