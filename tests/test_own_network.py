"""Networks and checkpoints of the user's, through the whole pipeline."""

import importlib

import numpy as np
import torch
from contents import SMALL, datasets

from vinfo_mpi import Results
from vinfo_mpi.networks import checkpoints


def test_own_checkpoints_take_the_place_of_training(run, tmp_path, python):
    for epoch in (1, 2):
        state = checkpoints.at(run[0] / "checkpoints", epoch).content()["state"]
        of_module = {f"module.{name}": value for name, value in state.items()}
        torch.save({"state_dict": of_module}, tmp_path / f"mine_{epoch}.pth")
    folder = tmp_path / "own"
    settings = (f"network.checkpoints=['{tmp_path}/mine_*.pth']", "analyses=[]", "pages=[]")
    options = [*SMALL, *(word for setting in settings for word in ("--set", setting))]
    done = python("-m", "vinfo_mpi", *options, "--run-dir", folder)
    assert done.returncode == 0, done.stderr
    assert "train: up to date" in done.stderr
    results = Results(folder)
    expected = Results(run[0]).concepts["complexity"]
    assert results.concepts["complexity"].corr(expected) > 0.99
    assert list(results.dynamics.index) == [1, 2]


OWN = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(
            nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU()),
            nn.Sequential(nn.Conv2d(8, 12, 3, stride=2, padding=1), nn.ReLU()),
        )
        self.head = nn.Sequential(nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 10))

    def forward(self, images):
        return self.head(self.blocks(images).mean((2, 3)))
"""


def test_importance_of_a_network_with_a_curved_head_is_that_of_autograd(
    tmp_path, mpirun, monkeypatch
):
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "own.yaml").write_text("""
name: own
data: {source: digits, per_class: 12, image_size: 8}
network: {target: "own:Net"}
train: {epochs: 2, rate: 0.05}
extract: {taps: ["blocks.?"]}
dictionary: {concepts_per_class: 3}
machine: {batch: 7}
pages: []
""")
    done = mpirun(2, "-m", "vinfo_mpi", "--config", "own.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "runs/own"
    monkeypatch.syspath_prepend(tmp_path)
    network = importlib.import_module("own").Net().double()
    network.load_state_dict(checkpoints.at(folder / "checkpoints", 2).content()["state"])
    codes = torch.from_numpy(datasets(folder / "codes.h5")["codes"]).requires_grad_()
    atoms = torch.from_numpy(datasets(folder / "dictionary.h5")["atoms"])
    stored = datasets(folder / "activations/epoch_002.h5")
    assert "head/weight" not in stored
    predicted = torch.from_numpy(stored["samples/prediction"])[:, None]
    logits = network.head(codes @ atoms).gather(1, predicted).sum()
    contribution = (torch.autograd.grad(logits, codes)[0] * codes).detach().numpy()
    concepts = Results(folder).concepts
    np.testing.assert_allclose(
        concepts["importance"], np.abs(contribution).mean(0), rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(
        concepts["importance_signed"], contribution.mean(0), rtol=1e-9, atol=1e-12
    )
