"""Express the last tap of every image in the dictionary: codes, averaged over positions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from vinfo_mpi.concepts import encoders, encoders_costs
from vinfo_mpi.concepts.onwards import Onwards
from vinfo_mpi.concepts.stored import Observed
from vinfo_mpi.costs import formulas
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.numerics import fidelity
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage import codes as codes_file
from vinfo_mpi.storage.activations import MAP, ActivationReader
from vinfo_mpi.storage.row_file import RowFile
from vinfo_mpi.storage.rows import batch_rows


def encode_images(run: Run, part: Part) -> None:
    """Write the codes of all images, and how faithful they are."""
    with run.open_activations(run.final) as activations:
        blocks = ImageBlocks(run, activations)
        n, positions, _ = activations.shape(MAP)
        columns = codes_file.columns(len(blocks.atoms))
        size = batch_rows(columns, max(1, run.config.machine.rows // positions))
        file = run.row_file(run.codes, columns, n, part.provenance, resume=True)
        with run.writer([file], size) as writer:
            if file.reused:
                log.info("encode: %d images reused, %d to do", file.reused, n - file.reused)
            for block in run.progress(writer.todo, "encode: blocks"):
                writer.write(block.start, blocks.encode(block))
            writer.drain()
            figures = _faithfulness(run, file)
            file.attributes |= figures
    kept = f"{100 * figures['predictions_kept']:.2f} % of the predictions kept"
    log.info(
        "encode: relative error %.4f, %s, KKT residual %.1e",
        figures["relative_error"],
        kept if run.config.network.classifies else "no predictions (network.outputs: none)",
        figures["kkt_residual"],
    )
    if figures["kkt_residual"] > run.config.encode.tolerance:
        log.warning(
            "encode: not all codes reached encode.tolerance (%g); raise encode.max_iterations",
            run.config.encode.tolerance,
        )


def costs(work: Workload) -> Costs:
    """Return what encoding takes."""
    columns = codes_file.columns(work.sizes.concepts)
    return Costs(
        memory=encoders_costs.memory(work),
        host=encoders_costs.host(work),
        operations=encoders_costs.operations(work),
        sent=work.sent(len(fidelity.NAMES) + 1),
        disk={"codes": formulas.row_file(work, columns, tables=0)},
    )


class ImageBlocks:
    """The analysed images, encoded block by block.

    Attributes
    ----------
    atoms : (K, d) tensor
        Of the run's dictionary.
    """

    def __init__(self, run: Run, activations: ActivationReader) -> None:
        self.run = run
        self.activations = activations
        self.atoms, self.offset = encoders.decoder(run)
        self._encoder = encoders.encoder(run)
        self._logits = _logits_of(run, activations) if run.config.network.classifies else None
        self._observed = Observed(run, activations)

    def encode(self, block: range) -> dict[str, np.ndarray]:
        """Return what a codes file holds of a block of rows."""
        clock = self.run.clock
        with clock.phase("read"):
            observed = self._observed.read(self._encoder.reads, block)
            ids = self.activations.read("samples/id", block)
            predictions = self.activations.read("samples/prediction", block)
        with clock.phase("encode"):
            encoded = self._encoder.encode(observed)
            rebuilt = self.offset + encoded.codes @ self.atoms
            unchanged = self._unchanged(ids, rebuilt, torch.from_numpy(predictions))
            values = {
                "codes": encoded.codes.mean(1),
                "fidelity/kkt_residual": encoded.residual,
            }
            of_images = fidelity.of_images(encoded.vectors, rebuilt, unchanged)
            values |= {f"fidelity/{name}": numbers for name, numbers in of_images.items()}
            arrays = {name: tensor.cpu().numpy() for name, tensor in values.items()}
        return {"samples/id": ids, **arrays}

    @torch.no_grad()
    def _unchanged(
        self, ids: np.ndarray, rebuilt: torch.Tensor, before: torch.Tensor
    ) -> torch.Tensor:
        """Return whether the network predicts the same of rebuilt vectors: (B, P, d) to (B,).

        NaN where there are no predictions.
        """
        if self._logits is None:
            return torch.full((len(rebuilt),), torch.nan, device=rebuilt.device)
        return self._logits(ids, rebuilt).argmax(1) == before.to(self.run.device)


def _logits_of(
    run: Run, activations: ActivationReader
) -> Callable[[np.ndarray, torch.Tensor], torch.Tensor]:
    """Return the function from ids (B,) and rebuilt vectors (B, P, d) to logits (B, C).

    Behind the last tap it is the head, of their mean; from another tap the network goes on from
    the whole map.
    """
    if run.config.dictionary.tap != "last":
        return Onwards(run, activations).logits
    head = run.head(activations)

    def logits(ids: np.ndarray, rebuilt: torch.Tensor) -> torch.Tensor:
        batches = rebuilt.mean(1).split(run.config.machine.batch)
        return torch.cat([head(batch) for batch in batches])

    return logits


def _faithfulness(run: Run, file: RowFile) -> dict[str, float]:
    """Return how faithful the codes of all images are, those that were reused as well."""
    stored = {name: torch.from_numpy(file.read(f"fidelity/{name}")) for name in codes_file.FIDELITY}
    figures = fidelity.finish(stored, run.ranks.sum)
    largest = max(stored["kkt_residual"].tolist(), default=0.0)
    return figures | {"kkt_residual": max(run.ranks.allgather(largest))}
