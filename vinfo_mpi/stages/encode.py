"""Express the last tap of every image in the dictionary: codes, averaged over positions."""

from __future__ import annotations

import torch

from vinfo_mpi.concepts import encoders
from vinfo_mpi.concepts.stored import Observed
from vinfo_mpi.numerics import fidelity
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.run import freshness
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage import codes as codes_file
from vinfo_mpi.storage.rows import batch_rows, remove


def run(run: Run, force: bool = False) -> None:
    """Write the codes of all images, and how faithful they are."""
    options, ranks = run.config.encode, run.ranks
    if force:
        ranks.on_root(remove, run.codes)
    attributes = freshness.provenance(run, "encode", "vinfo-codes")
    encoder, (atoms, offset) = encoders.encoder(run), encoders.decoder(run)
    columns = codes_file.columns(len(atoms))
    with run.open_activations(run.final) as activations:
        head, observed = run.head(activations), Observed(run, activations)
        n, positions, _ = activations.shape("penultimate/activations")
        size = batch_rows(columns, max(1, run.config.machine.rows // positions))
        writer = run.writer(run.codes, columns, n, size, attributes, resume=True)
        with writer:
            if writer.reused:
                log.info("encode: %d images reused, %d to do", writer.reused, n - writer.reused)
            for block in run.progress(writer.todo, "encode: blocks"):
                with run.clock.phase("read"):
                    seen = observed.read(encoder.reads, block)
                    ids, predictions = (activations.read(f"samples/{name}", block) for name in ("id", "prediction"))
                with run.clock.phase("encode"):
                    found = encoder.encode(seen)
                    rebuilt = offset + found.codes @ atoms
                    with torch.no_grad():
                        logits = torch.cat([head(part) for part in rebuilt.mean(1).split(run.config.machine.batch)])
                    kept = logits.argmax(1) == torch.from_numpy(predictions).to(run.device)
                    values = {"codes": found.codes.mean(1), "fidelity/kkt_residual": found.residual}
                    parts = fidelity.of_images(found.vectors, rebuilt, kept)
                    values |= {f"fidelity/{name}": part for name, part in parts.items()}
                writer.write(block.start, {"samples/id": ids} | {name: value.cpu().numpy() for name, value in values.items()})
            writer.drain()
            stored = {
                name: torch.from_numpy(writer.read(f"fidelity/{name}")) for name in codes_file.FIDELITY
            }  # reused ones as well
            figures = fidelity.finish(stored, ranks.sum)
            figures["kkt_residual"] = residual = max(ranks.gather(max(stored["kkt_residual"].tolist(), default=0.0)))
            writer.attributes |= figures
        run.clock.bytes_read += activations.bytes_read
        run.clock.bytes_written += writer.bytes_written
    log.info("encode: relative error %.4f, %.2f %% of the predictions kept, KKT residual %.1e",
             figures["relative_error"], 100 * figures["predictions_kept"], residual)  # fmt: skip
    if residual > options.tolerance:
        log.warning("encode: not all codes reached encode.tolerance (%g); raise encode.max_iterations", options.tolerance)
