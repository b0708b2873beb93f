import pickle
from itertools import combinations

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from vinfo_mpi.config.load import check_config
from vinfo_mpi.config.schema import Data, Difficulty, Extract, Planted, Predictivity
from vinfo_mpi.data import datasets, planted
from vinfo_mpi.data.loading import Loader, Preprocessing
from vinfo_mpi.errors import InputError
from vinfo_mpi.networks import taps
from vinfo_mpi.numerics import ridge

NAMES = ["colour", "texture", "shape", "relation"]


def load(images=3000, seed=0, **options):
    return datasets.load(Data(source="planted", planted=Planted(images=images, **options)), seed)


def pixels(images, count=None):
    return np.array([images.read(index) for index in range(len(images.labels))[:count]]).astype(float)


def score(x, z):
    """Held-out R² of scikit-learn's ridge: the last fifth, from the others."""
    cut = len(x) * 4 // 5
    return Ridge(1e-3 * len(x) * x.var()).fit(x[:cut], z[:cut]).score(x[cut:], z[cut:])


@pytest.fixture(scope="module")
def images():
    return load()


@pytest.fixture(scope="module")
def shown(images):
    return pixels(images)


# --- the same for everybody ---


def test_an_image_follows_from_seed_and_id(images, shown):
    fewer = load(100)
    for index in (99, 3, 42):
        assert np.array_equal(fewer.read(index), shown[index])
    for name, values in fewer.factors.items():
        assert np.array_equal(values, images.factors[name][:100])
    assert np.array_equal(fewer.labels, images.labels[:100])
    other = load(100, seed=1)
    assert not np.array_equal(other.read(3), shown[3])
    assert not np.array_equal(other.labels, fewer.labels)


def test_images_are_the_same_in_another_process(images, shown, python, tmp_path):
    (tmp_path / "read.pickle").write_bytes(pickle.dumps(images.read))
    program = (
        "import pickle, pathlib, sys, numpy as np\n"
        "read = pickle.loads(pathlib.Path('read.pickle').read_bytes())\n"
        "np.save('shown.npy', [read(index) for index in (7, 2999, 0)])"
    )
    done = python("-c", program, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert np.array_equal(np.load(tmp_path / "shown.npy"), shown[[7, 2999, 0]])


def test_worker_processes_read_the_same(images, shown):
    loader = Loader(images, Preprocessing(32, [0.0] * 3, [1.0] * 3, 32), torch.device("cpu"), workers=1)
    [(batch, ids, labels)] = loader.batches([np.array([5, 1, 8])])
    assert torch.equal((batch * 255).round(), torch.from_numpy(shown[[5, 1, 8]]).permute(0, 3, 1, 2).float())
    assert labels.tolist() == images.labels[ids].tolist()


def test_the_bytes_of_an_image_are_known():
    """Whoever changes what is drawn changes every result on it: say so, and change the number here."""
    read = load(10).read
    assert [int(np.asarray(read(index)).astype(int).ravel() @ np.arange(3072)) for index in (0, 9)] == [566208342, 527564059]


# --- factors and labels ---


def test_factors_are_balanced_and_independent():
    images = load(20000, predictivity=Predictivity(colour=0, shape=0, relation=0))
    bits = [images.labels & 1, images.labels >> 1 & 1, images.labels >> 2]
    noise = 5 / np.sqrt(20000)
    every = [*images.factors.values(), *bits]
    assert list(images.factors) == [*NAMES, "brightness", "noise"]
    assert all(set(images.factors[name]) == {0, 1} for name in NAMES)
    assert all(abs(values.mean() - 0.5) < noise / 2 for values in (*every[:4], *bits))
    assert all(abs(np.corrcoef(one, other)[0, 1]) < noise for one, other in combinations(every, 2))
    # Independent in all, not only in pairs: every combination of the four and the label is as frequent.
    cells = np.bincount(np.array(every[:4]).T.astype(int) @ [1, 2, 4, 8] + 16 * images.labels, minlength=128)
    assert np.square(cells - 20000 / 128).sum() / (20000 / 128) < 127 + 5 * np.sqrt(2 * 127)


@pytest.mark.parametrize("name, bit", [("colour", 0), ("texture", 0), ("shape", 1), ("relation", 2)])
@pytest.mark.parametrize("predictivity", [0.0, 0.4, 0.9, 1.0])
def test_predictivity_is_how_often_a_factor_agrees_with_its_bit(name, bit, predictivity):
    images = load(10000, predictivity=Predictivity(**{name: predictivity}))
    agrees = images.factors[name] == (images.labels >> bit & 1)
    other = images.factors[name] == (images.labels >> (bit + 1) % 3 & 1)
    chance = (1 + predictivity) / 2
    assert abs(agrees.mean() - chance) <= 5 * np.sqrt(chance * (1 - chance) / 10000)
    assert abs(other.mean() - 0.5) < 5 * np.sqrt(0.25 / 10000)


def test_by_default_the_label_is_colour_shape_and_relation(images):
    colour, shape, relation = (images.factors[name] for name in ("colour", "shape", "relation"))
    assert np.array_equal(images.labels, colour + 2 * shape + 4 * relation)
    assert images.classes[6] == "surface 0, form 1, pair 1"
    assert [images.test[images.labels == label].mean() for label in range(8)] == pytest.approx([0.2] * 8, abs=2e-3)


def test_some_of_the_images_are_analysed(images, shown):
    ids = images.analysed(Data(analyse="test", per_class=7), seed=0)
    assert len(ids) == 56
    assert images.test[ids].all()
    assert np.allclose(images.factors["brightness"][ids], shown[ids].mean((1, 2, 3)))


# --- what can be seen ---


@pytest.mark.parametrize("size", [16, 32, 48])
def test_brightness_is_the_mean_of_the_pixels(size):
    images = load(50, size=size)
    shown = pixels(images)
    assert shown.shape == (50, size, size, 3)
    assert images.read(0).mode == "RGB"
    assert np.abs(shown.mean((1, 2, 3)) - images.factors["brightness"]).max() < 1e-12
    assert 1 < shown.min() < shown.max() < 254  # nothing was cut off or wrapped round


def test_the_network_gets_the_brightness_as_it_is(images):
    loader = Loader(images, Preprocessing.of(Data(image_size=32)), torch.device("cpu"))
    [(batch, _, _)] = loader.batches([np.arange(50)])
    seen = batch.double().mean((1, 2, 3)) * 127.5 + 127.5
    assert np.allclose(seen, images.factors["brightness"][:50], rtol=1e-6)


def test_pooled_pixels_tell_brightness_and_colour_only(images, shown):
    found = ridge.r2(shown.mean((1, 2)), np.stack(list(images.factors.values()), 1)).r2
    assert dict(zip(images.factors, found, strict=True)) == pytest.approx(
        {"colour": 0.98, "texture": 0, "shape": 0, "relation": 0, "brightness": 1, "noise": 0}, abs=0.02
    )


def test_no_linear_read_out_of_the_pixels_tells_shape_or_relation(images, shown):
    raw = shown.reshape(len(shown), -1)
    assert score(raw, images.factors["colour"]) > 0.9
    assert score(raw, images.factors["brightness"]) > 0.99
    for name in ("shape", "relation", "noise"):
        assert score(raw, images.factors[name]) < 0.02


def test_the_energy_along_an_axis_tells_the_texture(images, shown):
    """One oriented filter each, squared and pooled."""
    energy = np.stack([np.square(np.diff(shown.mean(3), axis=axis)).mean((1, 2)) for axis in (1, 2)], 1)
    assert score(energy, images.factors["texture"]) > 0.9
    assert max(score(energy, images.factors[name]) for name in ("colour", "relation", "brightness", "noise")) < 0.05


def test_vinformation_is_one_where_a_factor_is_linear_and_nothing_where_it_is_not_there(images):
    """A network whose first tap is the image itself: the mean of its pixels is the brightness, exactly."""
    network = torch.nn.Sequential(torch.nn.Identity(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    loader = Loader(images, Preprocessing.of(Data(image_size=32)), torch.device("cpu"))
    [(batch, _, _)] = loader.batches([np.arange(3000)])
    x = taps.read(network, ["0", "2"], batch, Extract()).pooled["0"].numpy()
    scores = ridge.r2(x, np.stack([images.factors[name] for name in ("brightness", "noise")], 1))
    assert abs(scores.r2[0] - 1) < 1e-6
    assert scores.r2[1] <= 2 * ridge.jackknife(scores.without)[1] + 1e-3


# --- what difficulty takes away ---


def visible(name, difficulty):
    """How much the images of a factor's two values differ, from images that are the same in all else."""
    images = load(40, difficulty=Difficulty(**{name: difficulty}))
    options = images.read.args[0]
    both = [{**images.factors, name: np.full(40, float(value))} for value in (0, 1)]
    shown = [np.array([planted.draw(options, 0, one, index) for index in range(40)]).astype(float) for one in both]
    return np.abs(shown[0] - shown[1]).mean()


@pytest.mark.parametrize("name", NAMES[:3])
def test_difficulty_takes_visibility_away_but_not_all(name):
    easy, half, hard = (visible(name, difficulty) for difficulty in (0.0, 0.5, 1.0))
    assert easy > half > hard > 0.05 * easy


def test_a_hard_relation_lets_the_two_objects_differ_in_size_and_rotation():
    """Two of a kind are less alike: drawn one over the other, more of them does not coincide."""
    options = load(40).read.args[0]
    hard = options.model_copy(update={"difficulty": Difficulty(relation=1)})
    same = {**load(40).factors, "relation": np.ones(40), "shape": np.zeros(40)}
    assert any(not np.array_equal(planted.draw(options, 0, same, index), planted.draw(hard, 0, same, index)) for index in range(5))
    area = [
        np.mean([(planted.draw(one, 0, same, index).astype(float).mean(2) > 150).mean() for index in range(40)])
        for one in (options, hard)
    ]
    assert 0.5 * area[0] < area[1] < 0.98 * area[0]  # the second is smaller


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"predictivity": {"color": 1.0}}, "unknown key 'data.planted.predictivity.color'; did you mean 'colour'?"),
        ({"predictivity": {"colour": 1.5}}, "'data.planted.predictivity.colour' is 1.5"),
        ({"difficulty": {"shape": -1.0}}, "'data.planted.difficulty.shape' is -1.0"),
        ({"images": 0}, "'data.planted.images' is 0"),
    ],
)
def test_knobs_that_do_not_exist_or_are_out_of_range(change, sentence):
    with pytest.raises(InputError, match=sentence.replace("?", r"\?")):
        check_config({"network": {"name": "resnet18"}, "data": {"source": "planted", "planted": change}})
