"""Images without labels: what would need them is refused before any work."""

import pytest
from contents import SMALL

from vinfo_mpi.config.load import load_config
from vinfo_mpi.errors import InputError
from vinfo_mpi.pipeline import measure

JOINT = ["train.epochs=0", "dictionary.kind=joint"]


@pytest.mark.parametrize(
    "settings, sentence",
    [
        (["train.epochs=1"], "training; set train.epochs: 0"),
        (["train.epochs=0"], "dictionary.kind: class-wise; set it to joint"),
        ([*JOINT, "importance.target=label"], "importance.target: label; set it to prediction"),
    ],
)
def test_settings_that_need_labels(settings, sentence):
    with pytest.raises(InputError, match=f"have no labels, which are needed by {sentence}"):
        measure._check_labels_not_needed(load_config(SMALL[1], settings))


@pytest.mark.parametrize("settings", [JOINT, ["train.epochs=0", "dictionary.source=pca"]])
def test_settings_that_do_not(settings):
    measure._check_labels_not_needed(load_config(SMALL[1], settings))
