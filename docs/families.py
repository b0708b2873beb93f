"""Write docs/families.md: how the networks of the test over all families are read.

python docs/families.py > docs/families.md
"""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "networks"))
from test_all_families import CASES

from vinfo_mpi.config.schema import Extract
from vinfo_mpi.networks import taps

HEAD = """\
# How networks are read

Small members of every family with random weights, as `extract.taps: auto` reads them: made by
`python docs/families.py` from the cases of `tests/networks/test_all_families.py`, which compares
every tap, the last map and the logits with plain hooks. `--show-network` shows the same of yours.

| network | blocks of | pixels | taps | first | last | axes | prefix tokens | read | last map |
|---|---|---|---|---|---|---|---|---|---|"""


@torch.no_grad()
def row(name: str) -> str:
    """Return the line of a network."""
    case = CASES[name]
    torch.manual_seed(0)
    network = case.build().eval()
    images = torch.randn(1, 3, case.pixels, case.pixels)
    found = taps.find(network, Extract(), images)
    reading = taps.read(network, found, images, Extract())
    last = found[-1]
    _, positions, channels = reading.map.shape
    cells = [
        name, case.family, case.pixels, len(found), f"`{found[0].name}`", f"`{last.name}`",
        last.axes, last.prefix if last.tokens else "", last.tokens or "",
        f"{positions} x {channels}",
    ]  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    print(HEAD)
    for name in CASES:
        print(row(name))
