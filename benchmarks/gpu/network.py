"""Speed of what runs the network: forward passes, taps, pictures; and of reading an image."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator

import numpy as np
import torch
import torchvision
from PIL import Image
from torchvision.transforms import v2

from benchmarks.gpu.ceilings import tf32
from benchmarks.gpu.session import Session
from vinfo_mpi.config.schema import Extract
from vinfo_mpi.data.loading import AUGMENTATIONS, Preprocessing
from vinfo_mpi.networks import branches, taps
from vinfo_mpi.visualisation.transformations import draws, transformed

FORWARD = 8.2e9  # operations of ResNet-50 on an image of 224 pixels
SIDE = 224
JPEG = (375, 500)  # height and width of an image of ImageNet
# How a forward pass may be done: TF32, channels last, bfloat16.
WAYS = {
    "float32": (False, False, False),
    "TF32": (True, False, False),
    "TF32, channels last": (True, True, False),
    "bfloat16, channels last": (False, True, True),
}


def network(session: Session) -> None:
    """Measure ResNet-50: forward in several precisions, with taps, its last map, pictures."""
    size, batch = session.choose((SIDE, 256), (64, 4))
    model = torchvision.models.resnet50().eval().requires_grad_(False).to(session.device)
    images = torch.randn(batch, 3, size, size, device=session.device)
    with torch.no_grad():
        for name in WAYS if session.on_gpu else ("float32",):
            _forward(session, name, model, images)
        _taps(session, model.to(memory_format=torch.contiguous_format), images)
    _pictures(session, model, size)


def _forward(session: Session, name: str, model: torch.nn.Module, images: torch.Tensor) -> None:
    fast, last, half = WAYS[name]
    layout = torch.channels_last if last else torch.contiguous_format
    model.to(memory_format=layout)
    inputs = images.to(memory_format=layout)
    floor = FORWARD * len(images) * (images.shape[-1] / SIDE) ** 2 / session.ceilings["float32"]
    with tf32(fast), _half(half):
        seconds, _ = session.time(lambda: model(inputs))
    session.speed(
        f"forward, {len(images)} images, {name}",
        seconds,
        floor,
        images_per_second=len(images) / seconds,
    )


def _half(enabled: bool) -> contextlib.AbstractContextManager:
    return torch.autocast("cuda", torch.bfloat16) if enabled else contextlib.nullcontext()


def _taps(session: Session, model: torch.nn.Module, images: torch.Tensor) -> None:
    options = Extract()
    where = taps.find(model, options, images[:1])
    blocks = branches.find(model, where, images[:1])
    seconds, reading = session.time(lambda: taps.read(model, where, images, options, blocks))
    session.speed(
        f"forward, {len(images)} images, with taps and branches",
        seconds,
        images_per_second=len(images) / seconds,
    )
    values = reading.map.half()
    seconds, here = session.time(lambda: values.cpu().numpy())
    session.speed("last map from the device, float16", seconds, bytes=values.nbytes)
    seconds, _ = session.time(lambda: np.isfinite(here).all(), 1)
    session.speed("  whether it is finite, by numpy", seconds)
    seconds, _ = session.time(lambda: bool(torch.isfinite(values).all()))
    session.speed("  whether it is finite, on the device", seconds)


def _pictures(session: Session, model: torch.nn.Module, size: int) -> None:
    pictures = torch.rand(
        session.choose(16, 2), 3, size, size, device=session.device, requires_grad=True
    )

    def step() -> None:
        model(pictures).sum().backward()
        pictures.grad = None

    seconds, _ = session.time(step)
    session.speed(f"forward and backward, {len(pictures)} pictures", seconds)
    keys = np.arange(2 * len(pictures)).reshape(-1, 2)
    seconds, _ = session.time(
        lambda: transformed(pictures.detach(), draws(keys, 0, pictures.shape[1:]), size)
    )
    session.speed("  their crops and noise", seconds)


def reading(session: Session) -> None:
    """Measure what one reader does: decode, resize, crop a JPEG; on one core."""
    random = np.random.default_rng(0)
    small = Image.fromarray(random.integers(0, 255, (JPEG[0] // 8, JPEG[1] // 8, 3), np.uint8))
    smooth = np.asarray(small.resize(JPEG[::-1])).astype(float)
    noisy = (smooth + random.normal(0, 12, smooth.shape)).clip(0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noisy).save(file, "JPEG", quality=92)
    steps = AUGMENTATIONS["none"](Preprocessing((SIDE, SIDE), [0.5] * 3, [0.5] * 3, 256))
    prepare = v2.Compose([v2.RGB(), *steps, v2.ToImage()])
    with _one_thread():
        seconds, _ = session.time(
            lambda: prepare(Image.open(io.BytesIO(file.getvalue())).convert("RGB")), 20
        )
    size = len(file.getvalue()) // 1000
    session.speed(
        f"a JPEG of {size} kB: decoded, resized, cropped", seconds, images_per_second=1 / seconds
    )


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(len(os.sched_getaffinity(0)))
