"""A network that looks at the colour alone has all the bias that there is, on any ranks."""

from types import SimpleNamespace

import matplotlib.figure
import numpy as np
import pytest
from colour_network import NETWORK, SETTINGS
from contents import datasets

from vinfo_mpi import Results
from vinfo_mpi.analyses.bias import measure_bias
from vinfo_mpi.config.load import check_config
from vinfo_mpi.data import planted
from vinfo_mpi.errors import NotApplicable
from vinfo_mpi.figures.catalogue import FIGURES, missing
from vinfo_mpi.results.signs_of_others import SIGNS_OF_OTHERS

FIGURE = FIGURES["bias"]
MORE = ("data.planted.predictivity.colour=0.8", "data.planted.predictivity.texture=0.95")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, vinfo):
    """A network that decides by more red or blue, where texture would be right more often."""
    folder = tmp_path_factory.mktemp("biased")
    (folder / "own.py").write_text(NETWORK)
    (folder / "tiny.yaml").write_text(SETTINGS)
    done = vinfo(folder, "vinfo_mpi.analyses.bias", *MORE, ranks=2)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def biased(folder):
    return Results(folder / "run")


def test_all_of_the_bias_is_to_the_colour(biased):
    assert biased.names("bias/pairs") == ["colour over texture"]
    assert biased.read("bias/bias")[0] == pytest.approx(1, abs=0.01)
    surface = biased.read("bias/reliance")[0]
    np.testing.assert_allclose(surface, [1, 0, 0, 0], atol=0.01)
    np.testing.assert_allclose(biased.read("bias/optimum")[0], [0, 1, 0, 0], atol=0.01)
    predicts = biased.read("bias/predictivity")[0, :2]
    np.testing.assert_allclose(predicts, [0.9, 0.975], atol=0.03)


def test_the_colour_was_available_before_training(biased):
    factors = dict(zip(planted.BITS, biased.read("bias/availability").mean(0), strict=True))
    assert factors["colour"] > 0.9
    assert factors["relation"] < 0.1
    sign = next(sign for sign in SIGNS_OF_OTHERS if sign.needs == ("bias",))
    assert sign.measure(biased)[0] == pytest.approx(1, abs=0.01)


def test_the_figure_says_so(biased):
    axes = matplotlib.figure.Figure().subplots(1, 2)
    for ax, options in zip(axes, FIGURE.panels, strict=True):
        assert FIGURE.draw(biased, ax, **options).has_data()
    assert "decisions follow colour over texture by 1.00" in FIGURE.sentence(biased)
    assert FIGURE not in missing(biased)


def test_one_rank_finds_the_same(folder, vinfo):
    before = datasets(folder / "run/results.h5")
    done = vinfo(folder, "vinfo_mpi.analyses.bias", *MORE, options=("--force",))
    assert done.returncode == 0, done.stderr
    after = datasets(folder / "run/results.h5")
    assert after.keys() == before.keys()
    for name, values in before.items():
        if name.startswith("bias/"):
            np.testing.assert_array_equal(values, after[name])


def test_other_images_are_refused():
    digits = SimpleNamespace(config=check_config({"network": {"name": "resnet18"}}))
    with pytest.raises(NotApplicable, match="can be crossed"):
        measure_bias(digits, None)
