"""Which library a program's tensors are of, and tensors of the engine as that library's, without copies."""

from __future__ import annotations

import array
import importlib
import importlib.util
import operator
import sys
from typing import Any, Iterable, Sequence

KINDS = ("pt", "np")
# Integers that _core does not know.
_WIDENED = ("int8", "int16", "uint16", "uint32", "uint64")


def imported(name: str) -> Any:
    """A module that the program has imported, else None. While another thread imports it, that is waited for."""
    return importlib.import_module(name) if sys.modules.get(name) is not None else None


def kind_of(value: Any) -> str | None:
    """"pt" for a tensor of torch, "np" for an array of numpy, else None."""
    torch = imported("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return "pt"
    numpy = imported("numpy")
    if numpy is not None and isinstance(value, (numpy.ndarray, numpy.generic)):
        return "np"
    return None


def kind_among(values: Iterable[Any]) -> str | None:
    """The kind of the first tensor among values. Where there is none: torch's where the program has imported it, as in the
    reference, else numpy's where that is installed; None where it has neither: then ids are lists, and the rest arrays of the
    engine."""
    for value in values:
        kind = kind_of(value)
        if kind is not None:
            return kind
    if imported("torch") is not None:
        return "pt"
    return "np" if importlib.util.find_spec("numpy") is not None else None


def check_kind(kind: Any) -> str | None:
    """return_tensors as the reference takes it: "pt", "np", an enum of these, or None."""
    kind = getattr(kind, "value", kind)
    if kind in (None, "auto"):
        return None
    if kind not in KINDS:
        raise ValueError(f'return_tensors should be "pt", "np" or None, not {kind!r}')
    return str(kind)


def library(kind: str) -> Any:
    """torch or numpy."""
    name = {"pt": "torch", "np": "numpy"}[kind]
    try:
        return __import__(name)
    except ImportError as error:
        other = "np" if kind == "pt" else "pt"
        raise ImportError(f'return_tensors="{kind}" needs {name}, which is not installed; "{other}" does not') from error


def give(tensor: Any, kind: str | None) -> Any:
    """An array of _core in the memory it has, as a tensor of that kind; as it is where kind is None."""
    if tensor is None or kind is None:
        return tensor
    if kind == "pt":
        return library("pt").from_dlpack(tensor)
    # A buffer, for numpy's DLPack knows neither read-only arrays in all releases nor bfloat16 in any.
    try:
        return library("np").asarray(memoryview(tensor))
    except BufferError:
        raise TypeError("numpy has no bfloat16, which these weights are stored in; torch has, where a program imports it") from None


def take(value: Any, name: str) -> Any:
    """What _core takes: a tensor as it is (torch's without its history), lists of integers as an array."""
    kind = kind_of(value)
    if kind == "pt":
        value = value.detach()
        value = value if value.device.type == "cpu" else value.cpu()
    elif isinstance(value, (list, tuple)):
        return integers(value, name)
    elif kind is None:
        return value
    if not value.shape:
        raise ValueError(f"[{name}] is a single number: it takes rows of them")
    if kind == "np" and not value.dtype.isnative:
        value = value.astype(value.dtype.newbyteorder("="))
    dtype = dtype_name(value.dtype)
    if name.endswith("mask") and "float" in dtype:
        return value != 0
    if dtype in _WIDENED:
        return value.long() if kind == "pt" else value.astype("int64")
    if dtype == "object":
        raise TypeError(f"[{name}] is an array of objects: it takes numbers")
    return value


def integer(value: Any, name: str) -> int:
    """An integer of 64 bits, also of numpy's or torch's."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"[{name}] takes tensors or lists of integers, not {value!r} in a list") from None
    if not -(2**63) <= number < 2**63:
        raise ValueError(f"[{name}] has {number}, an integer beyond 64 bits")
    return number


def integers(values: Sequence[Any], name: str) -> memoryview:
    """Lists of integers, nested to any depth, as a buffer with a shape."""
    flat: list[int] = []

    def flatten(row: Sequence[Any]) -> tuple[int, ...]:
        if row and isinstance(row[0], (list, tuple)):
            shapes = {flatten(inner) for inner in row}
            if len(shapes) != 1:
                raise ValueError(f"[{name}] has rows of different lengths: pad them, and give an attention_mask")
            return (len(row), *shapes.pop())
        flat.extend(integer(value, name) for value in row)
        return (len(row),)

    shape = flatten(values)
    data = memoryview(array.array("q", flat))
    return data.cast("B").cast("q", shape) if flat else data


def ids_of(value: Any) -> list[int]:
    """One sequence of ids out of a tensor, array, list or a single number."""
    value = value.tolist() if hasattr(value, "tolist") else value
    return [int(value)] if isinstance(value, int) else [int(id) for id in value]


def check_device(place: Any) -> None:
    if place is not None and str(place).split(":")[0] != "cpu":
        raise ValueError(f'device "{place}" is not there: this engine computes on "cpu"')


def dtype_name(dtype: Any) -> str:
    """"float32", "bfloat16", … of a dtype of torch or numpy, or of its name."""
    name = dtype if isinstance(dtype, str) else getattr(dtype, "__name__", None) or str(dtype)
    return name.removeprefix("torch.").removeprefix("numpy.")
