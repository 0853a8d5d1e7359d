"""The package is typed: mypy finds nothing, and the stub made of the bindings says what is there."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PROJECT

import videollama3

pytest.importorskip("mypy")

# What nanobind's functions and classes are is no function and class of Python's own to stubtest.
OF_NANOBIND = (
    "is not a function",
    "metaclass differs",
    "isn't marked with @disjoint_base in the stub",
    'stub does not have *args parameter "args"',
    'stub does not have **kwargs parameter "kwargs"',
    "stub is a staticmethod but runtime is not",
)


def mypy(*arguments: str, cache: Path) -> subprocess.CompletedProcess[str]:
    package = str(Path(videollama3.__file__).parent.parent)
    return subprocess.run([sys.executable, "-m", *arguments], cwd=PROJECT, capture_output=True, text=True, timeout=3600,
                          env={**os.environ, "MYPYPATH": package, "PYTHONPATH": package, "MYPY_CACHE_DIR": str(cache)})


def test_mypy(tmp_path: Path) -> None:
    run = mypy("mypy", "-p", "videollama3", cache=tmp_path)
    assert run.returncode == 0, run.stdout


def test_stub(tmp_path: Path) -> None:
    run = mypy("mypy.stubtest", "videollama3", "--concise", "--mypy-config-file", "pyproject.toml", cache=tmp_path)
    lines = [line.rstrip() for line in run.stdout.splitlines() if line.startswith("videollama3")]
    if importlib.util.find_spec("lmms_eval") is None:  # the harness, which its model alone imports
        lines = [line for line in lines if not line.startswith("videollama3.lmms_eval_model failed to import")]
    assert lines, run.stdout + run.stderr  # of nanobind there is always something to say
    assert [line for line in lines if not line.endswith(OF_NANOBIND)] == []


def test_stub_has_names_and_types() -> None:
    stub = (Path(videollama3.__file__).parent / "_core.pyi").read_text(encoding="utf-8")
    assert "arg0" not in stub and "arg," not in stub and "vl3::" not in stub
