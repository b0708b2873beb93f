"""What is said of the samples once they are extracted."""

import logging

import numpy as np
import pytest
from contents import datasets
from small_run import on, run_stage

from vinfo_mpi.concepts import vinformation
from vinfo_mpi.config.schema import Network
from vinfo_mpi.networks import architectures
from vinfo_mpi.stages import extracted_checks

COPIES = """
import numpy as np
from vinfo_mpi.data.images import Images

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), np.uint8)
PIXELS[[7, 31, 38]] = PIXELS[[3, 3, 22]]

def images():
    labels = np.arange(40) % 10
    names = [f"{number}.png" for number in range(40)]
    return Images(PIXELS.__getitem__, labels, labels < 0, list("abcdefghij"), names=names)
"""


def test_copies_of_an_image_are_said_and_share_a_fold(tmp_path, monkeypatch, caplog):
    (tmp_path / "copied.py").write_text(COPIES)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(logging.getLogger("vinfo_mpi"), "propagate", True)
    run = on(tmp_path / "run", "data.source=copied:images", "train.epochs=0")
    for stage in ("train", "extract"):
        run_stage(run, stage)
    assert "3 of 40 images are copies of others" in caplog.text
    assert "(such as 7.png of 3.png)" in caplog.text
    stored = datasets(run.activations(run.final))
    assert len(np.unique(stored["samples/content"])) == 37
    ids = stored["samples/id"].tolist()
    with run.open_activations(run.final) as activations:
        originals = dict(zip(ids, activations.ids_of_originals().tolist(), strict=True))
        fold = vinformation.fold_of_rows(run, activations, activations).tolist()
    assert {copy: of for copy, of in originals.items() if copy != of} == {7: 3, 31: 3, 38: 22}
    fold_of = dict(zip(ids, fold, strict=True))
    assert fold_of[3] == fold_of[7] == fold_of[31]
    assert fold_of[22] == fold_of[38]

    # An untrained network is right by chance, one image in ten.
    for promise, said in ((0.7, True), (0.05, False)):
        caplog.clear()
        monkeypatch.setattr(architectures, "promised_accuracy", lambda network, p=promise: p)
        extracted_checks.say_what_stands_out(run)
        assert ("reports 70.0 % on ImageNet's" in caplog.text) == said


def test_what_weights_promise_is_what_torchvision_says():
    network = Network(name="squeezenet1_1", weights="IMAGENET1K_V1")
    assert architectures.promised_accuracy(network) == pytest.approx(0.58178)
    for others in ({"weights": None}, {"weights": "own.pth"}, {"checkpoints": ["own.pth"]}):
        assert architectures.promised_accuracy(network.model_copy(update=others)) is None
