"""Express the last tap of every image in the dictionary: non-negative codes, averaged over positions.

mpirun -n 8 python -m vinfo_mpi.encode
"""

from __future__ import annotations

from vinfo_mpi import command

if __name__ == "__main__":
    command.main("encode", __doc__)  # before the imports below: --help and mistakes answer without torch

import torch

from vinfo_mpi import pipeline
from vinfo_mpi.numerics.fidelity import Fidelity
from vinfo_mpi.numerics.nnls import Dictionary
from vinfo_mpi.parallel.division import batches
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.run import Run
from vinfo_mpi.storage.files import Table, open_checked
from vinfo_mpi.storage.rows import Column, RowWriter, batch_rows


def run(run: Run, force: bool = False) -> None:
    """Write the codes of all images, and how faithful they are."""
    options, ranks = run.config.encode, run.ranks
    attributes = pipeline.provenance(run, "encode", "vinfo-codes")
    with open_checked(run.dictionary, "vinfo-dictionary") as file:
        atoms = run.tensor(file["atoms"][()])
    dictionary = Dictionary(atoms)
    columns = {
        "codes": Column((len(atoms),), "float64", Table(None, "codes, averaged over positions", axes=("sample", "concept"))),
        "samples/id": Column((), "int64", Table(None, "stable id of the image", axes=("sample",))),
    }
    fidelity, residual = Fidelity(), 0.0
    with run.open_activations(run.final) as activations:
        head = run.head(activations)
        n, positions, _ = activations.shape("penultimate/activations")
        size = batch_rows(columns, max(1, run.config.machine.rows // positions))
        blocks = batches(ranks.block(n), size)
        writer = RowWriter(run.codes, columns, n, size, ranks, attributes, {}, {"sample": "samples/id"}, run.storage)
        with writer:
            for block in run.progress(blocks, "encode: blocks"):
                with run.clock.phase("read"):
                    x = run.tensor(activations.read("penultimate/activations", block))
                    ids, predictions = (activations.read(f"samples/{name}", block) for name in ("id", "prediction"))
                with run.clock.phase("encode"):
                    rows = x.mean(1) if options.positions == "pooled" else x.flatten(0, 1)
                    found = dictionary.encode(rows, options.tolerance, options.max_iterations)
                    codes = found.codes.reshape(len(ids), -1, len(atoms)).mean(1)
                    pooled = (x.mean(1), codes @ atoms)
                    with torch.no_grad():
                        logits = torch.cat([head(part) for part in pooled[1].split(run.config.machine.batch)])
                    kept = logits.argmax(1) == torch.from_numpy(predictions).to(run.device)
                    fidelity.add(pooled, (rows, found.codes @ atoms), kept)
                    residual = max(residual, found.residual.max().item())
                writer.write(block.start, {"codes": codes.cpu().numpy(), "samples/id": ids})
            writer.drain()
            residual = max(ranks.gather(residual))
            figures = fidelity.finish(ranks.sum) | {"kkt_residual": residual}
            writer.attributes |= figures
        run.clock.bytes_read += activations.bytes_read
        run.clock.bytes_written += writer.bytes_written
    log.info("encode: relative error %.4f, %.2f %% of the predictions kept, KKT residual %.1e",
             figures["relative_error"], 100 * figures["predictions_kept"], residual)  # fmt: skip
    if residual > options.tolerance:
        log.warning("encode: not all codes reached encode.tolerance (%g); raise encode.max_iterations", options.tolerance)
