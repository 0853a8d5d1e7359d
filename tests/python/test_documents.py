"""The documents' programs in Python run and say what the documents say, and so does the notebook."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import python_pages  # noqa: E402

NOTEBOOK = ROOT / "examples" / "python" / "tour.ipynb"


def blocks(name: str) -> list[tuple[str, str]]:
    """The blocks of code of a document that are followed by what they say, each as both."""
    text = (ROOT / name).read_text(encoding="utf-8")
    found = re.findall(r"^```(\S[^\n]*)\n(.*?)^```$", text, re.M | re.S)
    pairs = []
    for (info, code), (after, said) in zip(found, [*found[1:], ("", "")]):
        if info == "python" and after == "text says":
            pairs.append((code, said))
    return pairs


@pytest.fixture
def in_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize(("document", "least"), [("docs/python.md", 3), ("README.md", 1)])
def test_programs_of_documents_say_what_they_say(document: str, least: int, in_project: None) -> None:
    pytest.importorskip("numpy")
    names: dict[str, object] = {"__name__": "document"}
    pairs = blocks(document)
    assert len(pairs) >= least
    for code, said in pairs:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(code, document, "exec"), names)
        assert out.getvalue() == said


def cells() -> list[str]:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_notebook_runs(in_project: None) -> None:
    """Cell by cell, as a notebook's kernel does; with nbclient where it and a kernel are installed."""
    pytest.importorskip("numpy")
    try:
        import nbclient
        import nbformat
        from jupyter_client.kernelspec import NoSuchKernel
    except ImportError:
        pass
    else:
        notebook = nbformat.read(NOTEBOOK, as_version=4)
        with contextlib.suppress(NoSuchKernel):
            nbclient.NotebookClient(notebook, timeout=600).execute()
            return
    names: dict[str, object] = {"__name__": "__main__"}
    out = io.StringIO()
    for number, cell in enumerate(cells()):
        with contextlib.redirect_stdout(out):
            exec(compile(cell, f"tour.ipynb, cell {number}", "exec"), names)
    assert out.getvalue().startswith("green\n")
    assert "the orange triangle appears\n" in out.getvalue()


def test_notebook_is_kept_without_outputs() -> None:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert len(cells()) >= 10
    for cell in notebook["cells"]:
        assert not cell.get("outputs") and cell.get("execution_count") is None
        if cell["cell_type"] == "code":
            ast.parse("".join(cell["source"]))


def test_every_public_name_has_a_page() -> None:
    import videollama3

    pages = {page.name for page in python_pages.pages()}
    public = {name for name in videollama3.__all__ if not name.startswith("__")}
    assert pages == public
    assert python_pages.undocumented(python_pages.pages()) == []


def test_pages_tell_the_signatures_that_python_tells() -> None:
    import inspect

    import videollama3

    compared = 0
    for page in python_pages.pages():
        cls = getattr(videollama3, page.name)
        for member in page.members:
            if member.kind != "method" or member.name.startswith("__"):
                continue
            told = [name for name in inspect.signature(getattr(cls, member.name)).parameters if name != "self"]
            for name in told:
                assert re.search(rf"\b{name}\b", member.signature), f"{page.name}.{member.name}: {name}"
                compared += 1
    assert compared >= 50


def test_pages_are_written(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "python_pages.py", tmp_path], capture_output=True, text=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    written = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert set(written) == set(python_pages.written())
    for name, text in written.items():
        for link in re.findall(r"\]\(([A-Za-z0-9_]+\.md)\)", text):
            assert link in written, f"{name} links to {link}"
