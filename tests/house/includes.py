"""Checks who includes whom. src/CMakeLists.txt is the list:
  - a folder of src/ sees its own headers, those of the folders it depends on, and the public headers of all of these;
  - public headers see public headers, the standard library and nlohmann-json's;
  - programs see public headers and the libraries named below, examples public headers alone.

    includes.py PROJECT_FOLDER
"""
import pathlib
import re
import sys

# What the programs may include besides public headers: what they share with the library (errors with text, files,
# JSON, clocks), and the libraries that are theirs alone.
OF_PROGRAMS = {"base", "bench", "eval", "http", "sandbox", "scenes", "serve"}
# Likewise the Python package: prompts that are text already and the steps of a forward pass have no public interface, and
# one thread steps its engine.
OF_PYTHON = {"base", "engine", "generate", "model", "ops", "processor", "text"}
LIBRARY = re.compile(r"vl3_library\((\w+)([^)]*)\)")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.M)
SOURCES = {".h", ".cc", ".c", ".inc", ".in"}
# Headers of the standard library, of C and of C++, have no folder and no ending, or are these of C.
OF_C = {"stddef.h", "stdint.h"}
GENERATED = {"version"}


def layers(text):
    """(what each folder sees, who defines a public header), from the list in src/CMakeLists.txt. A library's folder has
    its name, unless FOLDER says another."""
    depends, owner, place = {}, {}, {}
    for name, words in LIBRARY.findall(text):
        parts = re.split(r"\b(PUBLIC|DEPENDS|ASIDE|FOLDER|WITHOUT)\b", words)
        lists = {parts[i]: parts[i + 1].split() for i in range(1, len(parts) - 1, 2)}
        place[name] = (lists.get("FOLDER") or [name])[0]
        depends[name] = [d[4:] for d in lists.get("DEPENDS", []) if d.startswith("vl3_") and d != "vl3_flags"]
        owner.update({header: name for header in lists.get("PUBLIC", [])})

    def closure(name):
        return {name}.union(*[closure(d) for d in depends[name]])

    return ({place[name]: {place[other] for other in closure(name)} for name in depends},
            {header: place[name] for header, name in owner.items()})


def folder_of(name, folders):
    """The innermost of these folders that a path lies in; its first folder where there is none."""
    inside = [folder for folder in folders if name.startswith(folder + "/")]
    return max(inside, key=len) if inside else name.split("/")[0]


def includes_of(path):
    text = path.read_text(encoding="utf-8")
    for match in INCLUDE.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match[1], match[2]


def files_under(folder):
    return sorted(p for p in folder.rglob("*") if p.suffix in SOURCES and p.is_file())


def wrong_in_source(folder, quote, name, sees, owner):
    if quote == "<" or "/" not in name:
        return None
    top = folder_of(name, sees)
    if name.startswith("vl3/"):
        header = name[4:].removesuffix(".h")
        if header == "export":
            return None
        if header not in owner:
            return f"{name} is in no PUBLIC list of src/CMakeLists.txt"
        return None if owner[header] in sees[folder] else f"{folder} does not see {owner[header]}, which defines {name}"
    return None if top in sees[folder] else f"{folder} does not see {top}"


def wrong_in_public_header(quote, name, known):
    if quote == '"':
        ok = name.startswith("vl3/") and name[4:].removesuffix(".h") in known
        return None if ok else f"{name} is no public header"
    standard = "." not in name and "/" not in name or name in OF_C
    return None if standard or name.startswith("nlohmann/") else f"<{name}> is no header of the standard library"


def wrong_in_program(quote, name, own, known, allowed):
    if quote == "<" or name in own:
        return None
    if name.startswith("vl3/"):
        return None if name[4:].removesuffix(".h") in known else f"{name} is no public header"
    return None if name.split("/")[0] in allowed else f"{name} is private"


def check(root):
    """Every "file:line: what is wrong"."""
    sees, owner = layers((root / "src/CMakeLists.txt").read_text(encoding="utf-8"))
    public = files_under(root / "include/vl3")
    known = {p.name.removesuffix(".in").removesuffix(".h") for p in public} | GENERATED
    found = []

    def look(path, judge):
        for line, quote, name in includes_of(path):
            wrong = judge(quote, name)
            if wrong:
                found.append(f"{path.relative_to(root)}:{line}: {wrong}")

    for header in sorted(known - set(owner) - {"export"}):
        found.append(f"include/vl3/{header}.h: is in no PUBLIC list of src/CMakeLists.txt")
    for path in public:
        look(path, lambda quote, name: wrong_in_public_header(quote, name, known))
    for folder in sorted(sees):
        for path in files_under(root / "src" / folder):
            if folder_of(str(path.relative_to(root / "src")), sees) != folder:
                continue
            look(path, lambda quote, name: wrong_in_source(folder, quote, name, sees, owner))
    for folder in sorted(p.name for p in (root / "src").iterdir() if p.is_dir() and p.name not in sees):
        found.append(f"src/{folder}: is in no vl3_library of src/CMakeLists.txt")
    for where, allowed in (("apps", OF_PROGRAMS), ("tools", OF_PROGRAMS), ("examples", set()),
                           ("python", OF_PYTHON)):
        folder = root / where
        own = set()
        for path in files_under(folder):
            own |= {path.name, str(path.relative_to(folder))}
        for path in files_under(folder):
            look(path, lambda quote, name: wrong_in_program(quote, name, own, known, allowed))
    return found


def main(arguments):
    found = check(pathlib.Path(arguments[0]))
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
