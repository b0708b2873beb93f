"""What the device can do at most; what decompositions on it cost, and sums of two ranks."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch

from benchmarks.gpu.runs import environment
from benchmarks.gpu.session import Session
from vinfo_mpi.numerics.orthonormal import orthonormal

DOUBLE = torch.float64
SLOW = 8.0  # seconds of a singular value decomposition after which no larger one is tried
LIMIT = 60.0  # seconds for the sums of two ranks
SUMS = """
import time
import torch
from vinfo_mpi.parallel.ranks import Ranks

ranks, device = Ranks(), torch.device({device!r})
for name, shape, total in (
    ("sum of the dictionary's buffer", {buffer}, ranks.sum),
    ("sum, scattered, of a tap of score", {tap}, ranks.reduce_scatter),
):
    values = torch.ones(*shape, dtype=torch.float64, device=device)
    seconds = []
    for _ in range(3):
        ranks.barrier()
        start = time.perf_counter()
        total(values)
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    if ranks.is_root:
        print("RESULT", min(seconds), values.nbytes, name, sep="|", flush=True)
"""


def ceilings(session: Session) -> None:
    """Measure the rates of matrix products, of copies in the device, and to it and from it."""
    _products(session)
    _copies(session)
    if session.on_gpu:
        _transfers(session)


def _copies(session: Session) -> None:
    count = session.choose(2**30, 2**21)
    values = torch.empty(count, dtype=DOUBLE, device=session.device).normal_()
    target = torch.empty_like(values)
    seconds, _ = session.time(lambda: target.copy_(values), 5)
    session.ceilings["memory"] = 2 * values.nbytes / seconds
    session.speed("copy in the device's memory", seconds, rate=session.ceilings["memory"])


def _products(session: Session) -> None:
    side = session.choose(8192, 512)
    precisions = {"float64": DOUBLE, "float32": torch.float32}
    if session.on_gpu:
        precisions |= {"TF32": torch.float32, "bfloat16": torch.bfloat16}
    for name, dtype in precisions.items():
        left = torch.randn(side, side, device=session.device).to(dtype)
        right = torch.randn(side, side, device=session.device).to(dtype)
        result = torch.empty_like(left)
        with tf32(name == "TF32"):
            seconds, _ = session.time(partial(torch.mm, left, right, out=result), 5)
        session.ceilings[name] = 2 * side**3 / seconds
        session.speed(
            f"matrix product of side {side}, {name}", seconds, rate=session.ceilings[name]
        )


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Let products and convolutions of float32 be done in TF32, or not."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False


def _transfers(session: Session) -> None:
    there = torch.empty(2**28, dtype=torch.float32, device=session.device)
    for name, pinned in (("pinned", True), ("pageable", False)):
        here = torch.empty(2**28, dtype=torch.float32, pin_memory=pinned).fill_(1)
        seconds, _ = session.time(partial(there.copy_, here))
        session.ceilings[f"to device, {name}"] = here.nbytes / seconds
        session.speed(f"to the device, {name} memory", seconds, rate=here.nbytes / seconds)
        seconds, _ = session.time(partial(here.copy_, there))
        session.ceilings[f"from device, {name}"] = here.nbytes / seconds
        session.speed(f"from the device, {name} memory", seconds, rate=here.nbytes / seconds)
    seconds, _ = session.time(there.cpu)
    session.speed("from the device, into fresh memory", seconds, rate=there.nbytes / seconds)
    values = torch.randn(64 * 49 * 2048).half()
    seconds, _ = session.time(lambda: values.to(session.device, DOUBLE))
    session.speed("float16 to the device, converted to float64 before", seconds)
    seconds, _ = session.time(lambda: values.to(session.device).to(DOUBLE))
    session.speed("float16 to the device, converted to float64 there", seconds)


def decompositions(session: Session) -> None:
    """Measure eigenvectors, QR of many matrices, singular vectors, and what could replace them."""
    for side in session.choose((256, 512, 1024, 2048), (64,)):
        _eigenvectors(session, side)
    _orthonormal_bases(session)
    for concepts, channels in session.choose(
        ((2500, 512), (5000, 1024), (10000, 2048)), ((200, 64),)
    ):
        if _singular_vectors(session, concepts, channels) > SLOW:
            session.leave_out("larger singular value decompositions", "the last one was too slow")
            break


def _eigenvectors(session: Session, side: int) -> None:
    rows = torch.randn(2 * side, side, dtype=DOUBLE)
    here = rows.T @ rows
    there = here.to(session.device)
    seconds, _ = session.time(lambda: torch.linalg.eigh(there), 2)
    on_processor, _ = session.time(lambda: torch.linalg.eigh(here), 1, warm=0)
    session.speed(
        f"eigenvectors of {side} x {side}",
        seconds,
        9 * side**3 / session.ceilings["float64"],
        processor=on_processor,
    )
    regular = there + side * torch.eye(side, dtype=DOUBLE, device=session.device)
    seconds, _ = session.time(lambda: torch.linalg.cholesky(regular), 2)
    session.speed(
        f"  Cholesky factor of {side} x {side}", seconds, side**3 / 3 / session.ceilings["float64"]
    )


def _orthonormal_bases(session: Session) -> None:
    """Measure what each iteration for initial atoms needs, all classes at once."""
    groups, channels, width = session.choose((1000, 2048, 18), (20, 64, 6))
    values = torch.randn(groups, channels, width, dtype=DOUBLE, device=session.device)
    shape = f"{groups} x {channels} x {width}"
    floor = 4 * groups * channels * width * width / session.ceilings["memory"]
    seconds, _ = session.time(lambda: torch.linalg.qr(values), 1)
    session.speed(f"QR of {shape}", seconds, floor)
    seconds, basis = session.time(lambda: orthonormal(values), 1)
    session.speed(
        "  the same as the dictionary does it", seconds, floor, orthonormal=_departure(basis)
    )
    small = values.transpose(1, 2) @ values
    seconds, _ = session.time(lambda: torch.linalg.eigh(small), 1)
    session.speed(f"eigenvectors of {groups} x {width} x {width}", seconds)


def _singular_vectors(session: Session, concepts: int, channels: int) -> float:
    """Measure what prepares a dictionary for encoding; return the seconds of the way it is done."""
    atoms = torch.rand(concepts, channels, dtype=DOUBLE, device=session.device)
    now, _ = session.time(lambda: torch.linalg.svd(atoms, full_matrices=False), 1, warm=0)
    session.speed(f"singular vectors of {concepts} x {channels}", now)
    if session.on_gpu:
        seconds, _ = session.time(
            lambda: torch.linalg.svd(atoms, full_matrices=False, driver="gesvd"), 1, warm=0
        )
        session.speed("  the same by gesvd", seconds)
    seconds, basis = session.time(lambda: left_singular(atoms)[0], 1)
    session.speed(
        "  the same by eigenvectors of the Gram matrix", seconds, orthonormal=_departure(basis)
    )
    return now


def left_singular(atoms: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the left singular vectors of a tall matrix and its squared singular values."""
    values, vectors = torch.linalg.eigh(atoms.T @ atoms)
    values, vectors = values.flip(0).clamp(min=0), vectors.flip(1)
    return (atoms @ vectors) / values.clamp(min=1e-12 * values[0]).sqrt(), values


def _departure(basis: torch.Tensor) -> float:
    """Return how far the columns are from orthonormal."""
    identity = torch.eye(basis.shape[-1], dtype=basis.dtype, device=basis.device)
    return float((basis.transpose(-2, -1) @ basis - identity).abs().max())


def sums(session: Session) -> None:
    """Measure sums over two ranks that share the device: through the processor's memory, by MPI."""
    if shutil.which("mpirun") is None:
        session.leave_out("sums of two ranks", "there is no mpirun")
        return
    buffer, tap = session.choose(((1000, 10, 2058), (10000, 5, 2048)), ((10, 5, 8), (10, 5, 8)))
    program = SUMS.format(device=session.device.type, buffer=buffer, tap=tap)
    command = ["mpirun", "-n", "2", sys.executable, "-c", program]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=LIMIT)
    session.check(
        "sums of two ranks", done.returncode == 0, code=done.returncode, text=done.stderr[-500:]
    )
    for line in done.stdout.splitlines():
        if line.startswith("RESULT|"):
            _, seconds, size, name = line.split("|")
            session.speed(name, float(seconds), bytes=int(size))
