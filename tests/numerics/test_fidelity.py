import pytest
import torch

from vinfo_mpi.numerics import fidelity


def test_fidelity_adds_over_images():
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(10, 4, 3, generator=generator, dtype=torch.float64)
    rebuilt = torch.rand(10, 4, 3, generator=generator, dtype=torch.float64)
    same_prediction = torch.arange(10) < 7
    batches = [
        fidelity.of_images(x[rows], rebuilt[rows], same_prediction[rows])
        for rows in (slice(0, 4), slice(4, 10))
    ]
    figures = fidelity.finish(
        {name: torch.cat([batch[name] for batch in batches]) for name in fidelity.NAMES}
    )
    assert figures["relative_error"] == pytest.approx(
        float((rebuilt.mean(1) - x.mean(1)).norm() / x.mean(1).norm())
    )
    assert figures["relative_error_positions"] == pytest.approx(
        float((rebuilt - x).norm() / x.norm())
    )
    assert figures["predictions_kept"] == 0.7
    assert batches[0]["size"].shape == (4,)
