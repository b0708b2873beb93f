"""Does it measure what it says? Factors of known availability, in networks trained on them."""

import pytest
from contents import ROOT

from vinfo_mpi import Results

OPTIONS = [
    "--config", ROOT / "config/planted.yaml",
    "--set", "data.planted.images=2000",
    "--set", "train.epochs=2",
    "--set", "train.save=[]",
]  # fmt: skip


@pytest.fixture(scope="module")
def factors(tmp_path_factory, mpirun):
    """Return factors(*settings): the table of factors, and their V-information, of such a run."""

    def make(*settings):
        folder = tmp_path_factory.mktemp("planted") / "run"
        done = mpirun(
            2, "-m", "vinfo_mpi.importance", *OPTIONS, *settings, "--run-dir", folder, limit=400
        )
        assert done.returncode == 0, done.stderr
        done = mpirun(2, "-m", "vinfo_mpi.score", *OPTIONS, *settings, "--run-dir", folder)
        assert done.returncode == 0, done.stderr
        results = Results(folder)
        table = results.concepts.set_index("name")
        return table, results.vinformation.set_axis(table.index, axis=1)

    return make


@pytest.fixture(scope="module")
def resnet(factors):
    return factors()


def beyond_errors(table, simple, hard):
    """Whether a factor is simpler by more than three standard errors of the difference."""
    difference = table.loc[hard, "complexity"] - table.loc[simple, "complexity"]
    variance = table.loc[simple, "complexity_se"] ** 2 + table.loc[hard, "complexity_se"] ** 2
    return difference > 3 * variance**0.5


def in_order(table):
    return beyond_errors(table, "colour", "shape") and beyond_errors(table, "shape", "relation")


def test_colour_is_simpler_than_shape_and_shape_than_relation_in_a_resnet(resnet):
    assert in_order(resnet[0]), resnet[0]


def test_colour_is_simpler_than_shape_and_shape_than_relation_in_a_vgg(factors):
    table, _ = factors("--set", "network.name=vgg11_bn", "--set", "train.rate=0.05")
    assert in_order(table), table


def test_what_is_not_in_the_image_has_no_vinformation(resnet):
    table, values = resnet
    assert values["noise"].max() < 0.005
    tolerance = max(0.005, 2 * table.loc["noise", "complexity_se"])
    assert table.loc["noise", "complexity"] == pytest.approx(1, abs=tolerance)


def test_an_available_factor_that_predicts_nothing_is_simple_and_unimportant(resnet):
    table, values = resnet
    assert values["texture"].iloc[0] > 0.9  # plain to see
    assert beyond_errors(table, "texture", "relation")
    assert table.loc["texture", "importance"] < 0.1 * table.loc["colour", "importance"]


def test_a_factor_that_predicts_more_is_more_important(resnet, factors):
    table, _ = factors("--set", "data.planted.predictivity={colour: 0.5, texture: 0.95}")
    assert table.loc["texture", "importance"] > 5 * resnet[0].loc["texture", "importance"]
    assert table.loc["colour", "importance"] < resnet[0].loc["colour", "importance"]
