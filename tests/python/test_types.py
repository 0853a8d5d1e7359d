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

# A program's, which names the types of what it gets.
PROGRAM = """
from typing import Any
from typing_extensions import assert_type
from videollama3 import AutoConfig, AutoTokenizer, VideoLlama3Config, VideoLlama3ForConditionalGeneration, VideoLlama3TextConfig
from videollama3.tokenizer import BatchEncoding

config: VideoLlama3Config = VideoLlama3Config.from_pretrained("x")
assert_type(AutoConfig.from_pretrained("x").text_config, VideoLlama3TextConfig)
assert_type(VideoLlama3TextConfig.from_dict({}), VideoLlama3TextConfig)
assert_type(config.text_config.hidden_size, int)
assert_type(config.image_token_id, int)
assert_type(config.some_name_of_the_file, Any)
model = VideoLlama3ForConditionalGeneration.from_pretrained("x").eval()
assert_type(model.to("cpu"), VideoLlama3ForConditionalGeneration)
assert_type(AutoTokenizer.from_pretrained("x")("a"), BatchEncoding)
"""


def mypy(*arguments: str, cache: Path) -> subprocess.CompletedProcess[str]:
    package = str(Path(videollama3.__file__).parent.parent)
    return subprocess.run([sys.executable, "-m", *arguments], cwd=PROJECT, capture_output=True, text=True, timeout=3600,
                          env={**os.environ, "MYPYPATH": package, "PYTHONPATH": package, "MYPY_CACHE_DIR": str(cache)})


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mypy")


def test_mypy(cache: Path) -> None:
    run = mypy("mypy", "-p", "videollama3", cache=cache)
    assert run.returncode == 0, run.stdout


def test_programs_are_typed(cache: Path, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    run = mypy("mypy", "--strict", str(program), cache=cache)
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
