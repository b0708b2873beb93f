"""A pretended CUDA device, for machines without one.

Its tensors say that they are on cuda:0 and hold their values in the processor's memory. Each
operation is refused where CUDA refuses it, done on the processor, and its result is given to the
device again. What would make the processor wait for a real device, and what would be copied to and
fro, is counted by the line of vinfo_mpi that asks for it. Not pretended are speed, memory,
rounding, and streams.

    PRETENDED_GUARD=/path/to/guard.so python program_that_imports_this.py

It changes torch for the whole process: import it in processes of its own, before torch.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, NamedTuple
from unittest import mock

# guard.cpp, compiled: before torch.
GUARD = ctypes.CDLL(os.environ["PRETENDED_GUARD"], mode=ctypes.RTLD_GLOBAL)

import torch
from counts import Counts
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils.weak import WeakTensorKeyDictionary

GUARD.install_guard()
torch.autograd.set_multithreading_enabled(False)  # backward passes in the thread that is watched

CUDA = torch.device("cuda", 0)
# Operations whose result, or whether they worked, the processor has to know before it goes on.
WAITING = frozenset(
    {
        "_linalg_eigh",
        "_linalg_solve_ex",
        "_linalg_svd",
        "_local_scalar_dense",
        "_unique2",
        "bincount",
        "equal",
        "is_nonzero",
        "linalg_qr",
        "masked_select",
        "nonzero",
        "repeat_interleave",
        "unique_consecutive",
        "unique_dim",
    }
)
INDEXING = frozenset({"_index_put_impl_", "_unsafe_index", "index", "index_put", "index_put_"})
STRICT = frozenset({"cat", "stack"})  # refuse even a number that lies on the other side
# Views that only mark their values as conjugated or negated, and the operation that does it: under
# a dispatch mode marks are not looked at.
MARKING = {"_conj": torch.conj_physical, "_neg_view": torch.neg}

COUNTS = Counts()
PINNED: WeakTensorKeyDictionary = WeakTensorKeyDictionary()  # tensors of pinned memory


class DeviceError(RuntimeError):
    """What CUDA would have refused."""


class Pretended(torch.Tensor):
    """A tensor that says it is on cuda:0; `held` has its values."""

    __slots__ = ("held",)
    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> Pretended:
        tensor = torch.Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            layout=held.layout,
            device=CUDA,
        )
        tensor.held = held
        return tensor

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(
        cls, function: Any, types: Any, arguments: Any = (), options: Any = None
    ) -> Any:
        return _perform(function, arguments, options or {})

    def __repr__(self, **_: Any) -> str:
        return f"Pretended({self.held!r})"

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.held.__reduce_ex__(protocol)  # files are written from the processor's memory

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def numpy(self, **_: Any) -> Any:
        raise TypeError("can't convert a cuda:0 tensor to numpy; copy it with Tensor.cpu() first")

    def __array__(self, *_: Any, **__: Any) -> Any:
        return self.numpy()


class _Mode(TorchDispatchMode):
    """Sends every operation through here, also those that make tensors from nothing."""

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Any = (), options: Any = None
    ) -> Any:
        return _perform(function, arguments, options or {})


def _perform(function: Any, arguments: Any, options: dict[str, Any]) -> Any:
    """Do one operation as the device would."""
    tensors = [*_tensors(arguments), *_tensors(options.values())]
    target = options.get("device")
    arrives = target is not None and torch.device(target).type == "cuda"
    if not arrives and not any(isinstance(tensor, Pretended) for tensor in tensors):
        return _on_processor_alone(function, arguments, options)
    name, shares, in_place, drawn = _known(function)
    there = arrives or target is None
    if name in INDEXING or name == "copy_":
        there = isinstance(arguments[0], Pretended)
    if drawn:
        _refuse_generator(name, [*arguments, *options.values()])
    if name in INDEXING:
        _index(name, arguments)
    elif name == "copy_":
        waits = True not in arguments[2:] or (not there and arguments[0] not in PINNED)
        _copy(arguments[1], there, arguments[1].dtype, waits)
    elif name == "_to_copy":
        # The processor converts, and sends the result.
        dtype = options.get("dtype") or arguments[0].dtype
        # To the processor it waits: what it makes is not pinned.
        _copy(arguments[0], there, dtype, waits=not (options.get("non_blocking") and there))
    else:
        _refuse_mixture(name, tensors)
    if name in WAITING:
        COUNTS.wait(name)
    COUNTS.operations += 1
    operation = MARKING.get(name, function)
    given = {key: _on_processor(value) for key, value in options.items()}
    try:
        result = operation(*map(_on_processor, arguments), **given | _instead(options, arrives))
    except RuntimeError as error:
        if "can't allocate memory" in str(error):
            raise torch.OutOfMemoryError("CUDA out of memory.") from error
        raise
    if in_place:
        return arguments[0]
    result = _on_device(result) if there else result
    return return_and_correct_aliasing(function, arguments, options, result) if shares else result


class Known(NamedTuple):
    """What an operation's schema says.

    Attributes
    ----------
    name : str
    shares : bool
        Whether its results may share memory with its arguments.
    in_place : bool
        Whether it changes the values of its first argument, not its shape, and returns it.
    drawn : bool
        Whether it takes random numbers.
    """

    name: str
    shares: bool
    in_place: bool
    drawn: bool


@cache
def _known(function: Any) -> Known:
    schema = function._schema
    aliases = [value.alias_info for value in (*schema.arguments, *schema.returns)]
    first, returned = schema.arguments[:1], schema.returns
    return Known(
        schema.name.removeprefix("aten::"),
        shares=any(alias is not None for alias in aliases),
        in_place=torch.Tag.inplace_view not in function.tags
        and len(returned) == len(first) == 1
        and all(value.alias_info and value.alias_info.is_write for value in (*first, *returned)),
        drawn=any("Generator" in str(value.type) for value in schema.arguments),
    )


def _tensors(values: Iterable[Any]) -> Iterator[torch.Tensor]:
    """Yield the tensors among arguments, which may be lists of some."""
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def _on_processor_alone(function: Any, arguments: Any, options: dict[str, Any]) -> Any:
    """Do an operation that has nothing to do with the device; remember memory that is pinned."""
    if not options.get("pin_memory"):
        return function(*arguments, **options)
    result = function(*arguments, **options | {"pin_memory": False})
    PINNED[result] = True
    return result


def _on_processor(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return type(value)([*map(_on_processor, value)])
    return value.held if isinstance(value, Pretended) else value


def _on_device(result: Any) -> Any:
    if isinstance(result, list | tuple):
        return type(result)([*map(_on_device, result)])
    return Pretended(result) if isinstance(result, torch.Tensor) else result


def _instead(options: dict[str, Any], arrives: bool) -> dict[str, Any]:
    """Return the options that the processor needs in place of the device's."""
    changed: dict[str, Any] = {"device": torch.device("cpu")} if arrives else {}
    return changed | ({"pin_memory": False} if options.get("pin_memory") else {})


def _refuse_generator(name: str, values: list[Any]) -> None:
    for value in values:
        if isinstance(value, torch.Generator) and value.device.type != "cuda":
            raise DeviceError(f"{name}: expected a cuda generator, found one of the CPU")


def _refuse_mixture(name: str, tensors: list[torch.Tensor]) -> None:
    """Refuse tensors of the processor beside the device's; single numbers may be anywhere."""
    apart = [tensor for tensor in tensors if not isinstance(tensor, Pretended)]
    if any(tensor.dim() for tensor in apart) or (apart and name in STRICT):
        places = [f"{tuple(tensor.shape)} on {tensor.device}" for tensor in tensors]
        raise DeviceError(
            f"{name}: expected all tensors to be on the same device, found {', '.join(places)}"
        )


def _index(name: str, arguments: Any) -> None:
    """Refuse an index or a value on the wrong side, and count what an index costs."""
    target, index, *values = arguments
    there = isinstance(target, Pretended)
    for tensor in filter(lambda entry: entry is not None, index):
        if isinstance(tensor, Pretended) and not there:
            raise DeviceError(f"{name}: an index on cuda:0 into a tensor on the CPU")
        if there and not isinstance(tensor, Pretended):
            COUNTS.copy("to device", tensor.nbytes, waits=True)
        if there and tensor.dtype in (torch.bool, torch.uint8):
            COUNTS.wait("mask")
    if there and values and not isinstance(values[0], Pretended) and values[0].dim():
        raise DeviceError(f"{name}: values on the CPU for a tensor on cuda:0")


def _copy(source: torch.Tensor, there: bool, dtype: torch.dtype, waits: bool) -> None:
    """Count a copy between processor and device, if it is one."""
    if there and not isinstance(source, Pretended):
        COUNTS.copy("to device", source.numel() * dtype.itemsize, waits)
    elif not there and isinstance(source, Pretended):
        COUNTS.copy("from device", source.numel() * source.element_size(), waits)


class _Event:
    """An event of a stream: to wait for it is to wait for the device."""

    def record(self) -> None: ...

    def synchronize(self) -> None:
        COUNTS.wait("event")


class _Properties:
    """What torch.cuda.get_device_properties says of the device."""

    name = "a pretended GPU"
    uuid = "GPU-pretended"
    major, minor = 9, 0
    pci_domain_id = pci_bus_id = pci_device_id = 0
    total_memory = 80 * 2**30
    multi_processor_count = 132


_RUN_THREAD = threading.Thread.run


def _run_thread(thread: threading.Thread) -> None:
    with _Mode(), _lifting_for_device():
        _RUN_THREAD(thread)


@contextlib.contextmanager
def _lifting_for_device() -> Iterator[None]:
    """Let torch.tensor(..., device="cuda") in this thread send values that the processor made."""
    torch._C._set_only_lift_cpu_tensors(True)
    try:
        yield
    finally:
        torch._C._set_only_lift_cpu_tensors(False)


@contextlib.contextmanager
def device() -> Iterator[torch.device]:
    """Pretend in this block, and in threads that are started in it, that there is one GPU."""
    patches = (
        mock.patch.multiple(
            torch.cuda,
            _initialized=True,
            _lazy_init=lambda: None,
            is_available=lambda: True,
            device_count=lambda: 1,
            current_device=lambda: 0,
            get_device_properties=lambda device=None: _Properties,
            set_device=lambda device: None,
            synchronize=lambda device=None: COUNTS.wait("synchronize"),
            empty_cache=lambda: None,
            Event=_Event,
            mem_get_info=lambda device=None: (_Properties.total_memory, _Properties.total_memory),
            memory_allocated=lambda device=None: 0,
            memory_reserved=lambda device=None: 0,
            max_memory_allocated=lambda device=None: 0,
            reset_peak_memory_stats=lambda device=None: None,
        ),
        mock.patch.object(torch.Tensor, "pin_memory", lambda tensor, device=None: tensor),
        mock.patch.object(threading.Thread, "run", _run_thread),
        torch.backends.cudnn.flags(
            enabled=False
        ),  # it would choose operations that a processor lacks
    )
    torch.__future__.set_overwrite_module_params_on_conversion(
        True
    )  # values cannot be exchanged under a tensor
    with contextlib.ExitStack() as stack:
        for patch in patches:
            stack.enter_context(patch)
        stack.enter_context(_lifting_for_device())
        stack.enter_context(_Mode())
        yield CUDA


def placed(tensor: torch.Tensor) -> torch.Tensor:
    """Return a copy of a tensor on the pretended device."""
    return tensor.to(CUDA, copy=True)
