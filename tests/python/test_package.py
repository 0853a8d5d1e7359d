"""The package itself: what importing it costs, its exceptions, its program."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import videollama3
from conftest import PROJECT
from videollama3 import _core


def python(*arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=600, **settings)


def test_version_is_the_projects() -> None:
    text = (PROJECT / "CMakeLists.txt").read_text(encoding="utf-8")
    assert re.search(r"project\(videollama3 VERSION ([0-9.]+)", text)[1] == videollama3.__version__


def test_import_brings_nothing_along() -> None:
    heavy = python("-c", "import sys, videollama3; print(sorted({'numpy', 'torch', 'transformers', 'PIL'} & set(sys.modules)))")
    assert heavy.stdout.strip() == "[]", heavy.stderr


def test_errors_are_pythons(tmp_path: Path) -> None:
    assert issubclass(videollama3.FormatError, ValueError) and issubclass(videollama3.LimitError, ValueError)
    with pytest.raises(FileNotFoundError, match="no-such-folder"):
        _core.Model.open(tmp_path / "no-such-folder")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(videollama3.FormatError, match="config.json"):
        _core.Model.open(tmp_path)
    with pytest.raises(ValueError, match="compute.*f16"):
        _core.Runtime(compute="f16")


def test_opens_a_model(tiny: Path) -> None:
    model = _core.Model.open(tiny)
    assert model.config["model_type"] == "video_llama_3"
    assert model.weight_bytes > 0
    tokenizer = _core.Processor.open(tiny).tokenizer
    assert tokenizer.decode(tokenizer.encode("What is this?")) == "What is this?"


def test_module_is_the_program() -> None:
    program = Path(videollama3.__file__).parent / "bin/videollama3"
    run = python("-m", "videollama3", "--version")
    if not program.exists():
        assert run.returncode == 1 and "without the program" in run.stderr
        return
    assert run.returncode == 0 and videollama3.__version__ in run.stdout


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="NoSuchThing"):
        videollama3.NoSuchThing
