import pickle
from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from sklearn.linear_model import Ridge

from vinfo_mpi.config.load import check_config
from vinfo_mpi.config.schema import Data, Difficulty, Extract, Planted, Predictivity
from vinfo_mpi.data import datasets, planted
from vinfo_mpi.data.loading import Loader, Preprocessing
from vinfo_mpi.errors import InputError
from vinfo_mpi.networks import taps
from vinfo_mpi.networks.layouts import Tap
from vinfo_mpi.numerics import ridge
from vinfo_mpi.numerics.complexity import jackknife

NAMES = ["colour", "texture", "shape", "relation"]


def load(images=3000, seed=0, **options):
    return datasets.load(Data(source="planted", planted=Planted(images=images, **options)), seed)


def pixels(images):
    read = [images.read(index) for index in range(len(images.labels))]
    return np.array(read).astype(float)


def score(x, z):
    """Held-out R² of scikit-learn's ridge: the last fifth, from the others."""
    cut = len(x) * 4 // 5
    return Ridge(1e-3 * len(x) * x.var()).fit(x[:cut], z[:cut]).score(x[cut:], z[cut:])


@pytest.fixture(scope="module")
def images():
    return load()


@pytest.fixture(scope="module")
def pictures(images):
    return pixels(images)


# --- the same for everybody ---


def test_an_image_follows_from_seed_and_id(images, pictures):
    fewer = load(100)
    for index in (99, 3, 42):
        assert np.array_equal(fewer.read(index), pictures[index])
    for name, values in fewer.factors.items():
        assert np.array_equal(values, images.factors[name][:100])
    assert np.array_equal(fewer.labels, images.labels[:100])
    other_seed = load(100, seed=1)
    assert not np.array_equal(other_seed.read(3), pictures[3])
    assert not np.array_equal(other_seed.labels, fewer.labels)


def test_images_are_the_same_in_another_process(images, pictures, python, tmp_path):
    (tmp_path / "read.pickle").write_bytes(pickle.dumps(images.read))
    program = (
        "import pickle, pathlib, sys, numpy as np\n"
        "read = pickle.loads(pathlib.Path('read.pickle').read_bytes())\n"
        "np.save('pictures.npy', [read(index) for index in (7, 2999, 0)])"
    )
    done = python("-c", program, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert np.array_equal(np.load(tmp_path / "pictures.npy"), pictures[[7, 2999, 0]])


def test_worker_processes_read_the_same(images, pictures):
    loader = Loader(
        images, Preprocessing((32, 32), [0.0] * 3, [1.0] * 3, 32), torch.device("cpu"), workers=1
    )
    [(batch, ids, labels)] = loader.batches([np.array([5, 1, 8])])
    assert torch.equal(
        (batch * 255).round(), torch.from_numpy(pictures[[5, 1, 8]]).permute(0, 3, 1, 2).float()
    )
    assert labels.tolist() == images.labels[ids].tolist()


def test_the_bytes_of_an_image_are_known():
    """Whoever changes what is drawn changes every result on it: say so, and change the numbers."""
    read = load(10).read
    bytes_of_images = [np.asarray(read(index)).astype(int).ravel() for index in (0, 9)]
    assert [int(values @ np.arange(3072)) for values in bytes_of_images] == [577143363, 537056008]


# --- factors and labels ---


def test_factors_are_balanced_and_independent():
    images = load(20000, predictivity=Predictivity(colour=0, shape=0, relation=0))
    bits = [images.labels & 1, images.labels >> 1 & 1, images.labels >> 2]
    noise = 5 / np.sqrt(20000)
    columns = [*images.factors.values(), *bits]
    assert list(images.factors) == [*NAMES, "brightness", "noise"]
    assert all(set(images.factors[name]) == {0, 1} for name in NAMES)
    assert all(abs(values.mean() - 0.5) < noise / 2 for values in (*columns[:4], *bits))
    assert all(abs(np.corrcoef(pair)[0, 1]) < noise for pair in combinations(columns, 2))
    # Independent in all, not only in pairs: every combination of the four and the label is as
    # frequent.
    combination = np.array(columns[:4]).T.astype(int) @ [1, 2, 4, 8] + 16 * images.labels
    cells = np.bincount(combination, minlength=128)
    assert np.square(cells - 20000 / 128).sum() / (20000 / 128) < 127 + 5 * np.sqrt(2 * 127)


@pytest.mark.parametrize(
    "name, bit", [("colour", 0), ("texture", 0), ("shape", 1), ("relation", 2)]
)
@pytest.mark.parametrize("predictivity", [0.0, 0.4, 0.9, 1.0])
def test_predictivity_is_how_often_a_factor_agrees_with_its_bit(name, bit, predictivity):
    images = load(10000, predictivity=Predictivity(**{name: predictivity}))
    agrees = images.factors[name] == (images.labels >> bit & 1)
    agrees_with_next = images.factors[name] == (images.labels >> (bit + 1) % 3 & 1)
    chance = (1 + predictivity) / 2
    assert abs(agrees.mean() - chance) <= 5 * np.sqrt(chance * (1 - chance) / 10000)
    assert abs(agrees_with_next.mean() - 0.5) < 5 * np.sqrt(0.25 / 10000)


def test_by_default_the_label_is_colour_shape_and_relation(images):
    factors = images.factors
    expected = factors["colour"] + 2 * factors["shape"] + 4 * factors["relation"]
    assert np.array_equal(images.labels, expected)
    assert images.classes[6] == "surface 0, form 1, pair 1"
    held_out = [images.test[images.labels == label].mean() for label in range(8)]
    assert held_out == pytest.approx([0.2] * 8, abs=2e-3)


def test_some_of_the_images_are_analysed(images, pictures):
    ids = images.analysed(Data(analyse="test", per_class=7), seed=0)
    assert len(ids) == 56
    assert images.test[ids].all()
    assert np.allclose(images.factors["brightness"][ids], pictures[ids].mean((1, 2, 3)))


# --- what can be seen ---


@pytest.mark.parametrize("size", [16, 32, 48])
def test_brightness_is_the_mean_of_the_pixels(size):
    images = load(50, size=size)
    pictures = pixels(images)
    assert pictures.shape == (50, size, size, 3)
    assert images.read(0).mode == "RGB"
    assert np.abs(pictures.mean((1, 2, 3)) - images.factors["brightness"]).max() < 1e-12
    assert 1 < pictures.min() < pictures.max() < 254  # nothing was cut off or wrapped round


def test_the_network_gets_the_brightness_as_it_is(images):
    loader = Loader(images, Preprocessing.from_config(Data(image_size=32)), torch.device("cpu"))
    [(batch, _, _)] = loader.batches([np.arange(50)])
    brightness = batch.double().mean((1, 2, 3)) * 127.5 + 127.5
    assert np.allclose(brightness, images.factors["brightness"][:50], rtol=1e-6)


def test_pooled_pixels_tell_brightness_and_colour_only(images, pictures):
    r2 = ridge.r2(pictures.mean((1, 2)), np.stack(list(images.factors.values()), 1)).r2
    assert dict(zip(images.factors, r2, strict=True)) == pytest.approx(
        {"colour": 0.98, "texture": 0, "shape": 0, "relation": 0, "brightness": 1, "noise": 0},
        abs=0.02,
    )


def test_no_linear_read_out_of_the_pixels_tells_shape_or_relation(images, pictures):
    raw = pictures.reshape(len(pictures), -1)
    assert score(raw, images.factors["colour"]) > 0.9
    assert score(raw, images.factors["brightness"]) > 0.99
    for name in ("shape", "relation", "noise"):
        assert score(raw, images.factors[name]) < 0.02


def test_the_energy_along_an_axis_tells_the_texture(images, pictures):
    """One oriented filter each, squared and pooled."""
    grey = pictures.mean(3)
    energy = np.stack([np.square(np.diff(grey, axis=axis)).mean((1, 2)) for axis in (1, 2)], 1)
    assert score(energy, images.factors["texture"]) > 0.9
    for name in ("colour", "relation", "brightness", "noise"):
        assert score(energy, images.factors[name]) < 0.05


def test_vinformation_is_one_where_a_factor_is_linear_and_nothing_where_it_is_not_there(images):
    """A network whose first tap is the image: the mean of its pixels is the brightness, exactly."""
    network = torch.nn.Sequential(
        torch.nn.Identity(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
    )
    loader = Loader(images, Preprocessing.from_config(Data(image_size=32)), torch.device("cpu"))
    [(batch, _, _)] = loader.batches([np.arange(3000)])
    x = (
        taps.read(network, [Tap("0", "0"), Tap("2", "2", axes="NC")], batch, Extract())
        .pooled["0"]
        .numpy()
    )
    scores = ridge.r2(x, np.stack([images.factors[name] for name in ("brightness", "noise")], 1))
    assert abs(scores.r2[0] - 1) < 1e-6
    assert scores.r2[1] <= 2 * jackknife(scores.without)[1] + 1e-3


# --- the relation ---


def places(stacked=False, hard=0.0, count=4000):
    """Return the centres of both objects in so many images: (count, 2, 2)."""
    rng = np.random.default_rng(0)
    return np.array([planted._places(stacked, hard, rng) for _ in range(count)])


def test_one_relation_is_the_other_with_the_axes_exchanged():
    assert np.array_equal(places(stacked=True), places(stacked=False)[..., ::-1])
    across, along = np.abs(np.diff(places(), axis=1))[:, 0].T
    assert np.allclose(along, planted.APART)
    assert across.max() <= 1


@pytest.mark.parametrize("hard", [0.0, 1.0])
@pytest.mark.parametrize("number", [0, 1])
def test_an_object_alone_lies_anywhere_whatever_the_relation(number, hard):
    """Uniform in the square, which stays what it is when the axes are exchanged."""
    cells = (places(hard=hard)[:, number] - planted.MARGIN) / (32 - 2 * planted.MARGIN) * 6
    counts = np.histogram2d(*cells.T, bins=6, range=[(0, 6), (0, 6)])[0]
    assert counts.sum() == 4000
    assert chisquare(counts.ravel()).pvalue > 1e-3


def test_one_read_out_tells_the_relation_of_angular_and_of_round_objects(images, pictures):
    """What is coloured spreads along the axis: fitted on one family, read on the other."""
    coloured = np.clip(np.abs(pictures[..., 0] - pictures[..., 2]) - 40, 0, None)
    coloured /= coloured.sum((1, 2), keepdims=True)
    pixel = np.arange(32)
    spread = [
        (side @ pixel**2 - (side @ pixel) ** 2) for side in (coloured.sum(1), coloured.sum(2))
    ]
    spread = np.stack(spread, 1)
    relation = images.factors["relation"]
    angular = images.factors["shape"] == 0
    fitted = Ridge(1e-3).fit(spread[angular], relation[angular])
    assert fitted.score(spread[~angular], relation[~angular]) > 0.9


# --- what difficulty takes away ---


def visible(name, difficulty):
    """How much images that differ in a factor alone differ to the eye."""
    images = load(40, difficulty=Difficulty(**{name: difficulty}))
    options = images.read.args[0].args[0]
    low = drawn(options, {**images.factors, name: np.zeros(40)})
    high = drawn(options, {**images.factors, name: np.ones(40)})
    return np.abs(low - high).mean()


def drawn(options, factors):
    return np.array([planted.draw(options, 0, factors, index) for index in range(40)]).astype(float)


@pytest.mark.parametrize("name", NAMES[:3])
def test_difficulty_takes_visibility_away_but_not_all(name):
    easy = visible(name, 0.0)
    hard = visible(name, 1.0)
    assert easy > visible(name, 0.5) > hard > 0.05 * easy


def test_objects_of_a_hard_relation_lie_less_in_line_but_still_along_its_axis():
    across, along = np.abs(np.diff(places(hard=1.0), axis=1))[:, 0].T
    assert across.max() > 7
    assert (across < along).all()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"predictivity": {"color": 1.0}},
            "unknown key 'data.planted.predictivity.color'; did you mean 'colour'?",
        ),
        ({"predictivity": {"colour": 1.5}}, "'data.planted.predictivity.colour' is 1.5"),
        ({"difficulty": {"shape": -1.0}}, "'data.planted.difficulty.shape' is -1.0"),
        ({"images": 0}, "'data.planted.images' is 0"),
    ],
)
def test_knobs_that_do_not_exist_or_are_out_of_range(change, sentence):
    settings = {"network": {"name": "resnet18"}, "data": {"source": "planted", "planted": change}}
    with pytest.raises(InputError, match=sentence.replace("?", r"\?")):
        check_config(settings)
