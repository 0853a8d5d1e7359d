#!/usr/bin/env python3
"""Checks finished wheels and says what each weighs: check.py WHEEL...

Every binary asks for nothing but glibc, shows nothing but the module's entry, and names no folder of the machine it was built
on; RECORD is right; texts of licences and a bill of materials are there; the size is below the limit of 100 MB. Needs readelf and
nm (binutils).
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from dress import read_wheel, record_of

LIMIT_BYTES = 100_000_000
GLIBC = re.compile(r"lib(c|m|dl|rt|pthread|util|resolv)\.so\.\d+|ld-linux[-a-z0-9_]*\.so\.\d+")
# Of people's and build folders; the libraries were told /usr/vl3. Debian's OpenSSL tells the compiler's options of Debian's own
# builders, with a folder that is the same for all of them and none of this machine.
FOLDERS = re.compile(rb"(?!/build/reproducible-path/openssl-)/(?:home|root|work|tmp|build|host|project)/[A-Za-z0-9_.+-]+/[A-Za-z0-9_./+-]{4,80}")


def output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def needed_libraries(readelf: str) -> list[str]:
    return re.findall(r"\(NEEDED\)\s+Shared library: \[([^\]]+)\]", readelf)


def shown_symbols(nm: str) -> list[str]:
    """What others may link to: no copies of glibc's own variables, which a program has."""
    names = [line.split()[-1] for line in nm.splitlines() if line.strip()]
    return sorted(name for name in names if "@GLIBC" not in name)


def problems_of_binary(name: str, data: bytes) -> list[str]:
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        foreign = [lib for lib in needed_libraries(output("readelf", "-d", file.name)) if not GLIBC.fullmatch(lib)]
        shown = shown_symbols(output("nm", "-D", "--defined-only", file.name))
    allowed = [f"PyInit_{Path(name).name.split('.')[0]}"] if ".so" in Path(name).suffixes else []
    found = [f"[{name}] needs {lib}, which is not glibc's" for lib in foreign]
    if shown != allowed:
        found.append(f"[{name}] shows {len(shown)} symbols ({', '.join(shown[:5])}), where {allowed or 'none'} should be")
    paths = sorted(set(FOLDERS.findall(data)))
    found += [f"[{name}] names {path.decode()}" for path in paths[:3]]
    return found


def problems_of_wheel(path: Path) -> list[str]:
    found = []
    size = path.stat().st_size
    if size >= LIMIT_BYTES:
        found.append(f"[{path.name}] has {size} bytes, where {LIMIT_BYTES} are the limit")
    folder, held = read_wheel(path)
    record = held.get(f"{folder}/RECORD", (b"", False))[0]
    if record != record_of(folder, held):
        found.append(f"[{path.name}] RECORD does not say what the wheel holds")
    if "-linux_" in path.name:
        found.append(f"[{path.name}] has the tag of this machine alone")
    binaries = {name: data for name, (data, _) in held.items() if data[:4] == b"\x7fELF"}
    if not any("/_core." in name for name in binaries):
        found.append(f"[{path.name}] has no module _core")
    for name, data in binaries.items():
        found += problems_of_binary(name, data)
    bill = held.get(f"{folder}/sboms/videollama3.cdx.json")
    if bill is None:
        return [*found, f"[{path.name}] has no bill of materials"]
    for component in json.loads(bill[0])["components"]:
        key = component["bom-ref"].split(":")[1]
        if not any(name.startswith(f"{folder}/licenses/third_party/{key}/") for name in held):
            found.append(f"[{path.name}] has no text of the licence of {component['name']}")
    return found


def main(paths: list[str]) -> int:
    if not paths:
        print(__doc__, file=sys.stderr)
        return 2
    failed = False
    for path in map(Path, paths):
        try:
            found = problems_of_wheel(path)
        except (OSError, ValueError, zipfile.BadZipFile, subprocess.CalledProcessError) as problem:
            found = [f"[{path}] {problem}"]
        for problem in found:
            print(f"check: {problem}", file=sys.stderr)
        failed = failed or bool(found)
        if not found:
            print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB, right")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
