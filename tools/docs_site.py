"""Hooks of mkdocs: what docs/ links to outside of itself becomes part of the site, under project/.

The documents are written for readers of the repository. Here their links between docs/ and the rest are turned into those
of the site, and three habits of theirs into what Python-Markdown reads: words behind the language of a block of code, a
list right behind a line of text, and lists within lists indented by two.
"""

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import python_pages  # noqa: E402

CLASSES = "python/classes/"  # of the Python package: pages that are made, not written
LINK = re.compile(r"(\]\()([^)\s#]*)(#[^)\s]*)?(\))")
STAGED = tempfile.mkdtemp(prefix="docs_site.")


def without_code(text):
    """The text with its blocks of code blanked."""
    return re.sub(r"(?ms)^\s*```.*?^\s*```", "", text)


def is_outside(link):
    return not link or re.match(r"[a-z][a-z0-9+.-]*:|/", link) is not None


def repository_path(uri):
    """Where a page of the site lies in the repository."""
    if uri == "index.md":
        return "README.md"
    return uri[len("project/") :] if uri.startswith("project/") else "docs/" + uri


def site_uri(path):
    """Where a file of the repository lies in the site."""
    if path == "README.md":
        return "index.md"
    return path[len("docs/") :] if path.startswith("docs/") else "project/" + path


def target_of(path, link):
    return os.path.normpath(os.path.join(os.path.dirname(path), link))


def linked_files(path):
    """Files of the repository outside of docs/ that a document links to."""
    for match in LINK.finditer(without_code((ROOT / path).read_text(encoding="utf-8"))):
        link = match[2]
        target = "" if is_outside(link) else target_of(path, link)
        if target and (ROOT / target).is_file() and not target.startswith(("docs/", "..")):
            yield target


def on_config(config):
    pages = python_pages.written(ROOT)
    for section in config["nav"]:
        if "Python" in section:
            section["Python"].append({"Classes": [CLASSES + name for name in pages]})
    return config


def add(files, config, uri, text):
    staged = Path(STAGED) / uri
    staged.parent.mkdir(parents=True, exist_ok=True)
    staged.write_bytes(text)
    files.append(File(uri, STAGED, config["site_dir"], config["use_directory_urls"]))


def on_files(files, config):
    for name, text in python_pages.written(ROOT).items():
        add(files, config, CLASSES + name, text.encode())
    shown = {str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")}
    named = {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "src/README.md", "python/README.md"}
    waiting = sorted(shown | named)
    added = set()
    while waiting:
        path = waiting.pop()
        if not path.startswith("docs/") and path not in added:
            added.add(path)
            add(files, config, site_uri(path), (ROOT / path).read_bytes())
        if path.endswith(".md"):
            waiting += [target for target in linked_files(path) if target not in added]
    return files


def site_links(text, uri):
    def replaced(match):
        link, anchor = match[2], match[3] or ""
        if is_outside(link) or uri.startswith(CLASSES):
            return match[0]
        target = target_of(repository_path(uri), link)
        if (ROOT / target).is_dir():
            if not (ROOT / target / "README.md").is_file():
                return "] (in the repository)"  # a folder, of which the site has no page
            target += "/README.md"
        return match[1] + os.path.relpath(site_uri(target), os.path.dirname(uri) or ".") + anchor + match[4]

    return LINK.sub(replaced, text)


def as_python_markdown(text):
    """Lists are set off by a blank line, and what is inside them is indented by four."""
    lines, in_list = [], False
    for line in text.split("\n"):
        item = re.match(r"( *)([-*+]|\d+\.) ", line)
        if not line.strip():
            lines.append(line)
            continue
        if item is None and not line.startswith(" "):
            in_list = False
        if item and not in_list and lines and lines[-1].strip():
            lines.append("")
        if item:
            in_list = True
        indent = len(line) - len(line.lstrip(" "))
        if in_list and 2 <= indent < 4:
            line = "    " + line.lstrip(" ")
        lines.append(line)
    return "\n".join(lines)


def on_page_markdown(markdown, page, config, files):
    pieces = re.split(r"(?ms)(^ *```.*?^ *```[^\n]*$)", markdown)
    for i, piece in enumerate(pieces):
        if i % 2:
            pieces[i] = re.sub(r"\A( *```\w*)[^\n]*", r"\1", piece)
        else:
            pieces[i] = site_links(as_python_markdown(piece), page.file.src_uri)
    return "".join(pieces)


def on_post_build(config):
    shutil.rmtree(STAGED, ignore_errors=True)
