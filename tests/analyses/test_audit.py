"""A network that decides by a colour is found out; what is read beside scikit-learn."""

import h5py
import numpy as np
import pytest
from colour_network import NETWORK, SETTINGS
from contents import datasets
from sklearn.linear_model import Ridge

from vinfo_mpi import Results
from vinfo_mpi.figures.catalogue import FIGURES


@pytest.fixture(scope="module")
def audited(tmp_path_factory, vinfo):
    """A network that decides by whether there is more red or blue, where that misleads by 10 %."""
    folder = tmp_path_factory.mktemp("audited")
    (folder / "own.py").write_text(NETWORK)
    (folder / "tiny.yaml").write_text(SETTINGS)
    done = vinfo(folder, "vinfo_mpi.analyses.audit")
    assert done.returncode == 0, done.stderr
    return Results(folder / "run")


def test_the_planted_shortcut_is_named_first(audited):
    assert "Decisions rest most on colour: " in FIGURES["audit"].sentence(audited)
    names = audited.names("audit/factors")
    importance = audited.read("audit/importance").mean(1)
    given = names.index("noise") + 1
    assert names[importance[:given].argmax()] == "colour"
    assert importance[names.index("colour")] > 0.9
    gap = audited.read("audit/gap")[names.index("colour")]
    assert gap > 3 * audited.read("audit/gap_se")[names.index("colour")]
    for control in ("texture", "noise"):
        number = names.index(control)
        assert abs(audited.read("audit/gap")[number]) < 3 * audited.read("audit/gap_se")[number]
    # Without the colour nothing is left to decide by.
    assert audited.read("audit/gap_without")[names.index("colour")] < 0.05
    for follows in ("shape", "relation"):
        assert np.isnan(audited.read("audit/gap")[names.index(follows)])


def test_readable_within_classes_as_scikit_learn_finds_it(audited):
    with h5py.File(audited.path.parent / "activations" / "epoch_000.h5") as file:
        x = file["taps/1/activations"][()].astype(float)
        labels = file["samples/label"][()]
    from vinfo_mpi.config.schema import Planted, Predictivity
    from vinfo_mpi.data import planted

    options = Planted(images=1000, size=16, predictivity=Predictivity(colour=0.8))
    _, factors = planted.design(options, 0)
    z = factors["brightness"]
    means = [np.stack([values[labels == label].mean(0) for label in labels]) for values in (x, z)]
    x, z = x - means[0], z - means[1]
    half = np.arange(1000) % 5 == 0
    model = Ridge(1e-6).fit(x[~half], z[~half])
    number = audited.names("audit/factors").index("brightness")
    within = audited.read("audit/within")[-1, number]
    assert within == pytest.approx(model.score(x[half], z[half]), abs=0.01)


def test_two_ranks_find_the_same(audited, vinfo):
    folder = audited.path.parent.parent
    before = datasets(audited.path)
    done = vinfo(folder, "vinfo_mpi.analyses.audit", options=("--force",), ranks=2)
    assert done.returncode == 0, done.stderr
    after = datasets(audited.path)
    of_audit = [name for name in before if name.startswith("audit/")]
    assert len(of_audit) > 20
    for name in of_audit:
        if before[name].dtype.kind in "SO":
            np.testing.assert_array_equal(before[name], after[name])
        else:
            np.testing.assert_allclose(before[name], after[name], rtol=1e-6, atol=1e-9)
