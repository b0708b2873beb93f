"""A network that decides by a colour is found out; what is read beside scikit-learn."""

import h5py
import numpy as np
import pytest
from sklearn.linear_model import Ridge

from vinfo_mpi import Results
from vinfo_mpi.figures.catalogue import FIGURES

NETWORK = """
import torch
from torch import nn

def network():
    torch.manual_seed(0)
    look = nn.Conv2d(3, 6, 3, padding=1)
    head = nn.Linear(6, 8)
    with torch.no_grad():
        look.weight[:2] = 0
        look.bias[:2] = 0
        look.weight[0, [0, 2], 1, 1] = torch.tensor([1.0, -1.0])
        look.weight[1] = -look.weight[0]
        head.weight.zero_()
        head.bias.zero_()
        head.weight[1, 0] = 1
        head.weight[0, 1] = 1
    return nn.Sequential(look, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
"""
SETTINGS = """
data:
  source: planted
  image_size: 16
  test_share: 0.5
  planted: {images: 1000, size: 16, predictivity: {colour: 0.8}}
network: {target: "own:network"}
train: {epochs: 0}
extract: {taps: ["1"]}
dictionary: {source: neurons}
machine: {device: cpu}
"""


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
