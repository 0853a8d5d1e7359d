#!/usr/bin/env python3
"""Pages of the Python package, one a class, out of signatures and docstrings as they are written: nothing is imported.

    tools/python_pages.py FOLDER      writes them into a folder (scripts/docs_site has them in the site)
    tools/python_pages.py --check     says which public classes and functions have no docstring
"""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Member:
    name: str
    signature: str  # "" of a value
    doc: str
    kind: str  # "method", "property", "class method", "static method", "value"
    home: str = ""  # the class that defines it


@dataclass
class Page:
    name: str
    kind: str  # "class" or "function"
    module: str
    bases: list[str]
    doc: str
    signature: str
    members: list[Member] = field(default_factory=list)


def package(root: Path = ROOT) -> Path:
    return root / "python" / "videollama3"


def homes(folder: Path) -> dict[str, str]:
    """Which file defines a public name: what __init__.py says in _HOMES, and imports by name."""
    tree = ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))
    found = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module and not node.module.startswith("_"):
            found.update({alias.name: node.module for alias in node.names})
        target = node.target if isinstance(node, ast.AnnAssign) else None
        if isinstance(target, ast.Name) and target.id == "_HOMES" and node.value is not None:
            code = compile(ast.Expression(node.value), "__init__.py", "eval")
            found.update(eval(code, {"__builtins__": {}, "dict": dict}))  # a table of texts
    return found


def docstring(node: ast.AST) -> str:
    text = ast.get_docstring(node)
    return text.strip() if text else ""


def signature(node: ast.FunctionDef | ast.AsyncFunctionDef, bound: bool) -> str:
    arguments = ast.unparse(node.args)
    if bound:
        arguments = re.sub(r"^(self|cls)(, /)?(, )?", "", arguments)
    returns = f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""
    begin = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
    text = f"{begin}{node.name}({arguments}){returns}"
    if len(text) <= 100:
        return text
    # One argument a line; commas inside of brackets are none between arguments.
    pieces, depth, last = [], 0, 0
    for i, letter in enumerate(arguments):
        depth += letter in "([{"
        depth -= letter in ")]}"
        if letter == "," and depth == 0:
            pieces.append(arguments[last:i].strip())
            last = i + 1
    pieces.append(arguments[last:].strip())
    return f"{begin}{node.name}(\n    " + ",\n    ".join(pieces) + f",\n){returns}"


def members_of(node: ast.ClassDef) -> list[Member]:
    members = []
    for i, item in enumerate(node.body):
        if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if item.name.startswith("_") and item.name not in ("__call__", "__init__"):
                continue
            marks = {mark.id for mark in item.decorator_list if isinstance(mark, ast.Name)}
            if "overload" in marks or any(isinstance(mark, ast.Attribute) for mark in item.decorator_list):
                continue
            kind = next((k for k, m in (("property", "property"), ("property", "cached_property"),
                                        ("class method", "classmethod"), ("static method", "staticmethod")) if m in marks),
                        "method")
            shown = "" if kind == "property" else signature(item, kind != "static method")
            if kind == "property" and item.returns is not None:
                shown = f"{item.name}: {ast.unparse(item.returns)}"
            members.append(Member(item.name, shown, docstring(item), kind, node.name))
        elif isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name) and not item.target.id.startswith("_"):
            text = f"{item.target.id}: {ast.unparse(item.annotation)}"
            if item.value is not None:
                text += f" = {ast.unparse(item.value)}"
            after = node.body[i + 1] if i + 1 < len(node.body) else None
            told = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
            members.append(Member(item.target.id, text, str(told).strip(), "value", node.name))
    return members


def names_of(path: Path) -> dict[str, ast.AST]:
    """Classes and functions of a file, and its other names for them (AutoConfig = VideoLlama3Config)."""
    found = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            found[node.name] = node
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Name):
            found.update({target.id: node.value for target in node.targets if isinstance(target, ast.Name)})
    return found


def classes_of(folder: Path) -> dict[str, dict[str, ast.AST]]:
    """What each file of the package defines."""
    return {path.stem: names_of(path) for path in sorted(folder.glob("*.py"))}


def is_dataclass(node: ast.ClassDef) -> bool:
    return any("dataclass" in ast.unparse(mark) for mark in node.decorator_list)


def page_of(name: str, module: str, defined: dict[str, dict[str, ast.AST]]) -> Page | None:
    node = defined.get(module, {}).get(name)
    if isinstance(node, ast.FunctionDef):
        return Page(name, "function", module, [], docstring(node), signature(node, False))
    if isinstance(node, ast.Name):
        return Page(name, "other name", module, [], f"Another name of [`{node.id}`]({node.id}.md).", "")
    if not isinstance(node, ast.ClassDef):
        return None
    # The class, and what it has of the package's own others; the nearest definition counts.
    everything = {n: d for names in defined.values() for n, d in names.items() if isinstance(d, ast.ClassDef)}
    line, waiting, members = [], [node], {}
    while waiting:
        one = waiting.pop(0)
        line.append(one)
        for member in members_of(one):
            members.setdefault(member.name, member)
        waiting += [everything[base] for base in (ast.unparse(b).split("[")[0] for b in one.bases) if base in everything]
    made = members.pop("__init__", None)
    shown = re.sub(r"^__init__", name, made.signature).removesuffix(" -> None") if made else ""
    fields = [member for member in members.values() if member.kind == "value"]
    if not made and fields and is_dataclass(node):
        shown = f"{name}({', '.join(member.signature for member in fields)})"
    bases = [ast.unparse(base) for base in node.bases]
    return Page(name, "class", module, bases, docstring(node) or (made.doc if made else ""), shown, list(members.values()))


def pages(root: Path = ROOT) -> list[Page]:
    folder = package(root)
    if not folder.is_dir():
        return []
    defined = classes_of(folder)
    found = (page_of(name, module, defined) for name, module in sorted(homes(folder).items()))
    return [page for page in found if page is not None]


def as_markdown(page: Page) -> str:
    """The page; what a docstring indents is code or a list, and stays."""
    text = f"# `{page.name}`\n\n`from videollama3 import {page.name}`\n\n"
    if page.signature:
        text += f"```python\n{page.signature}\n```\n\n"
    if page.bases:
        text += "A " + ", ".join(f"`{base}`" for base in page.bases) + ".\n\n"
    text += page.doc + "\n"
    values = [member for member in page.members if member.kind == "value"]
    if values:
        text += "\n## Fields\n\n"
        for member in values:
            text += f"- `{member.signature}`" + (f": {member.doc}" if member.doc else "") + "\n"
    rest = [member for member in page.members if member.kind != "value"]
    for member in sorted(rest, key=lambda member: member.name != "__call__"):
        inherited = "" if member.home == page.name else f" (of `{member.home}`)"
        kind = "" if member.kind == "method" else f"{member.kind.capitalize()}{inherited}.\n\n"
        if not kind and inherited:
            kind = f"Of `{member.home}`.\n\n"
        text += f"\n## `{member.name}`\n\n"
        if member.signature:
            text += f"```python\n{member.signature}\n```\n\n"
        text += (kind + member.doc).rstrip() + "\n"
    return text


def as_index(all_pages: list[Page]) -> str:
    text = "# Classes of the Python package\n\n| | |\n|---|---|\n"
    for page in all_pages:
        first = page.doc.split("\n\n")[0].replace("\n", " ").replace("|", "\\|")
        text += f"| [`{page.name}`]({page.name}.md) | {first} |\n"
    return text


def written(root: Path = ROOT) -> dict[str, str]:
    """All pages by the names of their files; {} where there is no package."""
    all_pages = pages(root)
    if not all_pages:
        return {}
    return {"index.md": as_index(all_pages), **{f"{page.name}.md": as_markdown(page) for page in all_pages}}


def undocumented(all_pages: list[Page]) -> list[str]:
    return [page.name for page in all_pages if not page.doc]


def main() -> int:
    if sys.argv[1:] == ["--check"]:
        lacking = undocumented(pages())
        for name in lacking:
            print(f"python_pages: {name} has no docstring", file=sys.stderr)
        return 1 if lacking else 0
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in written().items():
        (folder / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
