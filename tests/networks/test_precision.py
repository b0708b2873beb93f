"""Arithmetic with fewer digits: what it changes, what it leaves, and where it is refused."""

import pytest
import torch
from small_run import on, run_stage

from vinfo_mpi.errors import InputError
from vinfo_mpi.networks import precision, taps
from vinfo_mpi.parallel.devices import Binding
from vinfo_mpi.storage.activations import ActivationReader

CPU = torch.device("cpu")
SETTINGS = ("data.per_class=4", "train.epochs=0", "machine.batch=40")


def extracted(folder, *settings):
    """Return tensors of what an untrained network shows of 40 images, and the file's head."""
    run = on(folder, *SETTINGS, *settings)
    run.subject.skipped = frozenset()
    if not run.final.path.exists():
        run_stage(run, "train")
    run_stage(run, "extract")
    with ActivationReader(run.activations(run.final)) as file:
        shown = {tap: file.read(f"taps/{tap}/activations") for tap in file.taps}
        return run, shown | {"outputs": file.read("outputs")}, "head/weight" in file


def spread(values, other):
    """Return the largest difference, in standard deviations of the values."""
    return abs(values - other).max() / values.std()


@pytest.fixture(scope="module")
def exact(tmp_path_factory):
    """What the network shows in float32."""
    _, shown, linear = extracted(tmp_path_factory.mktemp("exact"))
    assert linear
    return shown


def test_bfloat16_is_what_torch_computes_with_pooled_in_float32(tmp_path, exact):
    run, rounded, linear = extracted(tmp_path, "extract.precision=bfloat16")
    assert linear
    network = run.subject.network(run.final).eval()
    ids = run.subject.ids
    [(images, *_)] = run.subject.loader.batches([ids])
    [tap] = [tap for tap in taps.find(network, run.config.extract, images[:1]) if "4.1" in tap.name]
    shown = []
    network.get_submodule(tap.module).register_forward_hook(lambda *call: shown.append(call[2]))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        outputs = network(images)
    assert shown[0].dtype == torch.bfloat16
    means = shown[0].double().mean((2, 3))
    with ActivationReader(run.activations(run.final)) as file:
        stored = file.read(f"taps/{tap.name}/activations") + file.read(f"taps/{tap.name}/shift")
    assert stored == pytest.approx(means.numpy(), abs=1e-5)
    assert rounded["outputs"] == pytest.approx(outputs.float().numpy(), abs=1e-6)
    for name, values in exact.items():
        assert 1e-5 < spread(values, rounded[name]) < 0.2, name


def test_channels_last_changes_last_digits_alone(tmp_path, exact):
    run, other, linear = extracted(tmp_path, "network.channels_last=true")
    weight = run.subject.network().layer1[0].conv1.weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert linear
    for name, values in exact.items():
        assert spread(values, other[name]) < 1e-4, name


def test_results_know_their_precision_and_those_before_it_stay_good(tmp_path):
    def identities(*settings):
        config = on(tmp_path, *settings).config
        return config.network.identity(), config.train.identity(), config.extract.identity()

    plain = identities()
    assert not {"precision", "channels_last"} & {name for section in plain for name in section}
    for number, setting in enumerate(
        ["network.channels_last=true", "train.precision=bfloat16", "extract.precision=tf32"]
    ):
        assert identities(setting)[number] != plain[number]


def test_training_with_bfloat16_learns(tmp_path):
    settings = ("train.epochs=1", "train.per_class=4", "train.precision=bfloat16")
    run = on(tmp_path, *SETTINGS, *settings)
    run.subject.skipped = frozenset()
    run.bindings = [Binding("here", "cpu", "", "", 1)]
    run_stage(run, "train")
    before = run.subject.network(run.checkpoints[0]).state_dict()
    after = run.subject.network(run.final).state_dict()
    assert all(value.dtype != torch.bfloat16 for value in after.values())
    assert not torch.equal(before["fc.weight"], after["fc.weight"])


def test_training_in_float64_resumes_to_the_last_digit_and_is_analysed_in_float32(tmp_path):
    more = ("train.epochs=2", "train.per_class=4", "train.batch=20", "train.precision=float64")
    run = on(tmp_path, *SETTINGS, *more)
    run.subject.skipped = frozenset()
    run.bindings = [Binding("here", "cpu", "", "", 1)]
    run_stage(run, "train")
    trained = run.final.content()
    assert {value.dtype for value in trained["state"].values()} == {torch.float64, torch.int64}
    run.final.path.unlink()
    run_stage(run, "train")
    assert run.final.content()["fingerprint"] == trained["fingerprint"]
    network = run.subject.network(run.final)
    assert {value.dtype for value in network.parameters()} == {torch.float32}
    # The same on every machine (AVX2 or not, MKL, oneDNN): rounding differences hardly grow.
    assert trained["state"]["fc.weight"].abs().mean().item() == pytest.approx(0.0860644, abs=1e-7)


def test_tf32_is_refused_where_there_is_none(tmp_path):
    run = on(tmp_path, *SETTINGS, "extract.precision=tf32")
    with pytest.raises(
        InputError, match=r"^extract\.precision: tf32 is .* on the cpu; set float32"
    ):
        run_stage(run, "extract")
    precision.check("bfloat16", CPU, "extract.precision")
