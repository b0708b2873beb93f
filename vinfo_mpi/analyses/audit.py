"""Factors of the images behind a decision: read, carried by concepts, relied on.

mpirun -n 8 python -m vinfo_mpi.analyses.audit
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below: --help and mistakes answer without torch
    from vinfo_mpi.cli import command

    command.main("audit", __doc__)

from collections.abc import Iterator
from dataclasses import fields
from functools import partial

import numpy as np
import torch

from vinfo_mpi.concepts import audited, class_sums, encoders, slopes_costs, vinformation
from vinfo_mpi.concepts import vinformation_costs as vcosts
from vinfo_mpi.concepts.audited import Audited
from vinfo_mpi.concepts.slopes import slopes_of_head
from vinfo_mpi.concepts.vinformation import Source
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.numerics import complexity, shortcuts
from vinfo_mpi.numerics.ridge import Scores
from vinfo_mpi.numerics.shortcuts import Products, RightAnswers
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.results import schema_audit as schema
from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.run.applicable import require_classifier, require_last_tap
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.activations import ActivationReader
from vinfo_mpi.storage.rows import RowReader

FIELDS = [field.name for field in fields(Scores)]
WAYS = 4  # of deciding: the network, all concepts, without carriers, without random concepts
Values = dict[Dataset, object]


def audit_factors(run: Run, part: Part) -> None:
    """Write what the network, its concepts and its decisions have of every factor."""
    require_classifier(run, "audit")
    require_last_tap(run, "audit")
    with run.open_activations(run.final) as activations, run.open_codes() as codes:
        activations.require_labels("audit")
        vinformation.same_images(activations, codes)
        factors = audited.factors(run, activations, part.partial_results)
        results = _availability(run, part, factors)
        products = _products(run, activations, codes, factors)
        within = products.correlations_within().cpu().numpy()
        carriers = _strongest(within, run.config.audit.carriers)
        results |= {
            schema.AUDIT_FACTORS: factors.names,
            schema.AUDIT_KINDS: factors.kinds,
            schema.AUDIT_TAPS: activations.taps,
            schema.AUDIT_BETWEEN: products.between_classes().cpu(),
            schema.AUDIT_CORRELATION: products.correlations().cpu(),
            schema.AUDIT_CORRELATION_WITHIN: within,
            schema.AUDIT_CARRIERS: carriers,
        }
        results |= _reliance(run, activations, codes, factors, carriers, within)
    gap = np.asarray(results[schema.AUDIT_GAP])
    for number in np.argsort(-np.nan_to_num(gap, nan=-2), kind="stable")[:3]:
        log.info("audit: %s: accuracy lower by %.3f where it is not as usual for the class",
                 factors.names[number], gap[number])  # fmt: skip
    part.write(results)


def costs(work: Workload) -> Costs:
    """Return what reading the images once more, V-information and decisions take.

    There are taken to be no more factors than concepts.
    """
    sizes = work.sizes
    last = list(sizes.widths.values())[-1]
    widths = [*sizes.widths.values(), *[last] * (sizes.checkpoints - 1)]
    rebuild = 2.0 * sizes.concepts * sizes.d
    return Costs(
        memory=vcosts.memory(work, widths)
        + class_sums.memory(work, widths)
        + slopes_costs.memory(work),
        host=vcosts.host(work, widths),
        operations=2 * sum(vcosts.operations(work, width) for width in widths)
        + WAYS * sizes.n * rebuild
        + slopes_costs.operations(work),
        sent=sum(2 * vcosts.sent(work, width) for width in widths) + class_sums.sent(work, widths),
    )


def _availability(run: Run, part: Part, factors: Audited) -> Values:
    """Return the V-information of the factors at every tap, and at the last tap of every epoch."""
    with run.open_all_activations() as activations_of:
        final = activations_of[run.final.name]
        taps = final.taps
        at_taps = {tap: Source(final, tap) for tap in taps}
        at_epochs = {name: Source(file, taps[-1]) for name, file in activations_of.items()}
        fold = vinformation.fold_of_rows(run, final, *activations_of.values())
        make = partial(_score, run, factors=factors, fold=fold)
        sources = at_taps | {f"last_of_{name}": source for name, source in at_epochs.items()}
        scores = vinformation.for_each_source(run, part.partial_results, sources, factors, make)
    epochs = [checkpoint.epoch for checkpoint in run.checkpoints]
    results: Values = {schema.AUDIT_CHECKPOINTS: epochs}
    for kind, datasets in (
        ("whole", (schema.AUDIT_VINFORMATION, schema.AUDIT_EPOCHS)),
        ("within", (schema.AUDIT_WITHIN, schema.AUDIT_EPOCHS_WITHIN)),
    ):
        for dataset, part_of in zip(
            datasets, (scores[: len(taps)], scores[len(taps) :]), strict=True
        ):
            without = np.stack([each[f"{kind} without"] for each in part_of])
            folds = str(run.config.score.folds)
            results[dataset] = np.stack([each[f"{kind} r2"] for each in part_of])
            results[dataset.se.filled(folds=folds)] = np.stack(
                [complexity.jackknife(of_source) for of_source in without]
            )
    return results


def _score(
    run: Run, group: list[Source], factors: Audited, fold: torch.Tensor
) -> Iterator[dict[str, np.ndarray]]:
    """Yield the scores of the factors at each source, as they are and within classes."""
    whole = vinformation.moments_of(run, group, factors, fold)
    of_classes = class_sums.at_taps(run, group, factors, fold)
    within = [sums.within(moments) for sums, moments in zip(of_classes, whole, strict=True)]
    pairs = zip(vinformation.scores(run, whole), vinformation.scores(run, within), strict=True)
    for of_whole, of_within in pairs:
        both = {"whole": of_whole, "within": of_within}
        yield {
            f"{kind} {field}": getattr(scores, field)
            for kind, scores in both.items()
            for field in FIELDS
        }


def _products(
    run: Run, activations: ActivationReader, codes: RowReader, factors: Audited
) -> Products:
    """Return the sums of codes times factors over all ranks' images."""
    n, concepts = codes.shape("codes")
    products = Products(len(activations.classes), concepts, len(factors.names), run.device)
    for rows in batches(run.ranks.block(n), run.config.machine.rows):
        labels = torch.from_numpy(activations.read("samples/label", rows)).to(run.device)
        of_rows = run.tensor(factors.read("codes", rows))
        products.add(run.tensor(codes.read("codes", rows)), of_rows, labels)
    return products.reduced(run.ranks.sum)


def _strongest(correlation: np.ndarray, at_most: int) -> np.ndarray:
    """Return the concepts with the largest squared correlation: at most half of all, (F, m)."""
    count = max(1, min(at_most, correlation.shape[1] // 2))
    squares = np.nan_to_num(np.square(correlation), nan=-1)
    return np.argsort(-squares, axis=1, kind="stable")[:, :count]


def _reliance(
    run: Run,
    activations: ActivationReader,
    codes: RowReader,
    factors: Audited,
    carriers: np.ndarray,
    correlation: np.ndarray,
) -> Values:
    """Return accuracies, with and without concepts, and importance, on each factor's sides."""
    n, concepts = codes.shape("codes")
    classes = len(activations.classes)
    atoms, offset = encoders.decoder(run)
    head = run.head(activations)
    slopes = slopes_of_head(run, activations, atoms, offset)
    held_out = activations.read("samples/held_out").astype(bool)
    counts = held_out if held_out.any() else np.ones(n, bool)
    above = shortcuts.sides(factors.values)
    answers = RightAnswers.empty(WAYS, len(factors.names), classes, run.device)
    importance = torch.zeros(len(factors.names), 2, concepts, device=run.device).double()
    draw = np.random.default_rng(run.config.seed).permutation(concepts)
    removed = [*carriers, draw[: carriers.shape[1]]]

    @torch.no_grad()
    def right(vectors: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        parts = vectors.split(run.batch)
        return torch.cat([head(part).argmax(1) for part in parts]) == labels

    for rows in run.progress(batches(run.ranks.block(n), run.config.machine.rows), "audit: blocks"):
        labels = torch.from_numpy(activations.read("samples/label", rows)).to(run.device)
        predicted = torch.from_numpy(activations.read("samples/prediction", rows)).to(run.device)
        z = run.tensor(codes.read("codes", rows))
        side = torch.from_numpy(above[rows.start : rows.stop]).to(run.device)
        contributions = (z * slopes(z, predicted)).abs()
        importance[:, 0] += (~side).double().T @ contributions
        importance[:, 1] += side.double().T @ contributions
        whole = offset + z @ atoms
        without = [right(whole - z[:, each] @ atoms[each], labels) for each in removed]
        columns = len(factors.names)
        each_way = [
            (predicted == labels)[:, None].expand(-1, columns),
            right(whole, labels)[:, None].expand(-1, columns),
            torch.stack(without[:-1], 1),
            without[-1][:, None].expand(-1, columns),
        ]
        chosen = torch.from_numpy(counts[rows.start : rows.stop]).to(run.device)
        answers.add(side[chosen], labels[chosen], torch.stack(each_way)[:, chosen])
    run.ranks.sum(importance)
    carried = shortcuts.carried(importance.cpu().numpy(), correlation)
    return {schema.AUDIT_IMPORTANCE: carried} | _answers(answers.reduced(run.ranks.sum))


def _answers(answers: RightAnswers) -> Values:
    """Return what is written of right answers."""
    accuracy, accuracy_error = answers.accuracy()
    gap, gap_error = answers.gap()
    worst, worst_error, side, of_class = answers.worst()
    results: Values = {
        schema.AUDIT_IMAGES: answers.images.sum(-1).cpu(),
        schema.AUDIT_ACCURACY: accuracy[0],
        schema.AUDIT_ACCURACY.se: accuracy_error[0],
        schema.AUDIT_WORST: worst,
        schema.AUDIT_WORST.se: worst_error,
        schema.AUDIT_WORST_SIDE: side,
        schema.AUDIT_WORST_CLASS: of_class,
    }
    ways = (schema.AUDIT_GAP, schema.AUDIT_REBUILT_GAP, schema.AUDIT_GAP_WITHOUT)
    for way, dataset in enumerate(ways):
        results |= {dataset: gap[way], dataset.se: gap_error[way]}
    for way, dataset in enumerate(schema.AUDIT_OTHER_WAYS.values(), 1):
        results |= {dataset: accuracy[way], dataset.se: accuracy_error[way]}
    return results
