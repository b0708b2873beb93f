"""Every stage on the pretended CUDA device: its files, and how often it waits for the device.

One small run is made on the CPU, one on the device, and one of the main stages on two ranks that
share the device. Training and visualisation are among them, with their backward passes; what is
pretended for these is in guard.cpp, and DistributedDataParallel is replaced by the network alone
(pipeline.py), so that training is on one rank. Figures of the report are not drawn: they are made
from files. Not seen here is what a real device alone can show: its rounding, its speed, its memory,
NCCL.
"""

import base64
import functools
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import pytest
import torch
from contents import ROOT, datasets

PIPELINE = ROOT / "tests/device/pipeline.py"
ON_CPU = ROOT / "tests/device/undrawn.py"
EQUAL = 1e-9  # relative to the largest value of a dataset
BATCHES = 2  # of 40 images, 10 classes of 8
CHECKPOINTS = 2
TAPS = 3
SETTINGS = [
    "data.per_class=8",
    "data.image_size=16",
    "network.width=0.0625",
    "train={epochs: 1, batch: 400}",
    "extract={taps: [layer1.0, layer3.0, layer4.1], maps: all, positions: 3}",
    "dictionary={concepts_per_class: 2, max_iterations: 20}",
    "encode.max_iterations=100",
    "score={also: [random-features, in-sample], random_features: 16}",
    "machine={batch: 40, rows: 200}",
    "redundancy.masks=5",
    "support={steps: 5, draws: 2}",
    "metafeatures.map=none",
    "robustness={images: 8, draws: 3, sigmas: [0.05, 0.5]}",
    "stability.seeds=1",
    "autoencoder={features: 12, top_k: 2, steps: 10, batch: 32}",
    "patterns={images: 80, bits: 64, equal_bits: 8, relaxations: [0.1]}",
    "merging={thresholds: [0.5], images: 80}",
    "visualise={steps: 5, extremes: 1, per_decile: 0, images: 20}",
    "report={levels: [0.0], examples: 2}",
]
# Where weights are loaded and a network is looked at, once: images are not waited for there.
ONCE = (
    "analyses/merged_networks.py",
    "networks/branches.py",
    "networks/checkpoints.py",
    "networks/condition.py",
    "networks/heads.py",
    "networks/record.py",
    "networks/states.py",
    "pipeline/measure.py",
    "run/subject.py",
    "stages/pilot.py",
)
CONFIG = ("--config", ROOT / "config/quickstart.yaml")
OPTIONS = [*CONFIG, *(word for setting in SETTINGS for word in ("--set", setting))]
WHOLE = ["--set", "analyses=all"]
MAIN = ["--set", "analyses=[flow, redundancy, support, sparsity]", "--set", "pages=[]"]


class Stage(NamedTuple):
    """What a stage writes, and how often it may wait for the device.

    Attributes
    ----------
    file : str
    datasets : tuple of str
        How their names begin.
    most : int
        Synchronisations of each step, half as many again as were counted when this was written, but
        for those of `ONCE`.
    steps : int
        Batches, iterations, or whatever is done so often.
    once : int
        Synchronisations beside those of the steps.
    """

    file: str
    datasets: tuple[str, ...]
    most: int
    steps: int = 1
    once: int = 0

    @property
    def bound(self):
        """Synchronisations of the whole stage, at most."""
        return self.most * self.steps + self.once


def result(*names: str, most: int, steps: int = 1) -> Stage:
    """Return a stage that writes these parts of results.h5."""
    return Stage("results.h5", names, most, steps)


# Steps: batches of all checkpoints; iterations; looks at the residual, every tenth iteration of
# the images and of those that are encoded beforehand; taps, with each family of predictors;
# branches; rates; folds and the whole; draws of noise.
STAGES = {
    "extract": Stage(
        "activations/epoch_001.h5",
        ("taps", "penultimate", "outputs", "head", "samples"),
        most=1,
        steps=CHECKPOINTS * BATCHES,
        once=16,  # what is subtracted from taps and branches
    ),
    "dictionary": Stage("dictionary.h5", ("atoms", "class", "objective"), most=5, steps=20),
    "encode": Stage(
        "codes.h5", ("codes", "fidelity", "samples", "positions"), most=3, steps=2 * 10, once=110
    ),
    "score": result(
        "concepts/complexity",
        "concepts/alive",
        "vinformation",
        "penalty",
        "predictors",
        most=80,
        steps=TAPS * 3,
    ),
    "importance": result("concepts/importance", most=8),
    "dynamics": result("dynamics", "concepts/temporal", most=15, steps=CHECKPOINTS * TAPS),
    "flow": result("flow", most=48, steps=TAPS * 2),
    "redundancy": result("redundancy", "concepts/redundancy", most=45, steps=3 * 5),
    "support": result("support", most=22),
    "hoyer": result("concepts/hoyer", most=0),
    "metafeatures": result("metafeatures", "concepts/cluster", most=6),
    "sparsity": Stage("results.h5", ("sparsity",), most=18, steps=CHECKPOINTS * BATCHES),
    "spectrum": result("spectrum", most=33, steps=CHECKPOINTS * 6),
    "collapse": result("collapse", most=30, steps=CHECKPOINTS * 6),
    "robustness": result("robustness", "concepts/noise_variance", most=10, steps=2 * 3),
    "stability": result("stability", "concepts/stability", most=33, steps=20),
    "autoencoder": result("autoencoder", most=720),
    "audit": result("audit", most=82, steps=CHECKPOINTS * TAPS),
    "sedimentation": result("sedimentation", most=1400),
    "migration": result("migration", most=0),
    "patterns": Stage("results.h5", ("patterns",), most=65, steps=CHECKPOINTS * BATCHES),
    "merging": Stage("results.h5", ("merging",), most=3, steps=BATCHES),
    "filters": Stage("results.h5", ("filters",), most=26, steps=CHECKPOINTS),
    "pointwise": result("pointwise", "concepts/misled", most=95),
    "monosemanticity": result("monosemanticity", "concepts/clarity", most=95),
    "facets": result("facets", "concepts/facet", most=15),
    "names": result("concepts/word", "concepts/runner_up", most=90),
    "visualise": Stage(
        "visualisation.h5",
        ("images", "transparency", "activations", "reference", "concepts"),
        most=40,
        steps=5,
    ),
}
MOST_TRAIN = 2 * 9  # batches of the images held out, before and after: no step is waited for
MOST_REPORT = 50
# The main stages, and how much more often a rank may wait that shares the device: for sums by MPI,
# which go through the processor's memory.
SHARED = {
    "extract": 1,
    "dictionary": 2,
    "encode": 1,
    "score": 2,
    "importance": 2,
    "dynamics": 2,
    "flow": 2,
    "redundancy": 2,
    "support": 2,
    "sparsity": 4,
}


class Runs(NamedTuple):
    """Folders of the finished runs, and what each rank has asked of the device, by stage."""

    cpu: object
    device: object
    shared: object
    counts: dict
    counts_shared: list
    said: str


@pytest.fixture(scope="module")
def runs(python, mpirun, environment, tmp_path_factory):
    """Runs on the CPU and on the device; then main stages on two ranks, from the CPU's weights."""
    base = tmp_path_factory.mktemp("device")

    def start(launch, *program):
        done = launch(*program, **environment)
        assert done.returncode == 0, done.stderr
        return done

    whole = [*OPTIONS, *WHOLE, *embeddings(base), "--run-dir"]
    with ThreadPoolExecutor() as pool:
        device = pool.submit(start, python, PIPELINE, base / "alone", *whole, base / "device")
        start(python, ON_CPU, *whole, base / "cpu")
        shutil.copytree(base / "cpu/checkpoints", base / "shared/checkpoints")
        shutil.copy(base / "cpu/plan.json", base / "shared")  # it takes seconds to make
        main = [*OPTIONS, *MAIN, "--run-dir", base / "shared"]
        shared = start(functools.partial(mpirun, 2), PIPELINE, base / "two", *main)
        device.result()
    counts = [json.loads((base / name).read_text()) for name in ("alone.0", "two.0", "two.1")]
    return Runs(
        base / "cpu", base / "device", base / "shared", counts[0], counts[1:], shared.stderr
    )


def embeddings(folder):
    """Write embeddings of words and of all digits; return the settings that name them."""
    random = np.random.default_rng(0)
    (folder / "words.txt").write_text("\n".join("abcdef"))
    np.save(folder / "words.npy", random.normal(size=(6, 4)))
    np.save(folder / "images.npy", random.normal(size=(1797, 4)))
    files = f"vocabulary: {folder}/words.txt, words: {folder}/words.npy"
    return ["--set", f"names={{{files}, images: {folder}/images.npy, strongest: 5, draws: 19}}"]


def assert_equal(stage, expected, actual):
    """Assert that two runs have the same datasets of a stage."""
    everything = datasets(expected / stage.file).items()
    written = {name: values for name, values in everything if name.startswith(stage.datasets)}
    on_device = datasets(actual / stage.file)
    assert written
    for name, values in written.items():
        if values.dtype.kind == "f":
            scale = np.nanmax(np.abs(values), initial=0)
            rounding = np.finfo(np.float32).eps if name == "positions/codes" else 0
            np.testing.assert_allclose(
                on_device[name], values, rtol=0, atol=(EQUAL + rounding) * scale, err_msg=name
            )
        else:
            np.testing.assert_array_equal(on_device[name], values, err_msg=name)


def assert_few(counts, most):
    """Assert that the processor has not waited for the device more often than that."""
    waits = {
        place: count
        for place, count in counts["synchronisations"].items()
        if not place.split()[-1].startswith(ONCE)
    }
    assert sum(waits.values()) <= most, f"{sum(waits.values())} synchronisations: {waits}"


@pytest.mark.parametrize("name", STAGES)
def test_stage_on_the_device(name, runs):
    stage = STAGES[name]
    assert_equal(stage, runs.cpu, runs.device)
    assert_few(runs.counts[name], stage.bound)


@pytest.mark.parametrize("name", SHARED)
def test_stage_on_two_ranks_that_share_the_device(name, runs):
    stage = STAGES[name]
    assert_equal(stage, runs.cpu, runs.shared)
    for counts in runs.counts_shared:
        assert_few(counts[name], SHARED[name] * stage.bound)


def test_two_ranks_are_told_that_they_share_it(runs):
    assert "2 ranks share 1 GPUs" in runs.said


def test_training_on_the_device(runs):
    before = torch.load(runs.cpu / "checkpoints/epoch_000.pt")["state"]
    expected = torch.load(runs.cpu / "checkpoints/epoch_001.pt")["state"]
    actual = torch.load(runs.device / "checkpoints/epoch_001.pt")["state"]
    assert not torch.equal(before["fc.weight"], expected["fc.weight"])
    torch.testing.assert_close(actual, expected, rtol=EQUAL, atol=0)
    assert_few(runs.counts["train"], MOST_TRAIN)


def test_report_on_the_device(runs):
    """Numbers but for rounding, pictures byte by byte."""
    on_cpu, on_device = runs.cpu / "report", runs.device / "report"
    pictures = sorted(on_cpu.glob("images/*.webp"))
    sheets = sorted(on_cpu.glob("data/sheet_*.js"))
    assert pictures
    assert sheets
    for path in pictures:
        name = path.relative_to(on_cpu)
        assert (on_device / name).read_bytes() == path.read_bytes(), name
    for path in sheets:
        assert_alike(sheet(path), sheet(on_device / path.relative_to(on_cpu)))
    assert_few(runs.counts["report"], MOST_REPORT)


def sheet(path):
    """Return what the script of a sheet says of its concepts."""
    return json.loads(path.read_text().split(", ", 1)[1].removesuffix(");\n"))


def assert_alike(expected, actual):
    """Assert that two values of JSON differ by no more than rounding, heat maps by one level."""
    if isinstance(expected, dict):
        assert expected.keys() == actual.keys()
        heat, heat_of_device = (
            np.frombuffer(base64.b64decode(values.get("heat", "")), np.uint8).astype(int)
            for values in (expected, actual)
        )
        np.testing.assert_allclose(heat_of_device, heat, atol=1)
        for key in expected.keys() - {"heat"}:
            assert_alike(expected[key], actual[key])
    elif isinstance(expected, list):
        assert len(expected) == len(actual)
        for of_cpu, of_device in zip(expected, actual, strict=True):
            assert_alike(of_cpu, of_device)
    elif isinstance(expected, float):
        assert actual == pytest.approx(expected, rel=1e-7, abs=1e-9)
    else:
        assert actual == expected


def test_stages_with_arithmetic_ask_something_of_the_device(runs):
    idle = [name for name, counts in runs.counts.items() if counts["operations"] == 0]
    assert idle == ["hoyer", "migration"]
    assert {*runs.counts} == {"train", *STAGES, "report"}
