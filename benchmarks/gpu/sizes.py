"""How much the GPU works on at once: the sizes that the code assumes, beside smaller and larger."""

from __future__ import annotations

from functools import partial
from unittest import mock

import torch

from benchmarks.gpu.algebra import FOLDS, RESIDUAL, fit_times, grouped, moments_of, problem
from benchmarks.gpu.session import Session
from vinfo_mpi.numerics import grouped_rows, nnls, ridge


def sizes(session: Session) -> None:
    """Measure codes, an iteration of the dictionary, errors of ridge, with several sizes each."""
    _codes(session)
    _dictionary(session)
    _errors(session)


def _codes(session: Session) -> None:
    rows, concepts, channels = session.choose((16384, 10000, 2048), (256, 300, 64))
    vectors, atoms = problem(rows, concepts, channels, session.device)
    dictionary = nnls.Dictionary(atoms, "directions")
    for precision in (torch.float64, torch.float32):
        for together in session.choose((1024, 4096, 8192, 16384), (64, 256)):
            encode = partial(
                dictionary.encode, vectors, RESIDUAL, precision=precision, together=together
            )
            seconds, _ = session.time(encode, 1, warm=0)
            session.speed(
                f"codes, {together} rows at once, {precision}".replace("torch.", ""),
                seconds,
                rows_per_second=rows / seconds,
            )


def _dictionary(session: Session) -> None:
    groups, images, channels, atoms = session.choose((250, 2450, 2048, 10), (8, 50, 64, 4))
    vectors, group = grouped(session, groups, images, channels)
    name = "NUMBERS_OF_GPU" if session.on_gpu else "BLOCK"
    for block in session.choose((2**27, 2**28, 2**29, 2**30), (2**6, 2**8)):
        with mock.patch.object(grouped_rows, name, block):
            seconds = fit_times(session, vectors, group, groups, atoms)
        session.speed(f"an iteration, {groups} x {atoms} atoms, {block} at once", seconds)


def _errors(session: Session) -> None:
    images, channels, concepts = session.choose((50000, 2048, 10000), (500, 32, 100))
    values = torch.rand(images, concepts, device=session.device, dtype=torch.float64)
    fold = torch.arange(images, device=session.device) % FOLDS
    activations = torch.randn(images, channels, device=session.device)
    for rows in session.choose((1024, 4096, 16384), (100,)):
        seconds, moments = session.time(
            partial(moments_of, activations, values, fold, rows), 1, warm=0
        )
        session.speed(f"moments, {rows} rows at once", seconds)
    factor = ridge.factorise(moments, 0)
    for block in session.choose((2**20, 2**22, 2**24, 2**26), (2**10,)):
        with mock.patch.dict(ridge.BLOCK, {session.device.type: block}):
            seconds, _ = session.time(lambda: ridge.errors(factor, moments, 0, ridge.PENALTIES), 3)
        session.speed(f"errors of ridge, {block} weights at once", seconds)
