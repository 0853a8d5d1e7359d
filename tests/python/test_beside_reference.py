"""The reference's classes beside the reference itself: what programs ask, and what they get."""

from __future__ import annotations

import importlib.util
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PROJECT, shared

numpy = pytest.importorskip("numpy")
for needed in ("torch", "transformers", "torchvision"):  # not imported here: torchvision may lack its operators
    if importlib.util.find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed", allow_module_level=True)

BOUND = 2e-4  # of the largest magnitude, for models that compute in float32 (docs/numerics.md)


def made_by(library: str, out: Path) -> dict:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(shared("reference")), os.environ.get("PYTHONPATH", "")])}
    script = [sys.executable, str(Path(__file__).parent / "beside_reference.py"), library, str(PROJECT / "models/demo"),
              str(PROJECT / "examples/media"), str(out)]
    run = subprocess.run(script, env=environment, timeout=3600, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-3000:]
    return pickle.loads(out.read_bytes())


def differences(theirs: object, ours: object, where: str) -> list[str]:
    """Where the two differ: in kind, shape or value; floating-point numbers by more than BOUND."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        if theirs.keys() != ours.keys():
            return [f"{where}: {list(theirs)} and {list(ours)}"]
        return [line for name in theirs for line in differences(theirs[name], ours[name], f"{where}.{name}")]
    if isinstance(theirs, list) and isinstance(ours, list):
        if len(theirs) != len(ours):
            return [f"{where}: {len(theirs)} and {len(ours)} of them"]
        return [line for i in range(len(theirs)) for line in differences(theirs[i], ours[i], f"{where}[{i}]")]
    if not hasattr(theirs, "dtype") or not hasattr(ours, "dtype"):
        return [] if type(theirs) is type(ours) and theirs == ours else [f"{where}: {theirs!r} and {ours!r}"]
    if (theirs.dtype, theirs.shape) != (ours.dtype, ours.shape):
        return [f"{where}: {theirs.dtype} {theirs.shape} and {ours.dtype} {ours.shape}"]
    if theirs.dtype.kind != "f":
        return [] if (theirs == ours).all() else [f"{where}: {theirs} and {ours}"]
    finite = numpy.isfinite(theirs)
    if (finite != numpy.isfinite(ours)).any():
        return [f"{where}: others are infinite"]
    error, largest = (numpy.abs(values[finite]).max(initial=0) for values in (theirs - numpy.where(finite, ours, 0), theirs))
    return [] if error <= BOUND * largest else [f"{where}: {error} apart, of {largest}"]


def test_what_programs_ask(tmp_path: Path) -> None:
    theirs, ours = made_by("transformers", tmp_path / "theirs"), made_by("videollama3", tmp_path / "ours")
    assert sorted(theirs) == sorted(ours) and len(theirs) > 60
    assert differences(theirs, ours, "") == []
