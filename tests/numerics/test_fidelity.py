import pytest
import torch

from vinfo_mpi.numerics.fidelity import Fidelity


def test_fidelity_adds_over_batches():
    generator = torch.Generator().manual_seed(0)
    pooled, rebuilt = (torch.rand(10, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    rows, rows_rebuilt = (torch.rand(40, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    kept = torch.arange(10) < 7
    fidelity = Fidelity()
    for half in (slice(0, 4), slice(4, 10)):
        positions = slice(4 * half.start, 4 * half.stop)
        fidelity.add((pooled[half], rebuilt[half]), (rows[positions], rows_rebuilt[positions]), kept[half])
    figures = fidelity.finish()
    assert figures["relative_error"] == pytest.approx(float((rebuilt - pooled).norm() / pooled.norm()))
    assert figures["relative_error_positions"] == pytest.approx(float((rows_rebuilt - rows).norm() / rows.norm()))
    assert figures["predictions_kept"] == 0.7
