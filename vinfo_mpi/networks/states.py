"""State dicts: weights in files, as training scripts write them, brought to a network's names."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from vinfo_mpi.config.schema import Network
from vinfo_mpi.errors import InputError
from vinfo_mpi.networks import unpickling
from vinfo_mpi.parallel.logs import log

State = dict[str, torch.Tensor]

# What training scripts call the weights inside a checkpoint: as trained, and averaged over steps.
PLAIN = (
    "state_dict", "model_state_dict", "model", "net", "network", "model_state", "state", "weights",
    "params", "module",
)  # fmt: skip
AVERAGED = (
    "state_dict_ema", "model_ema", "ema", "ema_state_dict", "model_ema_state_dict", "ema_model",
    "params_ema", "averaged_model",
)  # fmt: skip
# A part of a tensor's name with one of these words, as ema_model and model_ema, is of averages.
AVERAGED_WORDS = {"ema", "averaged", "swa", "teacher", "momentum"}
# Of networks that are taught by the average of themselves, that average is what is used.
TEACHER = "teacher"
STUDENT = "student"
# What wrappers put into names, at any place.
WRAPPERS = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
AVERAGED_STEPS = "n_averaged"  # which torch's AveragedModel keeps beside the network
COUNTER = "num_batches_tracked"  # which files from before PyTorch 0.4.1 lack
HALF = 0.5  # of a network's names, at least, have the prefix that is taken off
FOLDERS = ("model.safetensors.index.json", "model.safetensors", "pytorch_model.bin")


@dataclass(frozen=True)
class Choice:
    """The part of a file that is used.

    Attributes
    ----------
    ema : bool, or None
        Whether averaged weights; None: those as trained where there are any.
    drop_head : bool
        Whether the head stays as it was initialised where the file's does not fit.
    """

    ema: bool | None = None
    drop_head: bool = False

    @classmethod
    def from_config(cls, network: Network) -> Choice:
        """Return what the configuration says."""
        return cls(network.ema, network.head == "drop")


DEFAULT = Choice()


def read_state(path: Path, setting: str, choice: Choice = DEFAULT) -> State:
    """Return the state dict in a file or folder, wherever common training scripts put it there.

    Raises
    ------
    InputError
        If the file holds no state dict, or cannot be read safely.
    """
    where = f"{setting}: {path}"
    content = _content(path, where)
    states = dict(_nested(content))
    usable = states if choice.ema is None else _asked_for(states, choice.ema)
    if not usable:
        keys = ", ".join(map(str, content)) if isinstance(content, Mapping) else "no dictionary"
        asked = "" if choice.ema is None else f" as network.ema: {choice.ema} asks for"
        raise InputError(
            f"{where} holds no state dict{asked}; save model.state_dict() (it holds: {keys[:200]})"
        )
    taken = next(iter(usable)) if choice.ema is not None else _first(states)
    others = [path for path in states if path != taken]
    if others and taken:
        _say(
            f"{path}: '{taken}' is taken; it also holds {', '.join(map(repr, others))}"
            " (network.ema: true takes averaged weights, false those as trained)"
        )
    return usable[taken]


def load_state(module: nn.Module, state: State, source: str, choice: Choice = DEFAULT) -> None:
    """Load a state dict, whatever prefix or wrapper its names have.

    Raises
    ------
    InputError
        Names what does not fit.
    """
    own = module.state_dict()
    cleaned = {_clean(name): name for name in own}
    if len(cleaned) < len(own):
        cleaned = {name: name for name in own}
    renamed = {_clean(name): value for name, value in state.items()}
    state = renamed if len(renamed) == len(state) else state
    prefix = _prefix(state, cleaned, source, choice.ema)
    fitting = {
        cleaned.get(name.removeprefix(prefix), name.removeprefix(prefix)): value
        for name, value in state.items()
        if name.startswith(prefix) and name != AVERAGED_STEPS
    }
    if prefix:
        left = [name for name in state if not name.startswith(prefix)]
        rest = (
            f"; left out: {', '.join(left[:5])}{', ...' if len(left) > 5 else ''}" if left else ""
        )
        _say(f"{source}: names without '{prefix}'{rest}")
    fitting |= {
        name: value for name, value in own.items() if name.endswith(COUNTER) and name not in fitting
    }
    _load(module, own, fitting, source, choice.drop_head, prefix)


def _load(
    module: nn.Module, own: State, state: State, source: str, drop_head: bool, prefix: str
) -> None:
    """Load a state dict whose names are the network's."""
    misfits = [
        name for name, value in own.items() if name not in state or state[name].shape != value.shape
    ]
    of_head = bool(misfits) and list(own)[-len(misfits) :] == misfits and len(misfits) < len(own)
    if drop_head and (of_head or not misfits):
        if misfits:
            _say(f"{source}: {', '.join(misfits)} stay as initialised (network.head: drop)")
        state = {name: own[name] if name in misfits else state[name] for name in own}
    elif problems := _differences(state, own):
        without = f" (names taken without '{prefix}')" if prefix else ""
        remedy = "; network.head: drop leaves out a head of another size" if of_head else ""
        raise InputError(
            f"{source} does not fit the network{without}: {'; '.join(problems)}; "
            f"check network.name and its options{remedy}"
        )
    # What a state dict says of the versions of its modules is lost in files; MNASNet asks for it.
    whole = OrderedDict(state)
    whole._metadata = getattr(own, "_metadata", {})  # type: ignore[attr-defined]
    module.load_state_dict(whole)


def _content(path: Path, where: str) -> Any:
    """Return what a file holds, or the shards of a folder together."""
    if path.is_dir():
        if (path / ".metadata").exists():
            raise InputError(
                f"{where} is a distributed checkpoint, in parts; make it one file: python -m "
                f"torch.distributed.checkpoint.format_utils dcp_to_torch {path} weights.pth"
            )
        inside = next((path / name for name in FOLDERS if (path / name).exists()), None)
        if inside is None:
            raise InputError(f"{where} is a folder without {' or '.join(FOLDERS)}; name the file")
        return _content(inside, where)
    if path.name.endswith(".index.json"):
        shards = sorted(set(json.loads(path.read_text())["weight_map"].values()))
        parts = [_content(path.parent / shard, f"{where}: {shard}") for shard in shards]
        return {name: value for part in parts for name, value in part.items()}
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except FileNotFoundError:
            raise InputError(f"{where} does not exist; give the path of a state dict") from None
        except Exception as error:
            raise InputError(f"{where} is not a safetensors file ({error})") from None
    return unpickling.load(path, where)


def _nested(content: Any, path: str = "") -> Iterator[tuple[str, State]]:
    """Yield the state dicts in a checkpoint, each with the keys that lead to it."""
    if not isinstance(content, Mapping):
        return
    inside = [name for name in (*PLAIN, TEACHER, *AVERAGED, STUDENT)
              if isinstance(content.get(name), Mapping)]  # fmt: skip
    for name in inside:
        yield from _nested(content[name], f"{path}.{name}" if path else name)
    tensors = {name: value for name, value in content.items() if isinstance(value, torch.Tensor)}
    if tensors and not inside:
        yield path, tensors


def _asked_for(states: Mapping[str, State], ema: bool) -> dict[str, State]:
    """Return what is averaged of the state dicts in a file, or what is not.

    Averages may also lie beside the weights as trained, under names of their own.
    """
    usable = {}
    for path, state in states.items():
        chosen = {
            name: value
            for name, value in state.items()
            if (_of_averages(path) or _is_averaged(name)) == ema
        }
        if chosen:
            usable[path] = chosen
    return dict(sorted(usable.items(), key=lambda pair: _of_averages(pair[0]) != ema))


def _first(states: Mapping[str, State]) -> str:
    """Return the name of the one to take: weights as trained before averages of them."""
    plain = [path for path in states if not _of_averages(path)]
    averaged = [path for path in states if path not in plain]
    if averaged and all(STUDENT in path.split(".") for path in plain):
        return averaged[0]
    return plain[0] if plain else averaged[0]


def _of_averages(path: str) -> bool:
    return bool({*path.split(".")} & {*AVERAGED, TEACHER})


def _is_averaged(name: str) -> bool:
    """Whether a tensor's name, or its beginning, says that it is averaged over steps.

    >>> [_is_averaged(name) for name in ("ema.conv", "model_ema.", "net.ema_model.", "schema.")]
    [True, True, True, False]
    """
    return any(AVERAGED_WORDS & {*part.lower().split("_")} for part in name.split("."))


def _prefix(state: State, own: Mapping[str, str], source: str, ema: bool | None) -> str:
    """Return what stands before the network's names in a state dict, nothing if it is not it.

    Where several parts of it fit, averaged ones are taken where they are asked for.
    """
    needed = [name for name in own if not name.endswith(COUNTER)]
    if not needed:
        return ""
    shares = {
        prefix: sum(prefix + name in state for name in needed) / len(needed)
        for prefix in (name.removesuffix(needed[0]) for name in state if _ends(name, needed[0]))
    }
    fitting = [prefix for prefix, share in shares.items() if share >= HALF]
    wanted = [prefix for prefix in fitting if _is_averaged(prefix) == bool(ema)] or fitting
    best = [prefix for prefix in wanted if shares[prefix] == max(shares[p] for p in wanted)]
    if "" in best:
        return ""
    if len(best) > 1:
        raise InputError(
            f"{source} holds the network several times, as {', '.join(best)}; "
            "save the one to analyse by itself"
        )
    if len(fitting) > 1:
        names = ", ".join(prefix or "names without a prefix" for prefix in fitting)
        _say(f"{source}: of {names} what network.ema asks for: {best[0]}")
    return best[0] if best else ""


def _ends(name: str, ending: str) -> bool:
    return name == ending or name.endswith(f".{ending}")


def _clean(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def _differences(
    state: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]
) -> list[str]:
    """Return in which ways a state dict does not fit."""
    problems = []
    if missing := [name for name in expected if name not in state]:
        problems.append(f"{len(missing)} keys are missing, first '{missing[0]}'")
    if unexpected := [name for name in state if name not in expected]:
        problems.append(f"{len(unexpected)} are unexpected, first '{unexpected[0]}'")
    for name, values in expected.items():
        if name in state and state[name].shape != values.shape:
            problems.append(
                f"'{name}' is {tuple(state[name].shape)} instead of {tuple(values.shape)}"
            )
            break
    return problems


@cache
def _say(line: str) -> None:
    """Log a line once: weights are loaded again and again."""
    log.info("%s", line)
