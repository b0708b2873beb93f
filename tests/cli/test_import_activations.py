"""Activations that another program has extracted: the scores as if we had, and what is wrong."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from contents import datasets
from small_run import run_stage
from tiny_run import TINY

from vinfo_mpi.cli import import_activations
from vinfo_mpi.config.load import load_config
from vinfo_mpi.errors import InputError, NotApplicable
from vinfo_mpi.figures import catalogue
from vinfo_mpi.pages import overview
from vinfo_mpi.pages.thumbnails import GREY, Thumbnails
from vinfo_mpi.parallel.ranks import Ranks
from vinfo_mpi.run import freshness
from vinfo_mpi.run.run import Run

TAPS = ["layer3.1", "layer4.0", "layer4.1"]
N = 120
DATA = f"""
from vinfo_mpi.config.schema import Data
from vinfo_mpi.data import datasets
from vinfo_mpi.data.images import Images

def first():
    digits = datasets.load(Data(source="digits"), 0)
    return Images(digits.read, digits.labels[:{N}], digits.test[:{N}], digits.classes)
"""
SAME = {
    "dictionary": {"kind": "joint", "concepts": 6},
    "machine": {"device": "cpu", "batch": 200},
}


def run_of(folder, config):
    folder.mkdir(exist_ok=True)
    return Run(config, folder, Ranks(), torch.device("cpu"), [], "test")


def scored(run):
    for stage in ("train", "extract", "dictionary", "encode", "score", "importance"):
        run.begin()
        run_stage(run, stage)
    return run


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """A run of our own, and what plain hooks see of its network."""
    folder = tmp_path_factory.mktemp("reference")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        (folder / "first_digits.py").write_text(DATA)
        settings = TINY | SAME | {
            "name": "reference",
            "data": {"source": "first_digits:first", "image_size": 16},
            "train": {"epochs": 0},
            "extract": {"taps": TAPS, "branches": False},
        }  # fmt: skip
        path = folder / "reference.yaml"
        path.write_text(yaml.safe_dump(settings))
        run = scored(run_of(folder / "run", load_config(path)))
        network = run.subject.network(run.final)
        seen = {}
        for name in TAPS:
            network.get_submodule(name).register_forward_hook(
                lambda module, inputs, output, name=name: seen.__setitem__(name, output.clone())
            )
        images, _, labels = next(run.subject.loader.batches([np.arange(N)]))
        with torch.no_grad():
            seen["logits"] = network(images)
    arrays = {name: values.numpy() for name, values in seen.items()}
    head = {"weight": network.fc.weight.detach().numpy(), "bias": network.fc.bias.detach().numpy()}
    return run, arrays | head | {"labels": labels.numpy()}


@pytest.fixture
def options(reference, tmp_path):
    """Return a function of arrays and changes: the options that import them."""

    def make(layers=TAPS, **changes):
        _, arrays = reference
        given = {name: f"{tmp_path / name}.npy" for name in arrays}
        for name, values in (arrays | changes).items():
            if values is not None:
                np.save(tmp_path / f"{name}.npy", values)
        named = {
            "labels": "labels",
            "logits": "logits",
            "head_weight": "weight",
            "head_bias": "bias",
        }
        at = {
            option: given[name] if changes.get(name, 0) is not None else None
            for option, name in named.items()
        }
        ids = f"{tmp_path}/ids.npy" if "ids" in changes else None
        return SimpleNamespace(
            run=tmp_path / "run",
            layer=[f"{name}={given[name]}" for name in layers],
            classes=None,
            ids=ids,
            **at,
        )

    return make


def imported_run(options):
    path = import_activations.write(options)
    settings = yaml.safe_load(path.read_text()) | {
        "machine": SAME["machine"],
        "dictionary": SAME["dictionary"],
    }
    path.write_text(yaml.safe_dump(settings))
    return run_of(options.run, load_config(path))


def test_the_scores_are_those_of_a_run_of_our_own(reference, options, monkeypatch):
    run, _ = reference
    made = scored(imported_run(options()))
    for file in ("codes", "results"):
        ours, theirs = (datasets(getattr(each, file)) for each in (run, made))
        assert ours.keys() == theirs.keys()
        for name in ours.keys() - {"checksums"}:
            if ours[name].dtype.kind == "f":
                np.testing.assert_allclose(theirs[name], ours[name], rtol=1e-12, atol=1e-12)
    # The report has all but the images.
    monkeypatch.setattr(catalogue, "write", lambda *arguments, **options: None)
    monkeypatch.setattr(overview, "groups", lambda results: [])
    run_stage(made, "report")
    assert "Grey squares stand for images" in (made.report / "index.html").read_text()
    images = Thumbnails(made, np.arange(N)).copies(np.array([0, 7]))
    assert len(images) == 2 and (images == GREY).all()


def test_maps_by_position_and_a_head_that_is_found_from_logits(reference, options):
    run, arrays = reference
    flat = {name: arrays[name].reshape(N, -1, arrays[name].shape[2] ** 2) for name in TAPS}
    flat = {name: values.transpose(0, 2, 1) for name, values in flat.items()}
    made = scored(imported_run(options(**flat, weight=None, bias=None)))
    assert (made.folder / "imported_head.npz").exists()
    ours, theirs = datasets(run.results), datasets(made.results)
    for name in ("concepts/complexity", "concepts/importance"):
        np.testing.assert_allclose(theirs[name], ours[name], rtol=1e-3, atol=1e-4)


def test_what_needs_a_network_says_so(options):
    made = imported_run(options())
    for stage in ("robustness", "visualise"):
        with pytest.raises(NotApplicable, match=rf"{stage} needs the network and its images; of"):
            run_stage(made, stage)
    with pytest.raises(InputError, match=r"training needs the network and its images"):
        load_config(made.folder / "imported.yaml", ["train.epochs=3"])


def test_without_logits_and_labels_what_is_left_goes_on(options):
    made = imported_run(options(labels=None, logits=None, weight=None, bias=None))
    for stage in ("train", "extract", "dictionary", "encode", "score"):
        made.begin()
        run_stage(made, stage)
    assert np.isfinite(datasets(made.results)["concepts/complexity"]).any()
    with pytest.raises(NotApplicable, match="importance needs a classifier"):
        run_stage(made, "importance")


def test_other_arrays_are_extracted_again(options, reference):
    made = imported_run(options())
    for stage in ("train", "extract"):
        made.begin()
        run_stage(made, stage)
    assert freshness.is_current(made, "extract")
    options(**{"layer3.1": 2 * reference[1]["layer3.1"]})
    assert not freshness.is_current(made, "extract")


def broken(values, row):
    values = np.array(values)
    values[row] = np.nan
    return values


@pytest.mark.parametrize(
    "change, sentence",
    [
        (
            lambda arrays: {"layer4.0": arrays["layer4.0"][1:]},
            "layer layer3.1 has 120 rows, layer layer4.0 119; give the same images",
        ),
        (
            lambda arrays: {"ids": np.arange(N) % 100},
            "ids: 0 is that of rows 0 and 100; give each its own",
        ),
        (
            lambda arrays: {"labels": np.where(np.arange(N) == 7, 10, arrays["labels"])},
            r"image 7 has label 10, outside 0\.\.9",
        ),
        (lambda arrays: {"labels": arrays["labels"] + 0.5}, "holds float64, not whole numbers"),
        (lambda arrays: {"labels": arrays["labels"][:5]}, r"shape \(5,\); expected \(120,\)"),
        (lambda arrays: {"logits": arrays["logits"][:5]}, r"expected \(120, C\), a row for"),
        (
            lambda arrays: {"logits": arrays["logits"] ** 2},
            "the head does not give the logits of the last layer's mean",
        ),
        (
            lambda arrays: {"layer4.1": broken(arrays["layer4.1"], 77)},
            r"layer layer4\.1: .*: row 77 holds NaN or infinity",
        ),
        (lambda arrays: {"layer4.0": np.ones(N)}, r"has shape \(120,\); expected \(N, d\), "),
    ],
)
def test_what_does_not_fit_is_refused(reference, options, change, sentence):
    with pytest.raises(InputError, match=sentence):
        made = imported_run(options(**change(reference[1])))
        for stage in ("train", "extract"):
            made.begin()
            run_stage(made, stage)


def test_two_ranks_import_what_one_does(reference, options, mpirun):
    given = options()
    words = [word for layer in given.layer for word in ("--layer", layer)]
    words += ["--labels", given.labels, "--logits", given.logits]
    words += ["--head-weight", given.head_weight, "--head-bias", given.head_bias]
    done = mpirun(2, "-m", "vinfo_mpi.import_activations", given.run, *words)
    assert done.returncode == 0, done.stderr
    assert "continue with: python -m vinfo_mpi --config" in done.stdout
    ours = datasets(reference[0].activations(reference[0].final))
    theirs = datasets(given.run / "activations" / "epoch_000.h5")
    for name in (
        "outputs",
        "penultimate/activations",
        *(f"taps/{tap}/activations" for tap in TAPS),
    ):
        np.testing.assert_allclose(theirs[name], ours[name], rtol=1e-6, atol=1e-6)
