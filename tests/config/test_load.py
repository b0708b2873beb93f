"""Reading a configuration: what is right, and the sentence for what is wrong."""

from pathlib import Path

import pytest
import yaml

from vinfo_mpi.config import schema
from vinfo_mpi.config.load import check_config, dump_config, load_config
from vinfo_mpi.errors import InputError

SHIPPED = sorted((Path(__file__).parents[2] / "config").glob("*.yaml"))


@pytest.fixture
def load(tmp_path):
    """Return load(text, *settings), which reads the text as a configuration file."""

    def load(text, *settings):
        path = tmp_path / "own.yaml"
        path.write_text(text)
        return load_config(path, list(settings))

    return load


@pytest.fixture
def refused(load):
    """Return refused(text, *settings), which returns the sentence that refuses it."""

    def refused(*arguments):
        with pytest.raises(InputError) as caught:
            load(*arguments)
        sentence = str(caught.value)
        assert "\n" not in sentence
        return sentence

    return refused


# --- what is right ---


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_configurations_load(path):
    assert load_config(path).name == path.stem


def test_what_is_not_named_has_its_default(load):
    settings = load("network: {name: resnet50}\ntrain:\n  epochs: 3")
    assert settings.train.epochs == 3
    assert settings.train.model_copy(update={"epochs": 0}) == schema.Train()
    assert settings.data == schema.Data()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_dump_reloads_to_the_same(load, path):
    settings = load_config(
        path, ["extract.taps=[layer4.*, conv1]", "extract.positions=3", "train.save=[1, 2]"]
    )
    assert load(dump_config(settings)) == settings


def test_set_overrides_the_file(load):
    text = "network: {name: resnet50}\ntrain: {epochs: 3, rate: 0.1}"
    settings = load(
        text,
        "train.epochs=5",
        "machine.workers=2",
        "extract.taps=[layer4.2]",
        "data.root=/data/x=y",
    )
    assert settings.train == schema.Train(epochs=5, rate=0.1)
    assert settings.machine.workers == 2
    assert settings.extract.taps == ["layer4.2"]
    assert settings.data.root == "/data/x=y"
    assert load(text, "network.name=null", "network.target=own:net").network.target == "own:net"


def test_whole_numbers_are_numbers(load):
    assert load("network: {name: resnet18}\ntrain: {rate: 1}").train.rate == 1.0


# --- unknown keys ---


@pytest.mark.parametrize(
    "text, line, key, nearest",
    [
        ("network: {name: resnet18}\ntrian: {}\n", 2, "trian", "train"),
        (
            "network: {name: resnet18}\n\ntrain:\n  epochs: 1\n  epoch: 2\n",
            5,
            "train.epoch",
            "epochs",
        ),
        ("network:\n  name: resnet18\n  weight: x\n", 3, "network.weight", "weights"),
    ],
)
def test_unknown_key(refused, text, line, key, nearest):
    sentence = refused(text)
    assert f"own.yaml, line {line}: unknown key '{key}'; did you mean '{nearest}'" in sentence


def test_unknown_key_like_no_other_lists_the_valid(refused):
    assert "unknown key 'encode.xyz'; valid: positions, tolerance" in refused(
        "network: {name: a}\nencode: {xyz: 1}"
    )


def test_unknown_key_of_set(refused):
    text = "network: {name: resnet18}"
    assert refused(text, "data.sourc=x").startswith(
        "--set: unknown key 'data.sourc'; did you mean 'source'?"
    )
    assert refused(text, "scroe.folds=4").startswith(
        "--set: unknown key 'scroe'; did you mean 'score'?"
    )


# --- wrong values ---


@pytest.mark.parametrize(
    "setting, sentence",
    [
        ("train: {epochs: twelve}", "'train.epochs' is 'twelve': input should be a valid integer"),
        ("train: {epochs: 1.5}", "'train.epochs' is 1.5: input should be a valid integer"),
        ("train: {epochs: -1}", "'train.epochs' is -1: input should be greater than or equal to 0"),
        ("train: {rate: '0.1'}", "'train.rate' is '0.1': input should be a valid number"),
        ("train: {save: most}", "'train.save' is 'most': input should be a valid list or 'all'"),
        ("extract: {taps: 3}", "'extract.taps' is 3: input should be a valid list or 'auto'"),
        ("extract: {taps: [1]}", "'extract.taps' is 1: input should be a valid string or 'auto'"),
        (
            "extract: {positions: none}",
            "'extract.positions' is 'none': input should be a valid integer or 'all'",
        ),
        (
            "extract: {positions: 0}",
            "'extract.positions' is 0: input should be greater than or equal to 1 or 'all'",
        ),
        ("extract: {pooling: max}", "'extract.pooling' is 'max': string should match pattern"),
        ("data: {mean: [a, 0.5, 0.5]}", "'data.mean' is 'a': input should be a valid number"),
        (
            "data: {analyse: most}",
            "'data.analyse' is 'most': input should be 'train', 'test' or 'all'",
        ),
        ("data:", "'data' is None: input should be a valid dictionary"),
        ("machine: {workers: true}", "'machine.workers' is True: input should be a valid integer"),
        (
            "dictionary: {solver: mu, atoms: signed}",
            "dictionary.solver: mu needs non-negative atoms; use hals",
        ),
        ("name: a/b", "'name' is 'a/b': string should match pattern"),
    ],
)
def test_wrong_value(refused, setting, sentence):
    assert f"own.yaml, line 2: {sentence}" in refused(f"network: {{name: resnet18}}\n{setting}\n")


def test_wrong_value_of_set(refused):
    sentence = refused("network: {name: resnet18}", "train.epochs=twelve")
    assert sentence.startswith("--set: 'train.epochs' is 'twelve': input should be a valid integer")


@pytest.mark.parametrize(
    "setting, sentence",
    [
        ("train.epochs", "--set train.epochs: expected a.b=value"),
        ("=3", "--set =3: expected a.b=value"),
        ("train.save=[1", "--set train.save=[1: the value is not YAML"),
        ("name.x=3", "--set name.x: 'name' is not a section"),
    ],
)
def test_set_that_is_none(refused, setting, sentence):
    assert sentence in refused("name: own\nnetwork: {name: resnet18}", setting)


# --- which network ---


def test_network_is_missing(refused):
    assert "'network' is missing" in refused("data: {source: digits}")


@pytest.mark.parametrize("network", ["{name: resnet18, target: 'own:net'}", "{weights: own.pt}"])
def test_network_comes_from_one_place(refused, network):
    assert "line 1: give exactly one of network.name and network.target" in refused(
        f"network: {network}"
    )


def test_width_is_for_small_images(refused):
    assert "network.width applies to small_images: true only" in refused(
        "network: {name: resnet18, width: 0.5}"
    )


def test_small_images_are_for_named_networks(refused):
    assert "small_images applies to network.name only" in refused(
        "network: {target: 'own:net', small_images: true}"
    )


@pytest.mark.parametrize("number", ["1e-5", "1E-5", "1.0e-5", "0.00001"])
def test_numbers_are_read_as_people_write_them(tmp_path, number):
    path = tmp_path / "own.yaml"
    path.write_text(f"network: {{name: resnet18}}\nencode: {{tolerance: {number}}}")
    assert load_config(path).encode.tolerance == 1e-5
    assert load_config(path, [f"dictionary.tolerance={number}"]).dictionary.tolerance == 1e-5


# --- files that are no configuration ---


@pytest.mark.parametrize(
    "content, sentence",
    [
        (None, "cannot read the configuration .*No such file.*check its path"),
        (b"network: {name: [", "is not YAML"),
        (b"\x89HDF\r\n\x1a\n\x00\xff", "is not YAML"),
        (b"- a\n- b\n", "holds no settings"),
        (b"", "holds no settings"),
    ],
    ids=["missing", "broken", "binary", "list", "empty"],
)
def test_file_that_is_no_configuration(tmp_path, content, sentence):
    path = tmp_path / "own.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=rf"^[^\n]*{sentence}[^\n]*$"):
        load_config(path)


def test_defaults_are_valid_themselves():
    settings = check_config({"network": {"name": "resnet18"}})
    assert check_config(yaml.safe_load(dump_config(settings))) == settings
