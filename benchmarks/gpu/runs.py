"""Checks of whole runs on the device, on one rank and on two, beside a run on the processor."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from benchmarks.gpu.session import Session

SETTINGS: dict[str, Any] = {
    "name": "small",
    "data": {"source": "digits", "image_size": 32, "per_class": 25},
    "network": {"name": "resnet18", "small_images": True, "width": 0.125},
    "train": {"epochs": 2, "batch": 64, "rate": 0.1, "save": "all"},
    "extract": {"maps": "all"},
    "dictionary": {"concepts_per_class": 5, "max_iterations": 20},
    "score": {"also": ["random-features", "in-sample"], "random_features": 32},
    "analyses": ["flow", "redundancy", "support", "sparsity", "spectrum", "robustness"],
    "robustness": {"images": 8, "draws": 3},
    "redundancy": {"masks": 5},
    "support": {"draws": 2, "steps": 5},
    "visualise": {"steps": 5, "extremes": 2, "per_decile": 0, "images": 40},
    "pages": ["visualise"],
}
LAST = "activations/epoch_002.h5"
FITTED = ("dictionary.h5", "codes.h5", "results.h5")
# Largest differences, relative to the largest value of a dataset.
NETWORK = 1e-5  # float32
DOUBLE = 1e-6
LOOSE = 1e-3  # of what float32 of the network, tiny eigenvalues or rounding at 0 go into
# What counts values above 0: where one is 0 but for rounding, devices differ.
LOOSE_PARTS = ("robustness", "noise_", "spectrum", "sparsity", "nonzero")
# As it is before MPI is started in this process: what MPI adds to it would mislead a child.
ENVIRONMENT = dict(os.environ)
PATIENCE = 150.0  # seconds that a run may take
MEMORY_SHARE = 0.0004  # of a GPU: less than the small run needs


class Runs:
    """Runs of vinfo_mpi in processes of their own, by the name of their folder."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._processes: dict[str, subprocess.Popen] = {}

    def start(
        self,
        name: str,
        *settings: str,
        ranks: int = 1,
        stage: str = "",
        config: dict[str, Any] = SETTINGS,
    ) -> None:
        """Start a run, or a single stage, in a process that goes on beside this one."""
        path = self.session.work / f"{name}.json"
        path.write_text(json.dumps(config))
        command = ["mpirun", "-n", str(ranks)] if ranks > 1 else []
        command += [sys.executable, "-m", f"vinfo_mpi.{stage}" if stage else "vinfo_mpi"]
        command += ["--config", str(path), "--run-dir", str(self.folder(name))]
        for setting in settings if self.session.on_gpu else (*settings, "machine.device=cpu"):
            command += ["--set", setting]
        with self._log(name).open("w") as log:
            self._processes[name] = subprocess.Popen(
                command, env=environment(), stdout=log, stderr=subprocess.STDOUT
            )

    def finish(self, name: str) -> int:
        """Wait for a run; return its exit code, 124 if it has taken too long."""
        process = self._processes.pop(name)
        try:
            code = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.terminate()
            process.wait()
            code = 124
        if code:
            print("\n".join(self.said(name).splitlines()[-15:]), flush=True)
        return code

    def complete(self, name: str, *settings: str, **options: Any) -> int:
        """Start a run and wait for it."""
        self.start(name, *settings, **options)
        return self.finish(name)

    def folder(self, name: str) -> Path:
        """Return where a run writes."""
        return self.session.work / name

    def said(self, name: str) -> str:
        """Return what a run has printed."""
        return self._log(name).read_text(errors="replace").replace("\r", "\n")

    def begin_with(self, source: str, name: str, *parts: str) -> None:
        """Make the folder of a run that begins with parts of another."""
        self.clear(name)
        for folder in parts:
            shutil.copytree(self.folder(source) / folder, self.folder(name) / folder, symlinks=True)

    def clear(self, name: str) -> None:
        """Remove what an earlier call has left."""
        shutil.rmtree(self.folder(name), ignore_errors=True)

    def end(self) -> None:
        """End what is still running, and keep what all have said: logs.txt."""
        for process in self._processes.values():
            process.terminate()
        logs = sorted(self.session.work.glob("*.log"))
        (self.session.out / "logs.txt").write_text(
            "".join(f"===== {path.stem}\n{self.said(path.stem)}" for path in logs)
        )

    def _log(self, name: str) -> Path:
        return self.session.work / f"{name}.log"


def environment() -> dict[str, str]:
    """Return the environment of programs that are started here: they find the repository."""
    paths = [str(Path.cwd()), ENVIRONMENT.get("PYTHONPATH", "")]
    return {
        "OMP_NUM_THREADS": "2",
        **ENVIRONMENT,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }


def differences(first: Path, second: Path, files: tuple[str, ...]) -> dict[str, float]:
    """Return by how much the datasets of two runs differ, by name.

    Of numbers: the largest difference, relative to the largest value; of all else: the share.
    """
    apart = {}
    for name in files:
        with h5py.File(first / name) as expected, h5py.File(second / name) as actual:
            for path in _datasets(expected):
                if "checksum" not in path and path in actual:
                    apart[f"{name}/{path}"] = _difference(expected[path][()], actual[path][()])
    return apart


def _datasets(file: h5py.File) -> list[str]:
    names: list[str] = []
    file.visititems(
        lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None
    )
    return names


def _difference(expected: np.ndarray, actual: np.ndarray) -> float:
    if np.shape(expected) != np.shape(actual):
        return float("inf")
    if expected.dtype.kind != "f":
        return float(np.mean(expected != actual)) if np.size(expected) else 0.0
    if not np.array_equal(np.isnan(expected), np.isnan(actual)):
        return float("inf")
    apart = np.abs(expected - actual)[np.isfinite(expected)].max(initial=0)
    return float(apart / max(1e-300, np.abs(expected)[np.isfinite(expected)].max(initial=0)))


def reference(session: Session, runs: Runs) -> None:
    """Start the processor's own run, which goes on beside what follows."""
    runs.clear("cpu")
    runs.start("cpu", "machine.device=cpu")


def pipeline(session: Session, runs: Runs) -> None:
    """Check stages that begin with the processor's weights or activations, two ranks, training."""
    code = runs.finish("cpu")
    session.check("pipeline on the processor", code == 0, code=code)
    if code:
        return
    runs.begin_with("cpu", "from_weights", "checkpoints")
    runs.begin_with("cpu", "from_activations", "checkpoints", "activations")
    runs.start("from_weights", "analyses=[]", "pages=[]")  # beside the next: they share the GPU
    runs.start("from_activations")
    _from_weights(session, runs)
    _from_activations(session, runs)
    two = shutil.which("mpirun") is not None
    if two:
        _two_ranks(session, runs)
    else:
        session.leave_out("two ranks", "there is no mpirun")
    _training(session, runs, two)


def _from_weights(session: Session, runs: Runs) -> None:
    code = runs.finish("from_weights")
    session.check("extract to score, from the processor's weights", code == 0, code=code)
    if code == 0:
        apart = differences(runs.folder("cpu"), runs.folder("from_weights"), (LAST,))
        # Predictions may be decided by a tie.
        values = {name: value for name, value in apart.items() if "/samples/" not in name}
        exact = {name: value for name, value in values.items() if not _is_loose(name)}
        right = max(exact.values()) < NETWORK and max(values.values()) < LOOSE
        session.check("activations", right, largest=_largest(values))


def _from_activations(session: Session, runs: Runs) -> None:
    code = runs.finish("from_activations")
    session.check("dictionary to visualise, from the processor's activations", code == 0, code=code)
    if code:
        return
    _fitted(session, runs, "from_activations", "")


def _fitted(session: Session, runs: Runs, name: str, what: str) -> None:
    """Check that dictionary, codes and results of a run are those of the processor's run."""
    apart = differences(runs.folder("cpu"), runs.folder(name), FITTED)
    loose = {path: value for path, value in apart.items() if _is_loose(path)}
    exact = {path: value for path, value in apart.items() if path not in loose}
    largest = max(exact.values())
    session.check(f"dictionary, codes, results{what}", largest < DOUBLE, largest=_largest(exact))
    largest = max(loose.values())
    session.check(f"robustness, spectrum, counts{what}", largest < LOOSE, largest=_largest(loose))


def _is_loose(path: str) -> bool:
    return any(words in path for words in LOOSE_PARTS)


def _two_ranks(session: Session, runs: Runs) -> None:
    runs.begin_with("cpu", "two_ranks", "checkpoints", "activations")
    analyses = "analyses=[flow,redundancy,support,sparsity,spectrum]"
    code = runs.complete("two_ranks", analyses, "pages=[]", ranks=2)
    told = not session.on_gpu or "2 ranks share 1 GPUs" in runs.said("two_ranks")
    session.check("two ranks on one device", code == 0 and told, code=code, told=told)
    if code == 0:
        _fitted(session, runs, "two_ranks", ", by two ranks")


def _training(session: Session, runs: Runs, two: bool) -> None:
    runs.clear("trained")
    runs.start("trained", stage="train")
    if two:
        runs.clear("trained_by_two")
        code = runs.complete("trained_by_two", "train.epochs=1", ranks=2, stage="train")
        session.check("training, two ranks on one device", code == 0, code=code)
    code = runs.finish("trained")
    lines = runs.said("trained").strip().splitlines()
    session.check(
        "training on one rank", code == 0, code=code, said=lines[-1][-90:] if lines else ""
    )


def _largest(apart: dict[str, float], count: int = 5) -> dict[str, float]:
    """Return the datasets that differ most."""
    return dict(sorted(apart.items(), key=lambda pair: -pair[1])[:count])


def out_of_memory(session: Session, runs: Runs) -> None:
    """Look at what a user is told when the GPU is full."""
    if not session.on_gpu:
        session.leave_out("out of memory", "only a GPU can be full")
        return
    runs.begin_with("cpu", "full", "checkpoints", "activations")
    program = (
        "import torch\n"
        f"torch.cuda.set_per_process_memory_fraction({MEMORY_SHARE})\n"
        "from vinfo_mpi.cli import command\n"
        "command.main(None, None)\n"
    )
    options = ["--config", str(session.work / "cpu.json"), "--run-dir", str(runs.folder("full"))]
    options += ["--set", "pages=[]", "--set", "analyses=[]"]
    command = [sys.executable, "-c", program, *options]
    done = subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=PATIENCE
    )
    sentence = "the memory of the" in done.stderr and "Traceback" not in done.stderr
    right = done.returncode == 1 and sentence
    session.check("out of memory is a sentence", right, text=done.stderr[-500:])
