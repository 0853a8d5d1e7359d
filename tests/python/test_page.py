"""The code of the model's page: with the reference as the import and with this package."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PROJECT, shared, whole_folder

numpy = pytest.importorskip("numpy")
for name in ("torch", "transformers", "torchvision"):  # not imported here: torchvision may lack its operators
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed", allow_module_level=True)

BOUND = 2e-4  # of the largest magnitude, for models that compute in float32 (docs/numerics.md)


def run(library: str, folder: Path, out: Path) -> object:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(
        [str(shared("reference")), os.environ.get("PYTHONPATH", "")])}
    script = [sys.executable, str(Path(__file__).parent / "page_example.py"), library, str(folder),
              str(PROJECT / "examples/media"), str(out)]
    subprocess.run(script, check=True, env=environment, timeout=3600, capture_output=True)
    return numpy.load(out)


@pytest.mark.parametrize("name", ("demo", "tiny", "real_vocab"))
def test_the_same_script(name: str, tmp_path: Path) -> None:
    folder = whole_folder(name, tmp_path / "model") if name == "real_vocab" else PROJECT / "models" / name
    theirs = run("transformers", folder, tmp_path / "theirs.npz")
    ours = run("videollama3", folder, tmp_path / "ours.npz")
    assert sorted(ours.files) == sorted(theirs.files) and len(ours.files) >= 20
    for key in theirs.files:
        mine, reference = ours[key], theirs[key]
        assert (mine.shape, mine.dtype.kind) == (reference.shape, reference.dtype.kind), key
        if key.endswith("logits"):
            assert numpy.abs(mine - reference).max() <= BOUND * numpy.abs(reference).max(), key
        elif "pixel_values" in key:
            assert numpy.abs(mine - reference).max() <= 1e-6, key
        else:
            assert (mine == reference).all(), key
