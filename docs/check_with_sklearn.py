"""Compute a run's numbers again from its files, with scikit-learn and NumPy, and compare.

    python docs/check_with_sklearn.py runs/quickstart

Nothing of vinfo_mpi is imported. Where the package adds up sums of products and never forms a
prediction, here rows are standardised, regressions are fitted and predictions made, in the plainest
way: a function for each quantity, by docs/method.md. What follows from images or from a fit of the
dictionary (codes, pictures, robustness, activation codes, merging, stability, sedimentation) is not
done again. Ends with 1 where a number differs by more than the table allows.
"""

import json
import sys
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

TOLERANCE = 1e-9  # of shares, as they are; of all others relative to the quantity's largest value
# Eigenfunctions down to 1e-10 of the largest eigenvalue count, which both ways of computing them,
# from products there and from singular values here, know to 1e-16 of the largest only.
LOOSER = {
    "spectrum/quality": 1e-5,
    "spectrum/utilisation": 1e-5,
    "spectrum/cumulated_quality": 1e-5,
    "spectrum/cumulated_utilisation": 1e-5,
    "spectrum/laziness": 1e-7,
    "spectrum/laziness_se": 1e-7,
}
CONSTANT = 1e-13  # a variance below this share of the mean square is rounding
READABLE = 0.01  # redundancy of concepts with less V-information is not defined
CUT = 1e-10  # eigenvalues below this share of the largest are left out
USED = 0.9 - 1e-6  # share of the utilisation that the significant eigenfunctions hold

Numbers = dict[str, np.ndarray]  # by the name of the dataset in results.h5
Splits = list[tuple[np.ndarray, np.ndarray]]  # images that are learned from, and tested on


class NotChecked(Exception):
    """Why a quantity of this run cannot be computed from its files by this script."""


class Run:
    """The files of a run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stored: Numbers = {}
        self.is_share = set()
        with h5py.File(folder / "results.h5") as file:
            file.visititems(self._keep)
            parts = {name: dict(part.attrs) for name, part in file["provenance"].items()}
        self.settings = {name: json.loads(part["config"]) for name, part in parts.items()}
        self.inputs = {name: list(json.loads(part["inputs"])) for name, part in parts.items()}
        self.codes = self.read("codes", "codes")
        with h5py.File(folder / "codes.h5") as file:
            self.inputs["encode"] = list(json.loads(file.attrs["inputs"]))
        [self.final] = self.activations("encode")
        self.labels = self.read(self.final, "samples/label")
        self.ids = self.read(self.final, "samples/id")

    def _keep(self, name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith("provenance"):
            self.stored[name] = item[()]
            if item.attrs.get("units") == "1":
                self.is_share.add(name)

    def read(self, file: str, dataset: str) -> np.ndarray:
        """Return a dataset of one of the files."""
        with h5py.File(self.folder / f"{file}.h5") as opened:
            if dataset not in opened:
                raise NotChecked(f"{file}.h5 holds no {dataset}")
            return opened[dataset][()]

    def activations(self, stage: str) -> list[str]:
        """Return the names of the files of activations that a stage has read, by epoch."""
        return sorted(name for name in self.inputs[stage] if name.startswith("activations/"))

    def taps(self) -> list[str]:
        """Return the names of the taps in forward order."""
        with h5py.File(self.folder / f"{self.final}.h5") as opened:
            order = {
                name: tap["activations"].attrs["order"]
                for name, tap in opened["taps"].items()
                if tap["activations"].attrs["kind"] == "block"
            }
        return sorted(order, key=order.get)

    def tap(self, file: str, name: str) -> np.ndarray:
        """Return the activations of a tap or branch: (N, d)."""
        shift = self.read(file, f"taps/{name}/shift").astype(float)
        return self.read(file, f"taps/{name}/activations").astype(float) + shift

    def names(self, dataset: str) -> list[str]:
        """Return a dataset of names of results.h5."""
        return [name.decode() for name in self.stored[dataset]]

    def v(
        self,
        stage: str,
        x: np.ndarray,
        z: np.ndarray | None = None,
        estimator: str | None = None,
        learned: int | None = None,
    ) -> np.ndarray:
        """Return V-information from x to codes, as a stage estimates it: (1 + F, K)."""
        score = self.settings[stage]["score"]
        splits = self.splits(stage, estimator or score["estimator"], learned)
        return vinformation(x, self.codes if z is None else z, splits, score["penalties"])

    @cached_property
    def v_of_taps(self) -> np.ndarray:
        """V-information of every tap of the final network: (L, 1 + F, K)."""
        if self.settings["score"]["score"]["family"] != "linear":
            raise NotChecked("score.family is not linear")
        return np.array([self.v("score", self.tap(self.final, tap)) for tap in self.taps()])

    def fold(self, folds: int, seed: int) -> np.ndarray:
        """Deal the images of each class out in the order of a hash of their ids (SplitMix64).

        Copies of an image go with the first.
        """

        def mixed(value: int) -> int:
            value = (int(value) + (seed + 1) * 0x9E3779B97F4A7C15) % 2**64
            value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 % 2**64
            value = (value ^ value >> 27) * 0x94D049BB133111EB % 2**64
            return value ^ value >> 31

        contents = self.read(self.final, "samples/content").tolist()
        first: dict[int, int] = {}
        for row, content in enumerate(contents):
            first.setdefault(content, row)
        order = sorted(
            first.values(), key=lambda i: (self.labels[i], mixed(self.ids[i]), self.ids[i])
        )
        fold_of = {row: place % folds for place, row in enumerate(order)}
        return np.array([fold_of[first[content]] for content in contents])

    def splits(self, stage: str, estimator: str, learned: int | None = None) -> Splits:
        """Return each fold, and the others; or only the next few folds, as many as `learned`."""
        folds = self.settings[stage]["score"]["folds"]
        fold = self.fold(folds, self.settings[stage]["seed"])
        if estimator == "in-sample":
            return [(fold >= 0, fold >= 0)]
        after = [(fold - held_out) % folds for held_out in range(folds)]
        most = folds - 1 if learned is None else learned
        return [((steps > 0) & (steps <= most), steps == 0) for steps in after]


def vinformation(x: np.ndarray, z: np.ndarray, splits: Splits, penalties: list) -> np.ndarray:
    """Return R² of ridge regression on the images tested on: (1 + F, K).

    First that of all images, then what remains without each fold, for standard errors.
    """
    concepts = z.shape[1]
    errors = np.zeros((len(splits), len(penalties), concepts))
    for each, (train, test) in enumerate(splits):
        scaler = StandardScaler().fit(x[train])
        learned = scaler.transform(x[train])
        varying = learned.std(0) > 0.5  # 1, but for channels that are constant
        # A fit of all penalties at once: the concepts side by side, once for each penalty.
        alpha = np.repeat(penalties, concepts) * train.sum() * varying.mean()
        ridge = Ridge(alpha=np.maximum(alpha, 1e-300), solver="svd")
        ridge.fit(learned[:, varying], np.tile(z[train], len(penalties)))
        predicted = ridge.predict(scaler.transform(x[test])[:, varying])
        left = np.tile(z[test], len(penalties)) - predicted
        errors[each] = np.square(left).sum(0).reshape(len(penalties), concepts)
    best = errors.sum(0).argmin(0)  # one penalty for all folds
    error = errors[:, best, np.arange(concepts)]
    spread = np.square(z - z.mean(0)).sum(0)
    spread[spread <= CONSTANT * np.square(z).sum(0)] = np.nan  # no code without variance
    r2 = [1 - error.sum(0) / spread]
    for left_out, (_, test) in enumerate(splits if len(splits) > 1 else []):
        rest = z[~test]
        of_rest = np.square(rest - rest.mean(0)).sum(0)
        without = 1 - (error.sum(0) - error[left_out]) / of_rest
        r2.append(np.where(np.isnan(spread), np.nan, without))
    return np.maximum(0, r2)  # which keeps NaN


def jackknife(values: np.ndarray) -> np.ndarray:
    """Return the standard error of a number from what it is without each fold: (F, ...)."""
    if len(values) == 0:
        return np.full(values.shape[1:], np.nan)
    return np.sqrt((len(values) - 1) * values.var(0))


def with_errors(numbers: Numbers) -> Numbers:
    """Split (1 + F, ...) into the number itself and its standard error, for every name."""
    return {name: values[0] for name, values in numbers.items()} | {
        f"{name}_se": jackknife(values[1:]) for name, values in numbers.items()
    }


def complexity(run: Run) -> Numbers:
    """Complexity and its parts, from V-information tap by tap."""
    v = run.v_of_taps
    running = np.maximum.accumulate(v)
    peak = running[-1]
    readable = np.where(peak > 0, peak, np.nan)
    parts = {
        "complexity": 1 - v.mean(0),
        "unreadable": 1 - peak,
        "late": peak - running.mean(0),
        "discarded": (running - v).mean(0),
        "depth": (peak - running.mean(0)) / readable,
        "peak": peak,
        "kept": v[-1] / readable,
        "last_tap": v[-1],
    }
    numbers = with_errors({f"concepts/{name}": values for name, values in parts.items()})
    return {"vinformation": v[:, 0]} | numbers


def number_of_images(run: Run) -> Numbers:
    """Complexity learned from half of the images, and extrapolated to many."""
    score = run.settings["score"]["score"]
    learned = (score["folds"] - 1) // 2
    if score["estimator"] != "held-out" or learned == 0:
        raise NotChecked("half of the folds cannot be left out")
    of_all = 1 - run.v_of_taps.mean(0)
    half = [run.v("score", run.tap(run.final, tap), learned=learned) for tap in run.taps()]
    of_half = 1 - np.mean(half, 0)
    share = learned / (score["folds"] - 1)
    limit = (of_all - share * of_half) / (1 - share)  # K = a + c / N through both
    names = {"concepts/complexity_half": of_half, "concepts/complexity_limit": limit}
    return with_errors(names)


def occurrence(run: Run) -> Numbers:
    """Variance of the codes, share of the images they occur on, and of variance between classes."""
    variance = run.codes.var(0)
    variance[variance <= CONSTANT * np.square(run.codes).mean(0)] = 0
    with np.errstate(divide="ignore", invalid="ignore"):
        eta2 = np.where(variance > 0, of_classes(run, run.codes).var(0) / variance, np.nan)
    return {
        "concepts/variance": variance,
        "concepts/firing_rate": (run.codes > 0).mean(0),
        "concepts/eta2": eta2,
    }


def of_classes(run: Run, values: np.ndarray) -> np.ndarray:
    """Return the mean of its class in the place of every image: the shape of `values`."""
    means = np.zeros_like(values)
    for label in np.unique(run.labels):
        means[run.labels == label] = values[run.labels == label].mean(0)
    return means


def predictors(run: Run) -> Numbers:
    """V-information and complexity by the other predictors, those of score.also."""
    score = run.settings["score"]["score"]
    if not score["also"]:
        raise NotChecked("score.also names none")
    numbers = {}
    of_class = of_classes(run, run.codes)
    for name in score["also"]:
        if "random-features" in (name, score["family"]):
            print(f"predictors/{name}: not checked, random features")
            continue
        v = []
        for tap in run.taps():
            x = run.tap(run.final, tap)
            if name == "within-classes":
                at_tap = run.v("score", x - of_classes(run, x), run.codes - of_class)[0]
            elif name == "classes-alone":
                # What predicts the mean of the class explains that share of the whole variance.
                at_tap = np.nan_to_num(run.v("score", x, of_class)[0])
                at_tap *= occurrence(run)["concepts/eta2"]
            else:
                estimator = None if name == "linear" else name
                at_tap = run.v("score", x, estimator=estimator)[0]
            v.append(at_tap)
        numbers[f"predictors/{name}/vinformation"] = np.array(v)
        numbers[f"predictors/{name}/complexity"] = 1 - np.mean(v, 0)
    return numbers


def temporal(run: Run) -> Numbers:
    """Temporal score and its parts, from V-information epoch by epoch, by lines between."""
    epochs = run.stored["dynamics/checkpoints"]
    last = run.taps()[-1]
    files = run.activations("dynamics")
    v = np.array([run.v("dynamics", run.tap(file, last)) for file in files])  # (E, 1 + F, K)
    every = np.arange(1, epochs[-1] + 1)
    # Epoch 0 is no epoch of the training, but the neighbour of an epoch 1 that was not kept.
    counted = epochs >= (1 if 1 in epochs else 0)
    curve = v[counted]

    def mean(kept: np.ndarray) -> np.ndarray:
        def of_epochs(values: np.ndarray) -> float:
            return np.interp(every, epochs[counted], values).mean()

        return np.apply_along_axis(of_epochs, 0, kept)

    running = np.maximum.accumulate(curve)
    parts = {
        "temporal": 1 - mean(curve),
        "temporal_unlearned": 1 - running[-1],
        "temporal_late": running[-1] - mean(running),
        "temporal_forgotten": mean(running - curve),
    }
    numbers = with_errors({f"concepts/{name}": values for name, values in parts.items()})
    return {"dynamics/vinformation": v[:, 0]} | numbers


def contributions(run: Run, stage: str) -> np.ndarray:
    """Return the part of the logit explained that is owed to each concept: (N, K)."""
    target = run.settings[stage]["importance"]["target"]
    weight = run.read(run.final, "head/weight").astype(float)  # only of a linear head
    atoms = run.read("dictionary", "atoms").astype(float)
    classes = run.read(run.final, f"samples/{target}")
    return run.codes * (weight @ atoms.T)[classes]


def importance(run: Run) -> Numbers:
    """Code times slope of the class's logit along the atom: by size, with sign, as a share."""
    contribution = contributions(run, "importance")
    squares = np.square(contribution)
    whole = squares.sum(1, keepdims=True)
    return {
        "concepts/importance": np.abs(contribution).mean(0),
        "concepts/importance_signed": contribution.mean(0),
        "concepts/importance_share": (squares / np.where(whole > 0, whole, 1)).mean(0),
    }


def super_classes(run: Run) -> Numbers:
    """Importance over the images of each super-class, with its standard error over them."""
    if "metafeatures/super_class" not in run.stored:
        raise NotChecked("metafeatures.super_classes names no file")
    size = np.abs(contributions(run, "metafeatures"))
    groups = run.stored["metafeatures/super_class"]
    of_groups = [size[groups[run.labels] == group] for group in range(groups.max() + 1)]
    errors = [values.std(0, ddof=1) / np.sqrt(len(values)) for values in of_groups]
    return {
        "metafeatures/super_importance": np.array([values.mean(0) for values in of_groups]),
        "metafeatures/super_importance_se": np.array(errors),
    }


def flow(run: Run) -> Numbers:
    """Linear CKA and V-information of both branches of every residual block."""
    z = run.codes - run.codes.mean(0)
    numbers = {}
    for branch in ("main", "shortcut"):
        cka = []
        v = []
        for block in run.names("flow/blocks"):
            x = run.tap(run.final, f"{block}.{branch}")
            centred = x - x.mean(0)
            size = np.linalg.norm(centred.T @ centred) * np.square(z).sum(0)
            with np.errstate(divide="ignore", invalid="ignore"):
                cka.append(np.square(centred.T @ z).sum(0) / size)
            v.append(run.v("flow", x)[0])
            cka[-1][np.isnan(v[-1])] = np.nan
        numbers |= {f"flow/{branch}_cka": np.array(cka), f"flow/{branch}_vinformation": np.array(v)}
    return numbers


def masks(channels: int, rate: float, count: int, seed: int) -> Iterator[np.ndarray]:
    """Yield which channels are kept: those with the smallest numbers of a Mersenne Twister."""
    random = np.random.RandomState(seed % 2**32)
    drawn = random.randint(0, 2**32, (count, channels), dtype=np.uint32) % 2**24
    yield from np.argsort(drawn, 1)[:, : max(1, round(rate * channels))]


def redundancy(run: Run) -> Numbers:
    """Share of the V-information that is left of some channels of the last tap."""
    settings = run.settings["redundancy"]
    options = settings["redundancy"]
    x = run.tap(run.final, run.taps()[-1])
    whole = run.v("redundancy", x)[0]
    whole = np.where(whole >= READABLE, whole, np.nan)
    left = np.array([
        [
            run.v("redundancy", x[:, kept])[0] / whole
            for kept in masks(x.shape[1], rate, options["masks"], settings["seed"])
        ]
        for rate in options["rates"]
    ])  # (rates, masks, K)  # fmt: skip
    over_rates = left.mean(0)
    root = np.sqrt(options["masks"])
    return {
        "redundancy/values": left.mean(1),
        "redundancy/values_se": left.std(1, ddof=1) / root,
        "concepts/redundancy": over_rates.mean(0),
        "concepts/redundancy_se": over_rates.std(0, ddof=1) / root,
    }


def basis(values: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis of the span of the centred columns: (N, r)."""
    size = np.sqrt(np.square(values).mean(0))
    scaled = (values - values.mean(0)) / np.where(size > 0, size, 1)
    left, singular, _ = np.linalg.svd(scaled / np.sqrt(len(values)), full_matrices=False)
    return left[:, singular**2 > CUT * max(1, singular[0] ** 2)]


def spectrum_of(x: np.ndarray, outputs: np.ndarray, labels: np.ndarray) -> Numbers:
    """Return the spectrum of the features of some images."""
    functions, singular, _ = np.linalg.svd(x / np.sqrt(len(x)), full_matrices=False)
    eigenvalues = singular**2
    kept = eigenvalues > CUT * eigenvalues[0]
    eigenvalues = eigenvalues[kept]
    functions = functions[:, kept]
    constant = len(x) * np.square(functions.mean(0))
    targets = basis(np.eye(outputs.shape[1])[labels])
    of_outputs = basis(outputs)
    quality = constant + np.square(targets.T @ functions).sum(0)
    utilisation = constant + np.square(of_outputs.T @ functions).sum(0)
    significant = np.sum(utilisation.cumsum() < USED * utilisation.sum()) + 1
    p = eigenvalues / eigenvalues.sum()
    centred = x - x.mean(0)
    size = np.linalg.norm(centred.T @ centred) * np.sqrt(of_outputs.shape[1])
    return {
        "eigenvalues": eigenvalues,
        "quality": quality,
        "utilisation": utilisation,
        "cumulated_quality": quality.cumsum() / outputs.shape[1],
        "cumulated_utilisation": utilisation.cumsum() / outputs.shape[1],
        "effective_dimension": np.exp(-np.sum(p * np.log(p))),
        "significant": significant,
        "minimal": significant <= 1 + of_outputs.shape[1],
        "laziness": 1 - np.square(of_outputs.T @ centred).sum() / size,
    }


def spectrum(run: Run) -> Numbers:
    """Eigenfunctions of the features of every tap and checkpoint, and numbers that follow."""
    taps = run.names("spectrum/taps")
    files = run.activations("spectrum")
    fold = run.fold(5, 0)  # for the standard errors
    numbers = {}
    for name, values in run.stored.items():
        if name.startswith("spectrum/") and values.ndim >= 2:
            numbers[name] = np.full(values.shape, np.nan)
    for epoch, file in enumerate(files):
        outputs = run.read(file, "outputs").astype(float)
        for place, tap in enumerate(taps):
            x = run.tap(file, tap)
            for name, values in spectrum_of(x, outputs, run.labels).items():
                values = np.asarray(values, float)
                of_tap = numbers[f"spectrum/{name}"][epoch, place, ...]
                of_tap[tuple(map(slice, values.shape))] = values
            rests = [fold != left_out for left_out in range(5)]
            without = [spectrum_of(x[rest], outputs[rest], run.labels[rest]) for rest in rests]
            for name in ("effective_dimension", "laziness"):
                error = jackknife(np.array([values[name] for values in without]))
                numbers[f"spectrum/{name}_se"][epoch, place] = error
    return numbers


def collapse_of(x: np.ndarray, labels: np.ndarray, weight: np.ndarray) -> Numbers:
    """Return how far the classes of some images have collapsed, pair of classes by pair."""
    classes = np.unique(labels)
    of_class = [x[labels == label] for label in classes]
    means = np.array([features.mean(0) for features in of_class])
    centred = means - means.mean(0)
    around = np.concatenate([f - mean for f, mean in zip(of_class, means, strict=True)])
    within = around.T @ around / len(x)
    between = centred.T @ centred / len(classes)
    variance = [np.square(f - mean).sum(1).mean() for f, mean in zip(of_class, means, strict=True)]
    norms = np.linalg.norm(centred, axis=1)
    pairs = [(a, b) for a in range(len(classes)) for b in range(a)]
    cosines = np.array([centred[a] @ centred[b] / (norms[a] * norms[b]) for a, b in pairs])
    apart = [np.square(means[a] - means[b]).sum() for a, b in pairs]
    gram = centred @ centred.T
    simplex = np.eye(len(classes)) - 1 / len(classes)
    rows = weight[classes]
    return {
        "nc1": np.trace(within @ np.linalg.pinv(between, rcond=CUT)) / len(classes),
        "nc2": np.linalg.norm(gram / np.linalg.norm(gram) - simplex / np.linalg.norm(simplex)),
        "nc2_norms": norms.std() / norms.mean(),
        "nc2_angles": np.abs(cosines + 1 / (len(classes) - 1)).mean(),
        "nc3": np.linalg.norm(rows / np.linalg.norm(rows) - centred / np.linalg.norm(centred)),
        "cdnv": np.mean(
            [(variance[a] + variance[b]) / 2 / d for (a, b), d in zip(pairs, apart, strict=True)]
        ),
    }


def collapse(run: Run) -> Numbers:
    """Neural collapse at the last tap of every checkpoint, with the error over parts of images."""
    last = run.taps()[-1]
    fold = run.fold(5, 0)
    measured = []
    for file in run.activations("collapse"):
        x = run.tap(file, last)
        weight = run.read(file, "head/weight").astype(float)
        whole = collapse_of(x, run.labels, weight)
        rests = [fold != left_out for left_out in range(5)]
        without = [collapse_of(x[rest], run.labels[rest], weight) for rest in rests]
        for name in [*whole]:
            whole[f"{name}_se"] = jackknife(np.array([values[name] for values in without]))
        means = np.array([x[run.labels == label].mean(0) for label in np.unique(run.labels)])
        distances = np.array([np.square(x - mean).sum(1) for mean in means])
        nearest = np.unique(run.labels)[distances.argmin(0)]
        elsewhere = nearest != run.read(file, "samples/prediction")
        whole["nc4"] = elsewhere.mean()
        whole["nc4_se"] = elsewhere.std(ddof=1) / np.sqrt(len(elsewhere))
        measured.append(whole)
    return {f"collapse/{name}": np.array([each[name] for each in measured]) for name in whole}


def path(grid: np.ndarray, epochs: np.ndarray, consecutive: int) -> Numbers:
    """Return the path of one concept over taps and checkpoints: grid (E, L)."""
    threshold = max(grid.flat[:-1]) / 2  # all but the last tap of the last checkpoint
    shares = np.where(grid > threshold, np.exp(grid), 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares /= shares.sum(1, keepdims=True)  # NaN where it is available at no tap
        entropy = -np.where(shares == 0, 0, shares * np.log(shares)).sum(1)
    taps = np.arange(grid.shape[1])
    activity = np.where(grid > threshold, grid, 0).mean(1)
    centre = shares @ taps
    localised = 1 - entropy / np.log(grid.shape[1])
    active = activity > 0
    runs = [active[begin : begin + consecutive].all() for begin in range(len(active))]
    begin = runs.index(True) if any(runs) else None
    numbers = {
        "migration/activity": activity,
        "migration/centre": centre,
        "migration/width": np.sqrt((shares * np.square(taps - centre[:, None])).sum(1)),
        "migration/localised": localised,
    }
    of_life = dict.fromkeys(("emergence", "lifetime", "localisation", "at_anchor", "drift"), np.nan)
    of_life["anchor"] = -1
    if begin is not None:
        end = max(np.flatnonzero(active))
        end = end if len(active) - 1 - end >= consecutive else len(active) - 1
        life = np.zeros(len(active), bool)
        life[begin : end + 1] = True
        first, last = epochs[begin], epochs[end]
        gaps = np.gradient(epochs.astype(float), edge_order=1) if len(epochs) > 1 else np.ones(1)
        gaps[[0, -1]] /= 2 if len(epochs) > 1 else 1  # half a gap at either end
        weight = np.where(life & active, gaps * activity * localised, 0)
        of_life |= {
            "emergence": first,
            "lifetime": last - first,
            "localisation": localised[life & active].mean(),
        }
        if weight.sum() > 0:
            occupancy = (weight[:, None] * np.nan_to_num(shares)).sum(0) / weight.sum()
            anchor = occupancy.argmax()
            of_life["anchor"] = anchor
            of_life["at_anchor"] = occupancy[max(0, anchor - 1) : anchor + 2].sum()
        third = (last - first) / 3
        ends = [
            np.where(side, weight, 0) for side in (epochs >= last - third, epochs <= first + third)
        ]
        if all(end.sum() > 0 for end in ends):
            late, early = (np.nan_to_num(centre) @ end / end.sum() for end in ends)
            of_life["drift"] = late - early
    return numbers | {f"concepts/{name}": np.array(value) for name, value in of_life.items()}


def migration(run: Run) -> Numbers:
    """Paths of the concepts, one after the other, over the grid that sedimentation has left."""
    grid = run.stored["sedimentation/grid"]
    epochs = run.stored["migration/checkpoints"]
    consecutive = run.settings["migration"]["migration"]["consecutive"]
    alive = run.stored["concepts/alive"] == 1
    paths = [path(grid[:, :, concept], epochs, consecutive) for concept in np.flatnonzero(alive)]
    numbers = {}
    for name in paths[0]:
        of_living = np.stack([each[name] for each in paths], -1)
        numbers[name] = run.stored[name].astype(float)
        numbers[name][..., alive] = of_living
    return numbers


# What is computed again, and the stage that has written it.
QUANTITIES: dict[Callable[[Run], Numbers], str] = {
    complexity: "score",
    number_of_images: "score",
    occurrence: "score",
    predictors: "score",
    temporal: "dynamics",
    importance: "importance",
    super_classes: "metafeatures",
    flow: "flow",
    redundancy: "redundancy",
    spectrum: "spectrum",
    collapse: "collapse",
    migration: "migration",
}


def difference(run: Run, name: str, computed: np.ndarray) -> float:
    """Return the largest difference from what is stored; infinite where only one is a number."""
    stored = run.stored[name].astype(float)
    if computed.shape != stored.shape or (np.isnan(computed) != np.isnan(stored)).any():
        return np.inf
    size = 1.0 if name in run.is_share else np.nanmax(np.abs(stored), initial=0)
    return np.nanmax(np.abs(computed - stored), initial=0) / (size or 1.0)


def compare(folder: Path) -> Iterator[tuple[str, float]]:
    """Yield every quantity that is computed again with its largest difference, and print both."""
    run = Run(folder)
    print(f"{'quantity':45}  {'numbers':>8}  {'largest difference':>18}  allowed")
    for quantity, stage in QUANTITIES.items():
        if stage not in run.settings:
            print(f"{quantity.__name__}: missing, {stage} was not run")
            continue
        try:
            numbers = quantity(run)
        except NotChecked as reason:
            print(f"{quantity.__name__}: not checked, {reason}")
            continue
        for name, computed in numbers.items():
            if name not in run.stored:
                print(f"{name}: missing, of an earlier version")
                continue
            largest = difference(run, name, computed)
            allowed = LOOSER.get(name, TOLERANCE)
            verdict = "" if largest <= allowed else "  DIFFERS"
            print(f"{name:45}  {computed.size:8}  {largest:18.1e}  {allowed:7.0e}{verdict}")
            yield name, largest


def main() -> None:
    """Compare the run named on the command line."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/quickstart")
    largest = dict(compare(folder))
    sys.exit(any(value > LOOSER.get(name, TOLERANCE) for name, value in largest.items()))


if __name__ == "__main__":
    main()
