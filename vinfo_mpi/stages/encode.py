"""Express the last tap of every image in the dictionary: codes, averaged over positions.

The positive ones of every position are kept beside them, where they take little room.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from vinfo_mpi import units
from vinfo_mpi.concepts import encoders, encoders_costs
from vinfo_mpi.concepts.onwards import Onwards
from vinfo_mpi.concepts.stored import Observed
from vinfo_mpi.costs import formulas
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.errors import InputError
from vinfo_mpi.numerics import fidelity, sparse_codes
from vinfo_mpi.numerics.arrays import evenly_spaced
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage import codes as codes_file
from vinfo_mpi.storage.activations import MAP, ActivationReader
from vinfo_mpi.storage.hdf5 import attributes
from vinfo_mpi.storage.row_file import RowFile
from vinfo_mpi.storage.rows import batch_rows, row_bytes


def encode_images(run: Run, part: Part) -> None:
    """Write the codes of all images, and how faithful they are."""
    with run.open_activations(run.final) as activations:
        blocks = ImageBlocks(run, activations)
        n, positions, _ = activations.shape(MAP)
        width = _room(run, blocks)
        blocks.active = _most_active(run)
        columns = codes_file.columns(len(blocks.atoms), positions, width, blocks.active)
        size = batch_rows(columns, blocks.images_at_once)
        file = run.row_file(run.codes, columns, n, part.provenance, resume=True)
        with run.writer([file], size) as writer:
            if file.reused:
                log.info("encode: %d images reused, %d to do", file.reused, n - file.reused)
            for block in run.progress(writer.todo, "encode: blocks"):
                writer.write(block.start, blocks.encode(block, width))
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
    columns = encoders_costs.columns(work)
    return Costs(
        memory=encoders_costs.memory(work),
        host=encoders_costs.host(work),
        operations=encoders_costs.operations(work),
        sent=work.sent(len(fidelity.NAMES) + 1),
        disk={"codes": formulas.row_file(work, columns, tables=0)},
    )


def _most_active(run: Run) -> int:
    """Return for how many concepts an image has room that have codes; 0: it may have all.

    The features of an autoencoder have been counted, with other roundings.
    """
    most = attributes(run.dictionary, "vinfo-dictionary").get("most_active", 0)
    return codes_file.room(int(most))


def _room(run: Run, blocks: ImageBlocks) -> int:
    """Return for how many positive codes of all positions an image has room; 0: none are kept.

    Some images tell, which the ranks divide; one that has more is encoded again when it is shown.
    Other codes than non-negative ones take no time to find.
    """
    setting = run.config.encode.by_position
    n, positions, _ = blocks.activations.shape(MAP)
    if setting == "never" or run.config.dictionary.kind_of_source.codes != "non-negative":
        return 0
    rows = evenly_spaced(n, encoders_costs.PILOT)[run.ranks.rank :: run.ranks.size]
    with run.ranks.together():
        most = blocks.most_positive(rows)
    width = codes_file.room(run.ranks.max(most))
    size = row_bytes(codes_file.columns_by_position(len(blocks.atoms), positions, width))
    kept = width > 0 and (setting == "always" or size <= blocks.activations.row_bytes)
    if width:
        does = "kept" if kept else "not kept (encode.by_position: auto)"
        log.info("encode: codes by position %s, %s per image", does, units.size(size))
    return width if kept else 0


class ImageBlocks:
    """The analysed images, encoded block by block.

    Attributes
    ----------
    atoms : (K, d) tensor
        Of the run's dictionary.
    active : int
        Concepts with codes in an image, at most; 0: not known.
    """

    active = 0

    def __init__(self, run: Run, activations: ActivationReader) -> None:
        self.run = run
        self.activations = activations
        self.atoms, self.offset = encoders.decoder(run)
        self._encoder = encoders.encoder(run)
        self._logits = _logits_of(run, activations) if run.config.network.classifies else None
        self._observed = Observed(run, activations)

    @property
    def images_at_once(self) -> int:
        """Number of images that are encoded together."""
        rows = self.run.config.machine.rows
        positions = self.activations.shape(MAP)[1]
        return encoders_costs.images_at_once(rows, positions, self.run.device.type)

    def most_positive(self, rows: np.ndarray) -> int:
        """Return how many positive codes an image has at most; 0 where it has but one position."""
        most = 0
        for batch in batches(range(len(rows)), self.images_at_once):
            images = [self._read(range(row, row + 1)) for row in rows[batch.start : batch.stop]]
            with self.run.clock.phase("encode"):
                observed = {
                    name: torch.cat([image[name] for image in images]) for name in images[0]
                }
                codes = self._encoder.encode(observed).codes
                if codes.shape[1] > 1:
                    most = max(most, int((codes > 0).sum((1, 2)).max()))
        return most

    def encode(self, block: range, width: int) -> dict[str, np.ndarray]:
        """Return what a codes file holds of a block of rows.

        With up to `width` positive codes of every image position by position, if this is not 0.
        """
        clock = self.run.clock
        observed = self._read(block)
        with clock.phase("read"):
            ids = self.activations.read("samples/id", block)
            predictions = self.activations.read("samples/prediction", block)
        with clock.phase("encode"):
            encoded = self._encoder.encode(observed)
            rebuilt = self.offset + encoded.codes @ self.atoms
            unchanged = self._unchanged(ids, rebuilt, torch.from_numpy(predictions))
            values = self._averaged(encoded.codes.mean(1))
            values["fidelity/kkt_residual"] = encoded.residual
            of_images = fidelity.of_images(encoded.vectors, rebuilt, unchanged)
            values |= {f"fidelity/{name}": numbers for name, numbers in of_images.items()}
            if width:
                packed = sparse_codes.pack(encoded.codes, width)
                values |= {
                    f"{codes_file.BY_POSITION}/{name}": part for name, part in packed.items()
                }
            arrays = {name: tensor.cpu().numpy() for name, tensor in values.items()}
        return {"samples/id": ids, **arrays}

    def _averaged(self, codes: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return codes (B, K) by the names of their columns: all, or those that are not 0."""
        columns = codes_file.columns(codes.shape[1], active=self.active)
        if "codes" in columns:
            return {"codes": codes}
        width = columns[f"{codes_file.SPARSE}/codes"].shape[0]
        if int((codes != 0).sum(1).max()) > width:
            raise InputError(
                f"encode: an image has more than {width} active features, but the dictionary saw "
                "fewer; run python -m vinfo_mpi.dictionary --force"
            )
        packed = sparse_codes.largest(codes, width)
        return {f"{codes_file.SPARSE}/{name}": values for name, values in packed.items()}

    def _read(self, block: range) -> dict[str, torch.Tensor]:
        """Return what the encoder must be given of some rows."""
        with self.run.clock.phase("read"):
            return self._observed.read(self._encoder.reads, block)

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
        batches = rebuilt.mean(1).split(run.batch)
        return torch.cat([head(batch) for batch in batches])

    return logits


def _faithfulness(run: Run, file: RowFile) -> dict[str, float]:
    """Return how faithful the codes of all images are, those that were reused as well."""
    stored = {name: torch.from_numpy(file.read(f"fidelity/{name}")) for name in codes_file.FIDELITY}
    figures = fidelity.finish(stored, run.ranks.sum)
    largest = max(stored["kkt_residual"].tolist(), default=0.0)
    return figures | {"kkt_residual": max(run.ranks.allgather(largest))}
