"""What processors return: a dict whose keys are attributes too."""

from __future__ import annotations

from collections import UserDict
from typing import Any

from . import _kinds


class BatchFeature(UserDict):  # type: ignore[type-arg]
    """Named tensors. `features.input_ids` is `features["input_ids"]`."""

    def __init__(self, data: Any = None, tensor_type: Any = None) -> None:
        super().__init__(data)
        self.convert_to_tensors(tensor_type)

    def convert_to_tensors(self, tensor_type: Any = None) -> BatchFeature:
        """Lists of numbers as tensors of torch ("pt") or numpy ("np"); what is one already stays. Returns this object."""
        kind = _kinds.check_kind(tensor_type)
        if kind is not None:
            made = _kinds.library(kind)
            for name, value in self.data.items():
                if isinstance(value, (list, tuple)):
                    self.data[name] = made.tensor(value) if kind == "pt" else made.array(value)
        return self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "data":
            raise AttributeError(name)
        try:
            return self.data[name]
        except KeyError:
            raise AttributeError(f"this {type(self).__name__} has {sorted(self.data)}, not {name!r}") from None

    def to(self, *args: Any, **kwargs: Any) -> BatchFeature:
        """Tensors on a device ("cpu", "cuda:0", a torch.device) and of a dtype: as in the reference the dtype counts for
        floating-point tensors alone, and integers and masks keep theirs. Returns this object."""
        device, dtype = kwargs.pop("device", None), kwargs.pop("dtype", None)
        kwargs.pop("non_blocking", None)
        if kwargs:
            raise ValueError(f"BatchFeature.to takes device, dtype and non_blocking, not {sorted(kwargs)}")
        for argument in args:
            if isinstance(argument, (int, _Device)) or (isinstance(argument, str) and not _is_dtype(argument)):
                device = argument
            elif type(argument).__name__ == "device":
                device = argument
            else:
                dtype = argument
        for name, value in self.data.items():
            self.data[name] = _moved(value, name, device, dtype)
        return self

    def keys(self) -> Any:
        return self.data.keys()

    def values(self) -> Any:
        return self.data.values()

    def items(self) -> Any:
        return self.data.items()


class _Device:
    """Where tensors lie, for programs without torch."""

    type = "cpu"
    index = None

    def __str__(self) -> str:
        return self.type

    def __repr__(self) -> str:
        return f"device(type={self.type!r})"

    def __eq__(self, other: object) -> bool:
        return str(other) == self.type

    def __hash__(self) -> int:
        return hash(self.type)


def _is_dtype(name: str) -> bool:
    return _kinds.dtype_name(name) in ("float32", "float16", "bfloat16", "float64")


def _moved(value: Any, name: str, device: Any, dtype: Any) -> Any:
    kind = _kinds.kind_of(value)
    if kind == "pt":
        torch = _kinds.library("pt")
        if dtype is not None and value.is_floating_point():
            value = value.to(getattr(torch, _kinds.dtype_name(dtype)))
        return value if device is None else value.to(str(device) if isinstance(device, _Device) else device)
    if device is not None and str(device).split(":")[0] != "cpu":
        raise ValueError(f'"{name}" is of the host\'s memory, and does not go to "{device}": torch\'s tensors do')
    if kind == "np" and dtype is not None and value.dtype.kind == "f":
        return value.astype(_kinds.dtype_name(dtype), copy=False)
    return value
