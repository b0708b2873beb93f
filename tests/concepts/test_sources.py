"""Sources of concepts other than our NMF, on the small run: atoms, codes, all that follows."""

import json
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch
from contents import SMALL, check_with_sklearn, datasets
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from small_run import on, run_stage

from vinfo_mpi import Results
from vinfo_mpi.cli import inspect
from vinfo_mpi.concepts.sources import KINDS, concept_kind
from vinfo_mpi.concepts.stored import Observed
from vinfo_mpi.config.concept_sources import SOURCES
from vinfo_mpi.config.load import load_config
from vinfo_mpi.config.schema import Dictionary, Extract
from vinfo_mpi.errors import InputError
from vinfo_mpi.networks.pooling import of_map
from vinfo_mpi.numerics.slopes import network_slopes
from vinfo_mpi.run import freshness
from vinfo_mpi.storage.activations import MAP

LAST = "layer4.1"


@pytest.fixture(scope="module")
def stored(run):
    """The activations of the network that is analysed."""
    return datasets(run[0] / "activations/epoch_002.h5")


@pytest.fixture(scope="module")
def pooled(stored):
    """The pooled last tap, in float64."""
    return stored[f"taps/{LAST}/activations"].astype(float) + stored[f"taps/{LAST}/shift"]


def eigenfunctions(pooled):
    """Return the left singular vectors that have any weight, of length √N.

    Their largest loading is positive.
    """
    left, singular, right = np.linalg.svd(pooled, full_matrices=False)
    significant = singular**2 > 1e-10 * singular[0] ** 2
    signs = np.sign(right[np.arange(len(right)), np.abs(right).argmax(1)])
    return (np.sqrt(len(pooled)) * left * signs)[:, significant]


def principal_components(pooled):
    pca = PCA().fit(pooled)
    variance = pca.explained_variance_
    significant = variance > 1e-10 * max(variance[0], np.square(pooled).mean(0).max())
    axes = pca.components_
    signs = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(1)])
    return (pca.transform(pooled) * signs)[:, significant]


def centred(values):
    return values - values.mean(0)


EXPECTED = {
    "neurons": lambda pooled, stored, factors: pooled,
    "pca": lambda pooled, stored, factors: principal_components(pooled),
    "eigenfunctions": lambda pooled, stored, factors: eigenfunctions(pooled),
    "logits": lambda pooled, stored, factors: centred(stored["outputs"].astype(float)),
    "factors": lambda pooled, stored, factors: centred(
        np.stack([values[stored["samples/id"]] for values in factors.values()], 1)
    ),
}


@pytest.mark.parametrize("source", EXPECTED)
def test_a_source_from_codes_to_dynamics(with_source, stored, pooled, factors, source):
    run = with_source(source)
    made = datasets(run.dictionary)
    codes = datasets(run.codes)["codes"]
    np.testing.assert_allclose(
        codes, EXPECTED[source](pooled, stored, factors), rtol=1e-6, atol=1e-6
    )
    assert (made["class"] == -1).all()

    # What the atoms say, and how faithful that is.
    rebuilt = made["offset"] + codes @ made["atoms"]
    if source in ("logits", "factors"):
        best = LinearRegression().fit(codes, pooled)
        np.testing.assert_allclose(rebuilt, best.predict(codes), atol=1e-6)
    else:
        np.testing.assert_allclose(rebuilt, pooled, atol=1e-4)
        np.testing.assert_allclose((pooled - made["offset"]) @ made["projection"], codes, atol=1e-9)
    right = (rebuilt @ stored["head/weight"].T + stored["head/bias"]).argmax(1) == stored[
        "samples/prediction"
    ]
    with h5py.File(run.codes) as file:
        error = np.linalg.norm(rebuilt - pooled) / np.linalg.norm(pooled)
        assert (
            file.attrs["relative_error"]
            == file.attrs["relative_error_positions"]
            == pytest.approx(error, abs=1e-9)
        )
        assert file.attrs["predictions_kept"] == pytest.approx(right.mean(), abs=1e-9)

    # Everything after them.
    concepts = Results(run.outputs).concepts
    alive = concepts["alive"]
    differences = dict(check_with_sklearn().compare(run.outputs))
    assert {"concepts/late", "concepts/temporal", "concepts/importance"} <= set(differences)
    assert max(differences.values()) < 1e-9, differences
    assert (alive == (codes.std(0) > 1e-12)).all()
    assert {"temporal", "importance", "importance_share"} <= set(concepts)
    slopes = (stored["head/weight"] @ made["atoms"].T)[stored["samples/prediction"]]
    np.testing.assert_allclose(
        concepts["importance"], np.abs(codes * slopes).mean(0), rtol=1e-6, atol=1e-9
    )
    assert concept_kind(run.config.dictionary).count(run, LAST, 32, 10) >= len(concepts)


def test_concepts_have_the_names_of_factors_and_outputs(with_source):
    run = with_source("factors", stages=("dictionary", "encode", "score"))
    concepts = Results(run.outputs).concepts
    assert concepts.columns[0] == "name"
    assert list(concepts["name"]) == ["even", "noise", "none"]
    assert all(isinstance(name, str) for name in concepts["name"])
    assert list(concepts["alive"]) == [True, True, False]
    assert "even" in inspect.inspect(run.results)
    run = with_source("logits", stages=("dictionary",))
    assert datasets(run.dictionary)["names"].tolist() == [
        str(digit).encode() for digit in range(10)
    ]
    assert "names" not in datasets(with_source("pca", stages=("dictionary",)).dictionary)


def test_a_factor_that_is_not_known_of_all_images(with_source, factors):
    run = with_source("factors", stages=())
    ages = np.where(np.arange(1797) % 600 == 7, np.nan, 30.0)
    run.subject.images.factors = {**factors, "age": ages}
    with pytest.raises(InputError, match=r"'age' .*no value for 3 of 1797 images \(first: 7\)"):
        concept_kind(run.config.dictionary).count(run, LAST, 16, 10)


def test_no_factors(with_source):
    run = with_source("factors", stages=())
    run.subject.images.factors = {}
    with pytest.raises(
        InputError,
        match=r"the images of data\.source digits have none; use data\.source: planted, or",
    ):
        run_stage(run, "dictionary")


def test_the_ranks_find_what_one_finds(with_source, copy, mpirun):
    folder = copy("config.yaml", "checkpoints", "activations")
    done = mpirun(
        3, "-m", "vinfo_mpi.encode", *SMALL, "--set", "dictionary.source=pca", "--run-dir", folder
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((folder / "plan.json").read_text())["sizes"]["concepts"] == 32
    alone = with_source("pca", stages=("dictionary", "encode"))
    for name in ("dictionary.h5", "codes.h5"):
        together = datasets(folder / name)
        expected = datasets(alone.outputs / name)
        assert together.keys() == expected.keys()
        for key in expected.keys() - {"checksums", "names"}:
            np.testing.assert_allclose(
                together[key], expected[key], rtol=1e-9, atol=1e-9, err_msg=key
            )


@pytest.mark.parametrize("pooling", ["mean", "grid:2", "grid:3"])
def test_the_pooled_vector_is_the_mean_over_positions(pooling):
    """Whatever taps are pooled to: the cells of a 2 x 2 grid overlap on a map of 7 x 7."""
    maps = torch.from_numpy(np.random.default_rng(0).normal(size=(9, 6, 7, 7)))
    cells = of_map(maps, pooling)
    arrays = {
        "taps/last/activations": (cells - cells.mean(0)).numpy(),
        "taps/last/shift": cells.mean(0).numpy(),
        MAP: maps.flatten(2).transpose(1, 2).numpy(),
    }
    file = SimpleNamespace(
        map_tap="last",
        shape=lambda name: arrays[name].shape,
        read=lambda name, rows=None: arrays[name][rows.start : rows.stop] if rows else arrays[name],
    )
    extract = Extract(pooling=pooling)
    config = SimpleNamespace(extract=extract, dictionary=Dictionary(source="pca"))
    run = SimpleNamespace(tensor=torch.from_numpy, config=config)
    torch.testing.assert_close(Observed(run, file).pooled(range(1, 8)), maps[1:8].mean((2, 3)))
    config.extract = Extract(pooling=pooling, positions=49)
    if pooling != "mean":
        with pytest.raises(InputError, match=r"positions keeps 49 .* extract\.positions: all"):
            Observed(run, file).pooled(range(2))


def test_importance_of_a_curved_head_is_taken_at_the_rebuilt_vector():
    random = np.random.default_rng(0)
    codes = torch.from_numpy(random.normal(size=(9, 4)))
    atoms = torch.from_numpy(random.normal(size=(4, 5)))
    offset = torch.from_numpy(random.normal(size=5))
    weight = torch.from_numpy(random.normal(size=(5, 3)))
    classes = torch.arange(9) % 3
    slopes = network_slopes(lambda x: torch.tanh(x @ weight), atoms, offset, batch=4)(
        codes, classes
    )
    flat = 1 - torch.tanh((offset + codes @ atoms) @ weight).square()  # derivative of tanh
    expected = flat.gather(1, classes[:, None]) * (atoms @ weight).T[classes]
    torch.testing.assert_close(slopes, expected)


def test_unknown_sources_are_refused():
    for source, sentence in (
        ("pac", "did you mean 'pca'"),
        ("atoms.pt", r"valid: nmf, .*factors, sae, the path of a file \.npy, "),
    ):
        with pytest.raises(
            InputError, match=rf"dictionary\.source: unknown source '{source}'; {sentence}"
        ):
            load_config(SMALL[1], [f"dictionary.source={source}"])


def test_every_source_has_its_kind_of_concepts():
    assert KINDS.keys() == SOURCES.keys()


@pytest.mark.parametrize(
    "settings, count, groups",
    [
        ([], 40, 10),
        (["dictionary.kind=joint", "dictionary.concepts=7"], 7, 1),
        (["dictionary.source=pca"], 32, 1),
        (["dictionary.source=logits"], 12, 1),
        (["dictionary.source=factors"], 3, 1),
    ],
)
def test_how_many_concepts_and_in_how_many_dictionaries(tmp_path, factors, settings, count, groups):
    run = on(tmp_path, *settings)
    images = SimpleNamespace(
        factors=factors, classes=[str(digit) for digit in range(10)], labels=np.arange(1797) % 10
    )
    run.subject = SimpleNamespace(images=images, ids=np.arange(1797))
    kind = concept_kind(run.config.dictionary)
    assert kind.count(run, LAST, channels=32, outputs=12) == count
    assert kind.groups(run) == groups


def test_settings_of_the_nmf_do_not_matter_to_other_sources():
    def settings(*changes):
        return freshness.settings(load_config(SMALL[1], list(changes)), "dictionary")

    assert settings("dictionary.source=pca") == settings(
        "dictionary.source=pca", "dictionary.concepts_per_class=3"
    )
    assert settings("dictionary.source=pca") != settings("dictionary.source=neurons")
    assert settings() != settings("dictionary.concepts_per_class=3")
