"""What a few images tell beforehand, however many of them go through the network at once."""

import numpy as np
import pytest
import torch
from small_run import on

from vinfo_mpi.networks import taps
from vinfo_mpi.networks.positions import PILOT
from vinfo_mpi.pipeline import measure
from vinfo_mpi.stages import pilot


@torch.inference_mode()
def test_the_pilot_runs_in_batches_of_the_machine(tmp_path, monkeypatch):
    counts = []
    read = taps.read

    def counted(network, names, images, *more):
        counts.append(len(images))
        return read(network, names, images, *more)

    monkeypatch.setattr(taps, "read", counted)
    network = on(tmp_path).subject.network().eval()

    def looked(batch):
        run = on(tmp_path, f"machine.batch={batch}")
        return pilot.look_ahead(run, network, pilot.few_images(run), True)

    together = looked(PILOT)
    batches = looked(10)
    assert counts == [64, 10, 10, 10, 10, 10, 10, 4]
    assert together.taps == batches.taps
    assert together.map_shape == batches.map_shape
    assert together.outputs == batches.outputs
    assert together.head is not None and batches.head is not None
    assert together.shifts.keys() == batches.shifts.keys()
    assert len(together.shifts) > len(together.taps)
    for name, shift in together.shifts.items():
        assert batches.shifts[name] == pytest.approx(shift, abs=1e-5), name
        assert np.abs(shift).max() > 1e-3


def test_smaller_batches_need_less_memory_than_the_pilots_images_together(tmp_path):
    few = measure.sizes(on(tmp_path, "machine.batch=8")).forward
    pilot = measure.sizes(on(tmp_path, f"machine.batch={PILOT}")).forward
    assert few == pytest.approx(pilot * 8 / PILOT)
