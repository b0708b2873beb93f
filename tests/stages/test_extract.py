"""What a few images tell beforehand does not depend on how many of them go through the network at once."""

import numpy as np
import pytest
import torch
from small_run import on

from vinfo_mpi.networks import taps
from vinfo_mpi.networks.positions import PILOT
from vinfo_mpi.pipeline import measure
from vinfo_mpi.stages import extract


@torch.inference_mode()
def test_the_pilot_runs_in_batches_of_the_machine(tmp_path, monkeypatch):
    counts, read = [], taps.read
    monkeypatch.setattr(
        taps, "read", lambda network, names, images, *rest: counts.append(len(images)) or read(network, names, images, *rest)
    )
    run = on(tmp_path)
    network = run.subject.network().eval()
    together, apart = (extract.look_ahead(on(tmp_path, f"machine.batch={size}"), network, True) for size in (PILOT, 10))
    assert counts == [64, 10, 10, 10, 10, 10, 10, 4]
    assert (together.taps, together.map_shape, together.outputs) == (apart.taps, apart.map_shape, apart.outputs)
    assert together.head is not None and apart.head is not None
    assert together.shifts.keys() == apart.shifts.keys() and len(together.shifts) > len(together.taps)
    for name, shift in together.shifts.items():
        assert apart.shifts[name] == pytest.approx(shift, abs=1e-5), name
        assert np.abs(shift).max() > 1e-3


def test_smaller_batches_need_less_memory_than_the_pilots_images_together(tmp_path):
    few, pilot = (measure.sizes(on(tmp_path, f"machine.batch={size}")).forward for size in (8, PILOT))
    assert few == pytest.approx(pilot * 8 / PILOT)
