"""Checks that the public headers can be used: what they declare only ("class Tape;") is no part of what users see of a
class or function.

    complete_types.py HEADER...
"""
import re
import sys

from exports import blanked, matching

DECLARED = re.compile(r"^(?:class|struct)\s+(\w+)\s*;", re.M)
DEFINED = re.compile(r"\b(?:class|struct)\s+(?:VL3_API\s+)?(\w+)\b[^;(){}=]*\{")


def without_private(text):
    """Blanks private parts of classes, and the bodies of functions."""
    out = list(text)

    def blank(first, last):
        for at in range(first, last):
            if out[at] != "\n":
                out[at] = " "

    for match in re.finditer(r"\b(class|struct)\s+[^;(){}=]*\{", text):
        begin, end = match.end(), matching(text, match.end() - 1)
        access, start = ("private" if match[1] == "class" else "public"), begin
        depth, at = 0, begin
        while at < end:
            depth += (text[at] == "{") - (text[at] == "}")
            label = re.compile(r"\b(public|private|protected)\s*:(?!:)").match(text, at) if depth == 0 else None
            if label:
                if access == "private":
                    blank(start, at)
                access, start, at = label[1], label.end(), label.end()
            else:
                at += 1
        if access == "private":
            blank(start, end)
    return "".join(out)


def incomplete(texts):
    """(header, line, type) of every type that users see and cannot complete."""
    bare = {path: blanked(text) for path, text in texts.items()}
    defined = {name for text in bare.values() for name in DEFINED.findall(text)}
    for path, text in bare.items():
        names = {name for name in DECLARED.findall(text)} - defined
        seen = without_private(text)
        for name in sorted(names):
            for match in re.finditer(rf"\b{name}\b", seen):
                if re.match(r"\s*;", seen[match.end() :]) and re.search(r"(?:class|struct)\s+$", seen[: match.start()]):
                    continue  # the declaration
                yield path, seen.count("\n", 0, match.start()) + 1, name


def main(paths):
    texts = {}
    for path in paths:
        with open(path, encoding="utf-8") as file:
            texts[path] = file.read()
    found = list(incomplete(texts))
    for path, line, name in found:
        print(f"{path}:{line}: {name} is declared only: users cannot complete it")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
