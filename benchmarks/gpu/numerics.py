"""Checks of arithmetic on the device: numerics, eigenvectors, the precision of convolutions."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import time
import traceback
from typing import Any

import h5py
import numpy as np
import torch

from benchmarks.gpu.case import Case, difference
from benchmarks.gpu.cases import CASES
from benchmarks.gpu.session import Session

RESIDUAL = 1e-12  # of eigenpairs, relative to the largest eigenvalue
ORTHONORMAL = 1e-11
FLOAT32 = 2e-5  # of a convolution, in standard deviations of its values; TF32 is off by 1e-3


def facts(session: Session) -> None:
    """Note what this machine is, and with what it works."""
    from mpi4py import MPI  # starts MPI: not before `runs` has looked at the environment

    session.facts |= {
        "date": time.strftime("%Y-%m-%d %H:%M:%S"),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "h5py": [
            h5py.__version__,
            h5py.version.hdf5_version,
            "mpi" if h5py.get_config().mpi else "serial",
        ],
        "mpi": MPI.Get_library_version().splitlines()[0][:60],
        "all threads may call MPI": MPI.Query_thread() == MPI.THREAD_MULTIPLE,
        "mpirun": shutil.which("mpirun"),
        "cores": len(os.sched_getaffinity(0)),
        "free shared memory": shutil.disk_usage("/dev/shm").free,
        "TF32 in products": torch.backends.cuda.matmul.allow_tf32,
        "TF32 in convolutions": torch.backends.cudnn.allow_tf32,
    }
    if session.on_gpu:
        session.facts |= _of_gpu()
    for name, value in session.facts.items():
        print(f"       {name}: {value}", flush=True)


def _of_gpu() -> dict[str, Any]:
    properties = torch.cuda.get_device_properties(0)
    query = "name,driver_version,clocks.sm,clocks.mem,power.limit,mig.mode.current"
    command = ["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader"]
    said = (
        subprocess.run(command, capture_output=True, text=True).stdout.strip()
        if shutil.which("nvidia-smi")
        else ""
    )
    return {
        "gpu": properties.name,
        "uuid": str(properties.uuid),
        "multiprocessors": properties.multi_processor_count,
        "memory": properties.total_memory,
        "free memory": torch.cuda.mem_get_info()[0],
        "cudnn": torch.backends.cudnn.version(),
        "nccl": torch.cuda.nccl.version(),
        "nvidia-smi": said,
    }


def numerics(session: Session) -> None:
    """Check that every function of numerics is on the device what it is on the processor."""
    for name, case in CASES.items():
        try:
            apart = _difference(case, session.device)
        except Exception:
            session.check(f"numerics: {name}", False, text=traceback.format_exc())
        else:
            session.check(f"numerics: {name}", apart < case.tolerance, difference=apart)
    for side in session.choose((64, 512, 2048), (64, 128)):
        _eigenvectors(session, side)
    _convolution(session)


def _difference(case: Case, device: torch.device) -> float:
    return difference(case.function(torch.clone), case.function(lambda tensor: tensor.to(device)))


def _eigenvectors(session: Session, side: int) -> None:
    rows = torch.randn(4 * side, side, dtype=torch.float64)
    matrix = (rows.T @ rows).to(session.device)
    values, vectors = torch.linalg.eigh(matrix)
    residual = float((matrix @ vectors - vectors * values).abs().max() / values.max())
    identity = torch.eye(side, dtype=torch.float64, device=session.device)
    orthonormal = float((vectors.T @ vectors - identity).abs().max())
    right = residual < RESIDUAL and orthonormal < ORTHONORMAL
    session.check(
        f"eigenvectors of {side} x {side}", right, residual=residual, orthonormal=orthonormal
    )


def _convolution(session: Session) -> None:
    images = torch.randn(8, 64, 32, 32)
    layer = torch.nn.Conv2d(64, 64, 3, padding=1).requires_grad_(False)
    exact = layer.double()(images.double())
    actual = layer.float().to(session.device)(images.to(session.device)).cpu()
    apart = float((actual.double() - exact).abs().max() / exact.std())
    session.check("convolutions are in float32, not in TF32", apart < FLOAT32, difference=apart)
