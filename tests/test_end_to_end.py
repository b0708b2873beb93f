"""The whole pipeline as a user runs it, on a smaller setting of the quickstart."""

import json
import shutil

import h5py
import numpy as np
import pytest
from contents import ROOT, SMALL, datasets

from vinfo_mpi import Results
from vinfo_mpi.registry import STAGES

# The report is made by tests/pages/test_report.py; bias needs planted images, names embeddings.
MADE = [stage for stage in STAGES if stage not in ("report", "bias", "names")]


def test_the_summary_says_what_was_found(run):
    folder, done = run
    for text in (
        "held-out images correct", "40 of 40 alive", "relative error", "complexity", "layer4.1",
        "temporal score) =", "importance) =", "simplest", "most complex",
        str(folder / "results.h5"),
    ):  # fmt: skip
        assert text in done.stdout
    for stage in ("train", "extract", "dictionary", "encode", "score", "importance", "dynamics"):
        assert f"{stage}: running on 2 ranks" in done.stderr
        assert (folder / "logs" / f"{stage}.log").exists()


def test_every_file_says_what_it_is_and_every_dataset_what_it_holds(run):
    folder, _ = run
    files = [*folder.glob("*.h5"), *folder.glob("activations/*.h5")]
    assert len(files) == 8
    attributes = {
        "filetype", "format_version", "complete", "vinfo_version", "git_commit", "created",
        "command", "config", "fingerprint", "inputs", "ranks", "mpi_library", "torch_version",
        "h5py_version", "hdf5_version", "seed",
    }  # fmt: skip
    for path in files:
        with h5py.File(path) as file:
            assert attributes <= set(file.attrs), path
            assert file.attrs["complete"] == 1
            assert file.attrs["ranks"] == 2

            def check(name, thing):
                if isinstance(thing, h5py.Dataset):
                    assert thing.attrs["description"], name
                    assert all(axis.label for axis in thing.dims), name

            file.visititems(check)


def test_results_are_tables(run):
    results = Results(run[0])
    concepts = results.concepts
    assert len(concepts) == 40
    columns = {
        "class", "alive", "complexity", "complexity_se", "importance", "importance_signed",
        "importance_share", "temporal", "temporal_se",
    }  # fmt: skip
    assert columns <= set(concepts)
    living = concepts[concepts["alive"]]
    assert living["complexity"].between(0, 1).all()
    np.testing.assert_allclose(living["complexity"], 1 - results.vinformation.mean()[living.index])
    assert list(results.vinformation.index)[-1] == "layer4.1"
    assert list(results.dynamics.index) == [0, 1, 2]
    # The last checkpoint's last tap is the final network's.
    np.testing.assert_allclose(
        results.dynamics.loc[2], results.vinformation.loc["layer4.1"], atol=1e-12
    )
    np.testing.assert_allclose(
        living["temporal"], 1 - results.dynamics.loc[1:].mean()[living.index], atol=1e-12
    )
    np.testing.assert_allclose(living["importance_share"].sum(), 1, rtol=1e-9)
    assert results.plot.complexity_importance().get_xlabel() == "complexity K"


def test_every_number_is_computed_again_from_the_files_alone(run, python):
    done = python(ROOT / "docs/check_with_sklearn.py", run[0])
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    differences = {row[0]: float(row[2]) for row in rows if len(row) == 4}
    for names in (
        "vinformation dynamics/vinformation flow/main_cka flow/shortcut_vinformation",
        "redundancy/values redundancy/values_se spectrum/eigenvalues spectrum/quality",
        "metafeatures/super_importance metafeatures/super_importance_se",
        "spectrum/utilisation spectrum/significant spectrum/laziness_se",
        "collapse/nc1 collapse/nc2_se collapse/nc3 collapse/nc4 collapse/cdnv_se",
        "migration/activity migration/centre migration/width migration/localised",
    ):
        assert set(names.split()) <= set(differences)
    for column in (
        "complexity unreadable late discarded depth kept complexity_se complexity_half",
        "complexity_limit eta2 temporal temporal_unlearned temporal_late temporal_forgotten",
        "temporal_se importance importance_signed importance_share redundancy",
        "emergence lifetime localisation anchor at_anchor drift",
    ):
        assert {f"concepts/{name}" for name in column.split()} <= set(differences)
    assert max(differences.values()) < 1e-9, done.stdout  # of eigenfunctions as well, in this run


def test_a_falsified_number_is_noticed(copy, python):
    folder = copy("activations", "dictionary.h5", "codes.h5", "results.h5")
    with h5py.File(folder / "results.h5", "r+") as file:
        for stage in ("score", "dynamics", "redundancy", "spectrum"):  # which take longer
            del file[f"provenance/{stage}"]
        file["concepts/importance_signed"][3] += 1e-6
        file["flow/main_cka"][2, 5] = np.nan
    done = python(ROOT / "docs/check_with_sklearn.py", folder)
    assert done.returncode == 1, done.stdout + done.stderr
    differing = {line.split()[0] for line in done.stdout.splitlines() if "DIFFERS" in line}
    assert differing == {"concepts/importance_signed", "flow/main_cka"}
    assert "temporal: missing, dynamics was not run" in done.stdout


def test_codes_rebuild_the_activations_as_well_as_they_say(run):
    folder, _ = run
    codes = datasets(folder / "codes.h5")["codes"]
    atoms = datasets(folder / "dictionary.h5")["atoms"]
    maps = datasets(folder / "activations/epoch_002.h5")["penultimate/activations"].astype(float)
    with h5py.File(folder / "codes.h5") as file:
        pooled = maps.mean(1)
        expected = np.linalg.norm(pooled - codes @ atoms) / np.linalg.norm(pooled)
        assert file.attrs["relative_error"] == pytest.approx(expected, rel=1e-9)
        assert file.attrs["kkt_residual"] <= 1e-4
        assert 0.9 <= file.attrs["predictions_kept"] <= 1


def test_the_pooled_map_is_the_last_tap(run):
    stored = datasets(run[0] / "activations/epoch_002.h5")
    last = stored["taps/layer4.1/activations"] + stored["taps/layer4.1/shift"]
    np.testing.assert_allclose(stored["penultimate/activations"].mean(1), last, atol=1e-5)
    logits = last @ stored["head/weight"].T + stored["head/bias"]
    np.testing.assert_allclose(logits, stored["outputs"], atol=1e-3)


def test_a_second_run_finds_everything_up_to_date(run, mpirun):
    folder, _ = run
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.h5")}
    done = mpirun(2, "-m", "vinfo_mpi", *SMALL, "--run-dir", folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("up to date") == len(MADE)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.h5")} == before


def test_a_changed_setting_repeats_what_depends_on_it_alone(copy, python):
    folder = copy(
        "config.yaml", "checkpoints", "activations", "dictionary.h5", "codes.h5", "results.h5"
    )
    settings = ("score.folds=4", "analyses=[hoyer]", "pages=[]")
    options = [word for setting in settings for word in ("--set", setting)]
    done = python("-m", "vinfo_mpi", *SMALL, *options, "--run-dir", folder)
    assert done.returncode == 0, done.stderr
    for stage in ("train", "extract", "dictionary", "encode", "importance", "hoyer"):
        assert f"{stage}: up to date" in done.stderr
    for stage in ("score", "dynamics"):
        assert f"{stage}: running" in done.stderr


@pytest.mark.parametrize("ranks", [1, 3])
def test_the_numbers_do_not_depend_on_the_ranks(run, copy, mpirun, ranks):
    """Nor do pictures, on three ranks."""
    folder = copy("config.yaml", "checkpoints", "activations")
    pages = "pages=[visualise]" if ranks == 3 else "pages=[]"
    done = mpirun(ranks, "-m", "vinfo_mpi", *SMALL, "--set", pages, "--run-dir", folder)
    assert done.returncode == 0, done.stderr
    for name in ("dictionary.h5", "codes.h5", "results.h5"):
        stored = datasets(folder / name)
        expected = datasets(run[0] / name)
        assert stored.keys() == expected.keys()
        for key, values in stored.items():
            if expected[key].dtype.kind == "f":
                np.testing.assert_allclose(
                    values, expected[key], rtol=1e-9, atol=1e-9, err_msg=f"{name} {key}"
                )
            elif key != "checksums":
                assert (values == expected[key]).all(), key
    if ranks == 1:
        return
    pictures = datasets(folder / "visualisation.h5")
    for key, values in datasets(run[0] / "visualisation.h5").items():
        up_or_down = values.dtype == np.uint8  # a pixel may be rounded either way
        np.testing.assert_allclose(
            pictures[key].astype(float), values, atol=up_or_down, rtol=1e-2, err_msg=key
        )


@pytest.mark.parametrize(
    "few",
    [["dictionary.kind=joint", "dictionary.concepts=3"], ["dictionary.concepts_per_class=2"]],
    ids=["joint", "class-wise"],
)
def test_more_ranks_than_concepts_and_rows_of_a_class(copy, mpirun, few):
    few = ["train.save=[]", "data.per_class=3", *few]
    options = [*SMALL, *(word for setting in few for word in ("--set", setting))]

    def score(ranks, folder):
        done = mpirun(ranks, "-m", "vinfo_mpi.score", *options, "--run-dir", folder)
        assert done.returncode == 0, done.stderr
        return datasets(folder / "results.h5")

    alone = copy("config.yaml", "checkpoints")
    of_one_rank = score(1, alone)
    # With its activations.
    made_again = shutil.ignore_patterns("codes.h5", "results.h5", "dictionary.h5")
    four = shutil.copytree(alone, alone.with_name("four"), ignore=made_again)
    of_four_ranks = score(4, four)
    for key, values in of_one_rank.items():
        if values.dtype.kind == "f":
            np.testing.assert_allclose(
                of_four_ranks[key], values, rtol=1e-9, atol=1e-9, err_msg=key
            )


def test_both_storages_hold_the_same_bytes(copy, mpirun):
    stored = {}
    for kind in ("auto", "virtual"):
        folder = copy("config.yaml", "checkpoints")
        options = ["--set", "train.save=[]", "--set", f"machine.storage={kind}"]
        done = mpirun(2, "-m", "vinfo_mpi.extract", *SMALL, *options, "--run-dir", folder)
        assert done.returncode == 0, done.stderr
        stored[kind] = datasets(folder / "activations/epoch_002.h5")
    assert stored["auto"].keys() == stored["virtual"].keys()
    for name, values in stored["auto"].items():
        assert values.tobytes() == stored["virtual"][name].tobytes(), name


def test_float16_and_some_positions_change_little(run, copy, python):
    folder = copy("config.yaml", "checkpoints")
    settings = ("train.save=[]", "extract.dtype=float16", "extract.positions=3")
    options = [word for setting in settings for word in ("--set", setting)]
    done = python("-m", "vinfo_mpi.extract", *SMALL, *options, "--run-dir", folder)
    assert done.returncode == 0, done.stderr
    half = datasets(folder / "activations/epoch_002.h5")
    full = datasets(run[0] / "activations/epoch_002.h5")
    assert half["taps/layer1.0/activations"].dtype == np.float16
    np.testing.assert_allclose(
        half["taps/layer4.1/activations"], full["taps/layer4.1/activations"], atol=2e-2, rtol=2e-3
    )
    assert half["penultimate/activations"].shape == (400, 3, 32)
    close = np.isclose(
        half["penultimate/activations"][:, :, None],
        full["penultimate/activations"][:, None],
        rtol=2e-3,
        atol=2e-2,
    )
    assert close.all(3).any(2).all()  # every stored vector is one of the image's
    assert done.stderr.count("extract: running") == 1


def test_timings_are_kept_per_stage(run):
    timings = json.loads((run[0] / "timings.json").read_text())
    assert list(timings) == MADE
    for stage in timings.values():
        assert stage["ranks"] == 2
        for phase in stage["seconds"].values():
            assert phase["min"] <= phase["mean"] <= phase["max"]
    assert timings["extract"]["bytes"]["written"] > 0
    assert timings["score"]["bytes"]["communicated"] > 0


def test_the_dry_run_shows_the_plan_and_does_nothing(tmp_path, python):
    done = python("-m", "vinfo_mpi", *SMALL, "--run-dir", tmp_path / "none", "--dry-run")
    assert done.returncode == 0, done.stderr
    for text in (
        "would run\n",
        "dictionary     missing\n",
        "400 images",
        "8: layer1.0 (4)",
        "disk",
        "memory",
        "operations",
        "40",
    ):
        assert text in done.stdout
    assert not (tmp_path / "none").exists()


def test_what_else_a_correlation_may_come_from_is_in_the_table(run):
    results = datasets(run[0] / "results.h5")
    codes = datasets(run[0] / "codes.h5")["codes"]
    np.testing.assert_allclose(results["concepts/variance"], codes.var(0), rtol=1e-10)
    np.testing.assert_allclose(results["concepts/firing_rate"], (codes > 0).mean(0), rtol=1e-12)
    np.testing.assert_array_equal(results["concepts/last_tap"], results["vinformation"][-1])


def test_parts_add_up_to_the_complexity_and_to_the_temporal_score(run):
    concepts = datasets(run[0] / "results.h5")
    for whole, prefix, names in (
        ("complexity", "", ("unreadable", "late", "discarded")),
        ("temporal", "temporal_", ("unlearned", "late", "forgotten")),
    ):
        parts = [concepts[f"concepts/{prefix}{name}"] for name in names]
        assert all((values >= -1e-15).all() for values in parts)
        np.testing.assert_allclose(sum(parts), concepts[f"concepts/{whole}"], atol=1e-12)
        for name in names:
            assert np.isfinite(concepts[f"concepts/{prefix}{name}_se"]).all()
