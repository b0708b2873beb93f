"""Does it measure what it says? Factors of known availability, in networks trained on them."""

import pytest
from contents import ROOT

from vinfo_mpi import Results

OPTIONS = [
    "--config", ROOT / "config/planted.yaml",
    "--set", "analyses=[]",
    "--set", "pages=[]",
    "--set", "data.planted.images=2000",
    "--set", "train.epochs=2",
    "--set", "train.save=[]",
]  # fmt: skip


@pytest.fixture(scope="module")
def factors(tmp_path_factory, mpirun):
    """Return factors(*settings): the table of factors, and their V-information, of such a run."""

    def make(*settings):
        folder = tmp_path_factory.mktemp("planted") / "run"
        done = mpirun(2, "-m", "vinfo_mpi", *OPTIONS, *settings, "--run-dir", folder)
        assert done.returncode == 0, done.stderr
        results = Results(folder)
        table = results.concepts.set_index("name")
        return table, results.vinformation.set_axis(table.index, axis=1)

    return make


@pytest.fixture(scope="module")
def resnet(factors):
    return factors()


@pytest.fixture(scope="module")
def vgg(factors):
    return factors("--set", "network.name=vgg11_bn", "--set", "train.rate=0.05")


@pytest.fixture(params=["resnet", "vgg"])
def network(request):
    return request.getfixturevalue(request.param)


def beyond_errors(table, simple, hard):
    """Whether a factor is simpler by more than three standard errors of the difference."""
    difference = table.loc[hard, "complexity"] - table.loc[simple, "complexity"]
    variance = table.loc[simple, "complexity_se"] ** 2 + table.loc[hard, "complexity_se"] ** 2
    return difference > 3 * variance**0.5


def test_colour_is_simplest(network):
    table, values = network
    assert values["colour"].min() > 0.9
    for name in ("texture", "shape", "relation", "brightness"):
        assert beyond_errors(table, "colour", name), table


def test_what_is_plain_to_see_and_predicts_nothing_is_discarded(network):
    table, values = network
    assert values["texture"].iloc[0] > 0.9
    assert table.loc["texture", "discarded"] > 0.2
    for name in ("texture", "brightness"):
        parts = table.loc[name, ["unreadable", "late", "discarded"]].astype(float)
        assert parts.idxmax() == "discarded"


def test_the_relation_comes_late(network):
    table, values = network
    assert values["relation"].iloc[0] < 0.1
    assert table.loc["relation", "late"] > 0.1


def test_what_is_not_in_the_image_has_no_vinformation(network):
    table, values = network
    assert values["noise"].max() < 0.005
    assert table.loc["noise", "unreadable"] > 0.99


def test_what_predicts_nothing_is_unimportant(resnet):
    table, _ = resnet
    assert table.loc["texture", "importance"] < 0.1 * table.loc["colour", "importance"]


def test_a_factor_that_predicts_more_is_more_important(resnet, factors):
    table, _ = factors("--set", "data.planted.predictivity={colour: 0.5, texture: 0.95}")
    assert table.loc["texture", "importance"] > 5 * resnet[0].loc["texture", "importance"]
    assert table.loc["colour", "importance"] < resnet[0].loc["colour", "importance"]
