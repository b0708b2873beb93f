"""Reading ahead: a thread prepares the next items while the last one is in use."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

import torch

T = TypeVar("T")
AHEAD = 2  # batches read ahead of the network


def ahead(
    items: Iterable[T], depth: int = AHEAD, device: torch.device | None = None
) -> Iterator[T]:
    """Yield the items of an iterable that a thread of its own consumes up to `depth` items ahead.

    The thread is at home on the device.
    """
    waiting: queue.Queue = queue.Queue(depth)
    stopped = threading.Event()
    end = object()

    def put(item: object) -> None:
        while not stopped.is_set():
            try:
                return waiting.put(item, timeout=0.1)
            except queue.Full:
                continue

    def work() -> None:
        try:
            if device is not None and device.type == "cuda":
                # Each thread starts on number 0, where pinned memory would take room.
                torch.cuda.set_device(device)
            for item in items:
                put(item)
                if stopped.is_set():
                    return
            put(end)
        except BaseException as error:
            put(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        while (item := waiting.get()) is not end:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
