"""Checks that what public headers declare can be linked: VL3_API on every class with members or functions
that are defined elsewhere, and on every free function. With hidden symbols, what lacks it is missing from the
shared library only, which no static build notices.

    exports.py [--fix] HEADER...    --fix adds what is missing
"""
import re
import sys

COMMENT = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:[^"\\\n]|\\.)*"', re.S)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", re.M)
TYPE = re.compile(r"^(?:class|struct)\s+(VL3_API\s+)?\w+[^;(]*$")
SKIPPED = re.compile(r"^(?:using|typedef|template|inline|constexpr|static_assert|friend|enum|extern|namespace)\b")
# A function that is declared and defined elsewhere: a list of parameters at the end of the declaration.
FUNCTION = re.compile(r"[\w>&*\])]\s+[&*]*(?:operator\S+|~?\w+)\s*\(.*\)\s*(?:const)?\s*(?:noexcept)?\s*(?:override)?\s*$", re.S)
CONSTRUCTOR = re.compile(r"^(?:explicit\s+|virtual\s+)*~?\w+\s*\(.*\)\s*(?:noexcept)?\s*(?:override)?\s*$", re.S)


def blanked(text):
    """The same text, of the same length, without comments, strings and directives."""
    blank = lambda match: re.sub(r"[^\n]", " ", match.group())
    return DIRECTIVE.sub(blank, COMMENT.sub(blank, text))


def statements(text, begin, end):
    """(first, last, body) of every declaration between begin and end; body is the place of its braces."""
    first, depth, body, at = begin, 0, None, begin
    while at < end:
        char = text[at]
        if char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
        elif char == "{" and depth == 0:
            close = matching(text, at)
            head = text[first:at].strip()
            if head.startswith("namespace") or head == 'extern "C"' or re.match(r"^extern\s*$", head):
                yield from statements(text, at + 1, close)
                first = close + 1
            else:
                body = (at, close)
                after = text[close + 1 :].lstrip()
                if ")" in head and not TYPE.match(head) and not after.startswith(";"):
                    first, body = close + 1, None  # a function with its body
            at = close
        elif char == ";" and depth == 0:
            yield first, at, body
            first, body = at + 1, None
        at += 1


def matching(text, at):
    depth = 0
    for place in range(at, len(text)):
        depth += (text[place] == "{") - (text[place] == "}")
        if depth == 0:
            return place
    raise ValueError("a brace is not closed")


def declares_function(head):
    # What begins with a label or stands behind "=" is none; a member that holds a std::function neither.
    head = re.sub(r"^(?:(?:public|private|protected)\s*:\s*)+", "", head.strip())
    if not head or SKIPPED.match(head) or re.search(r"=\s*(?:default|delete|0)\s*$", head):
        return False
    before = head.split("(")[0]
    if "=" in before.replace("operator==", "").replace("operator=", "") or "<" in before and ">" not in before:
        return False
    return bool(FUNCTION.search(head) or CONSTRUCTOR.match(head))


def missing(text):
    """(place, text to insert, name) of everything that should have VL3_API and has not."""
    bare = blanked(text)
    for first, last, body in statements(bare, 0, len(bare)):
        head = bare[first : body[0] if body else last].strip()
        start = first + len(bare[first:last]) - len(bare[first:last].lstrip())
        if SKIPPED.match(head):
            continue
        if body and re.match(r"^(?:class|struct)\b", head):
            members = [bare[a:(b[0] if b else z)] for a, z, b in statements(bare, body[0] + 1, body[1])]
            # What is thrown or derived from needs one description of its type.
            derived = ":" in head or "virtual " in bare[body[0] : body[1]]
            linked = derived or any(declares_function(m) for m in members)
            if linked and "VL3_API" not in head:
                word = re.match(r"(?:class|struct)\s+", bare[start:]).end()
                yield start + word, "VL3_API ", re.sub(r"\s+", " ", head)
        elif not body and declares_function(head) and "VL3_API" not in head:
            yield start, "VL3_API ", re.sub(r"\s+", " ", head)


def fixed(text, places):
    for place, addition, _ in sorted(places, reverse=True):
        text = text[:place] + addition + text[place:]
    if '#include "vl3/export.h"' not in text:
        last = [m for m in re.finditer(r'^#include .*\n', text, re.M)][-1]
        own = '"vl3/' in last.group()
        text = text[: last.end()] + ("" if own else "\n") + '#include "vl3/export.h"\n' + text[last.end() :]
    return text


def main(arguments):
    fix = "--fix" in arguments
    count = 0
    for path in [a for a in arguments if a != "--fix"]:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        found = list(missing(text))
        if found and fix:
            with open(path, "w", encoding="utf-8") as file:
                file.write(fixed(text, found))
        for place, _, name in found:
            line = text.count("\n", 0, place) + 1
            print(f"{path}:{line}: {'added' if fix else 'lacks'} VL3_API: {name}")
        count += len(found)
    return 1 if count and not fix else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
