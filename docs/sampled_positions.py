"""How much of the codes' variance is due to which positions of the maps were kept.

python docs/sampled_positions.py runs/imagenet_9 squeezenet1_1.pth

The mean over some positions of an image differs from that over all by a variance that the spread
of the kept ones tells (without replacement: Cochran 1977, "Sampling Techniques", 2.5). No tap can
tell that part. By the weights of torchvision's squeezenet1_1, how many predictions the mean of the
kept positions leaves, without any concepts.
"""

import sys
from pathlib import Path

import h5py
import numpy as np
import torch
from scipy.stats import rankdata, spearmanr

from vinfo_mpi import Results

POSITIONS = 169  # of SqueezeNet's last map, at 224 pixels


def by_position(codes):
    """Return the codes of every position, (N, P, K), of the images that are kept whole."""
    counts = codes["positions/counts"][()].astype(int)
    atoms, values = codes["positions/atoms"][()], codes["positions/codes"][()]
    dense = np.zeros((*counts.shape, codes["codes"].shape[1]))
    whole = counts.sum(1) <= atoms.shape[1]
    for image in np.flatnonzero(whole):
        last = counts[image].sum()
        position = np.repeat(np.arange(counts.shape[1]), counts[image])
        dense[image, position, atoms[image, :last]] = values[image, :last]
    return dense[whole]


def partial(x, y, given):
    """Return the rank correlation of two columns without what a third one gives."""
    (_, xy, xg), (_, _, yg), _ = np.corrcoef([rankdata(x), rankdata(y), rankdata(given)])
    return (xy - xg * yg) / np.sqrt((1 - xg**2) * (1 - yg**2))


folder = Path(sys.argv[1])
concepts = Results(folder).concepts
[file] = folder.glob("activations/*.h5")
with h5py.File(folder / "codes.h5") as codes:
    z = by_position(codes)
kept = z.shape[1]
drawn = (z.var(1, ddof=1) / kept * (1 - kept / POSITIONS)).mean(0)
share = drawn / z.mean(1).var(0, ddof=1)
print(f"share of the variance: {share.mean():.3f} ({share.min():.2f} to {share.max():.2f})")
left = concepts.last_tap / (1 - share)
print(f"V of the last tap: {concepts.last_tap.mean():.3f}, of what is left {left.mean():.3f}")
print(f"complexity ~ that share: {spearmanr(concepts.complexity, share).statistic:+.2f}")
for name in ("unreadable", "late", "importance", "redundancy", "hoyer"):
    alone = spearmanr(concepts.complexity, concepts[name]).statistic
    without = partial(concepts.complexity, concepts[name], share)
    print(f"complexity ~ {name}: {alone:+.2f}, given that share {without:+.2f}")

weights = torch.load(sys.argv[2], weights_only=True)
weight, bias = (weights[f"classifier.1.{part}"].squeeze().numpy() for part in ("weight", "bias"))
with h5py.File(file) as run:
    tap = run["taps/features.12"]
    means = {
        f"all {POSITIONS}": tap["activations"][()] + tap["shift"][()],
        f"the {kept} kept": run["penultimate/activations"][()].mean(1),
    }
    for name, vectors in means.items():
        same = (vectors @ weight.T + bias).clip(0).argmax(1) == run["samples/prediction"][()]
        print(f"predictions kept by the mean of {name} positions: {same.mean():.3f}")
