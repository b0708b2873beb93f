"""A whole study on the device: ResNet-50, several checkpoints, from images to V-information."""

from __future__ import annotations

import json
import time
from typing import Any

import torch
import torchvision

from benchmarks.gpu.runs import Runs
from benchmarks.gpu.session import Session

CLASSES = 8  # of the planted images
READERS = 14
STAGES = ("extract", "dictionary", "encode", "score", "importance", "dynamics", "flow")


def study(session: Session, runs: Runs) -> None:
    """Measure its stages, with what each of them spends its time on.

    Weights are random, so that nothing is to be carried there: times are those of trained ones, but
    for the iterations of dictionary and codes.
    """
    images, size, batch = session.choose((4096, 224, 256), (96, 64, 16))
    checkpoints, concepts, readers = session.choose((4, 125, READERS), (2, 2, 0))
    name = session.choose("resnet50", "resnet18")
    paths = [session.work / f"{name}_{number}.pt" for number in range(checkpoints)]
    for number, path in enumerate(paths):
        torch.manual_seed(number)
        torch.save(torchvision.models.get_model(name, num_classes=CLASSES).state_dict(), path)
    config: dict[str, Any] = {
        "name": "study",
        "data": {
            "source": "planted",
            "image_size": size,
            "planted": {"images": images, "size": size},
        },
        "network": {"name": name, "checkpoints": [str(path) for path in paths]},
        "extract": {"dtype": "float16"},
        "dictionary": {"concepts_per_class": concepts},
        "train": {"epochs": 0},
        "analyses": ["flow"],
        "pages": [],
        "machine": {"batch": batch, "workers": readers},
    }
    runs.clear("study")
    start = time.perf_counter()
    code = runs.complete("study", config=config)
    whole = time.perf_counter() - start
    session.check(f"a study of {name}", code == 0, code=code)
    if code:
        return
    taken = json.loads((runs.folder("study") / "timings.json").read_text())
    for stage in STAGES:
        phases = {name: values["max"] for name, values in taken[stage]["seconds"].items()}
        session.speed(f"the study: {stage}", phases["total"], phases=phases)
    passes = images * checkpoints
    per_second = passes / taken["extract"]["seconds"]["total"]["max"]
    session.speed(
        f"the study: {images} images, {checkpoints} checkpoints, {CLASSES * concepts} concepts",
        whole,
        images_per_second_of_extract=per_second,
    )
