"""Concepts of a tap in the middle of the network: its map, the network behind it, importance."""

import numpy as np
import pytest
import torch
from contents import SMALL, datasets
from small_run import on, run_stage

from vinfo_mpi import Results
from vinfo_mpi.config.load import load_config
from vinfo_mpi.errors import InputError, NotApplicable
from vinfo_mpi.networks import heads
from vinfo_mpi.networks.layouts import Tap
from vinfo_mpi.networks.taps import positions
from vinfo_mpi.run import freshness

TAP = "layer3.1"
SETTINGS = (
    f"dictionary.tap={TAP}", "data.per_class=6", "extract.maps=final", "dictionary.kind=joint",
    "dictionary.concepts=5", "importance.target=label",
)  # fmt: skip


@pytest.fixture(scope="module")
def view(run, tmp_path_factory):
    """The small run's network with concepts of another tap, up to their importance."""
    folder = tmp_path_factory.mktemp("another_tap")
    (folder / "checkpoints").symlink_to(run[0] / "checkpoints")
    made = on(folder, *SETTINGS)
    for stage in ("extract", "dictionary", "encode", "score", "importance"):
        made.begin()
        run_stage(made, stage)
    return made


def replay(view, ids, change):
    """Return the logits of the network, by plain PyTorch, whose map at the tap goes through."""
    network = view.subject.network(view.final).double().eval()
    module = network.get_submodule(TAP)
    handle = module.register_forward_hook(lambda module, inputs, output: change(output))
    images, _, _ = next(view.subject.loader.batches([ids]))
    logits = network(images.double())
    handle.remove()
    return logits


def test_map_codes_predictions_and_importance(view):
    stored = datasets(view.activations(view.final))
    made, codes = datasets(view.dictionary), datasets(view.codes)
    ids, maps = stored["samples/id"], torch.tensor(stored["penultimate/activations"]).double()
    seen = []
    replay(view, ids, seen.append)
    side = seen[0].shape[2]
    np.testing.assert_allclose(maps, seen[0].detach().flatten(2).transpose(1, 2), atol=1e-4)

    # Codes of every position by non-negative least squares, from scipy.
    from scipy.optimize import nnls

    atoms = torch.from_numpy(made["atoms"])
    z = np.stack([[nnls(made["atoms"].T, x)[0] for x in image] for image in maps.numpy()])
    np.testing.assert_allclose(codes["codes"], z.mean(1), atol=1e-3)

    # Predictions from the whole rebuilt maps, and contributions by the gradient along the codes.
    z = torch.from_numpy(z).requires_grad_()
    rebuilt = (z @ atoms).transpose(1, 2).reshape(len(ids), -1, side, side)
    logits = replay(view, ids, lambda output: rebuilt)
    kept = (logits.argmax(1).numpy() == stored["samples/prediction"]).mean()
    assert codes["fidelity/kept"].mean() == pytest.approx(kept, abs=2 / len(ids))
    labels = torch.from_numpy(stored["samples/label"])
    slopes = torch.autograd.grad(logits.gather(1, labels[:, None]).sum(), z)[0]
    contributions = (z * slopes).sum(1).detach()
    results = Results(view.outputs).concepts
    np.testing.assert_allclose(results["importance"], contributions.abs().mean(0), rtol=0.02)
    np.testing.assert_allclose(
        results["importance_signed"], contributions.mean(0), rtol=0.02, atol=1e-4
    )


def test_the_taps_behind_it_are_scored_as_well(view):
    vinformation = Results(view.outputs).vinformation
    assert list(vinformation.index)[-3:] == [TAP, "layer4.0", "layer4.1"]


def test_what_only_the_last_tap_has_is_left_out(view):
    with pytest.raises(NotApplicable, match=r"support removes concepts of the last tap"):
        run_stage(view, "support")


def test_another_tap_asks_for_another_extraction(run, view):
    assert freshness.is_current(view, "extract")
    assert not freshness.is_current(on(run[0], f"dictionary.tap={TAP}"), "extract")
    assert "dictionary" not in freshness.settings(on(run[0]).config, "extract")


@pytest.mark.parametrize("axes", ["NCHW", "NHWC", "NTC", "TNC", "NCT", "NC"])
@pytest.mark.parametrize("tokens", ["class", "mean"])
def test_a_map_in_its_own_place_changes_nothing(axes, tokens):
    lengths = {"N": 2, "C": 3, "H": 4, "W": 5, "T": 6}
    prefix = 2 if "T" in axes else 0
    tap = Tap("0", "0", axes=axes, prefix=prefix, tokens=tokens if "T" in axes else None)
    values = torch.rand([lengths[axis] for axis in axes])
    network = torch.nn.Sequential(torch.nn.Identity(), torch.nn.Identity())
    vectors = positions(values, tap)
    torch.testing.assert_close(heads.with_map(network, tap, values, vectors), values)
    doubled = heads.with_map(network, tap, values, 2 * vectors)
    torch.testing.assert_close(positions(doubled, tap), 2 * vectors)
    assert (doubled != values).sum() == vectors.numel()


def test_what_cannot_be_asked_of_another_tap():
    for settings in (
        ["dictionary.source=pca"],
        ["encode.positions=pooled"],
        ["extract.positions=2"],
    ):
        with pytest.raises(InputError, match=r"needs codes of every position: dictionary\.source"):
            load_config(SMALL[1], [f"dictionary.tap={TAP}", *settings])


def test_a_tap_that_is_not_read(view):
    wrong = on(view.folder, *SETTINGS[1:], "dictionary.tap=layer3.7")
    with pytest.raises(InputError, match=r"'layer3\.7' is not a tap that is read; did you mean"):
        run_stage(wrong, "extract")
