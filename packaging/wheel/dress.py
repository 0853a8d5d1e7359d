#!/usr/bin/env python3
"""Finishes a wheel: bill of materials, texts of licences, and bytes that depend on nothing but what is in it.

    dress.py WHEEL PREFIX OUT

PREFIX is what `libraries` built. OUT gets a wheel of the same name: entries in order of their names, all of the time
SOURCE_DATE_EPOCH, no rights but "may be run", RECORD made anew.
"""

from __future__ import annotations

import base64
import hashlib
import os
import sys
import time
import zipfile
from pathlib import Path

from components import bill_of_materials, licence_of_all, read_components


def read_wheel(path: Path) -> tuple[str, dict[str, tuple[bytes, bool]]]:
    """The folder .dist-info of a wheel, and what it holds: name -> bytes and whether it may be run."""
    with zipfile.ZipFile(path) as archive:
        held = {info.filename: (archive.read(info), bool(info.external_attr >> 16 & 0o111))
                for info in archive.infolist() if not info.is_dir()}
    folders = {name.split("/")[0] for name in held if name.split("/")[0].endswith(".dist-info")}
    if len(folders) != 1:
        raise ValueError(f"[{path}] has {len(folders)} folders .dist-info, where a wheel has one")
    return folders.pop(), held


def with_licences(metadata: str, expression: str, files: list[str]) -> str:
    """METADATA whose header says the licence of the whole and names the texts."""
    header, blank, body = metadata.partition("\n\n")
    lines = [line for line in header.split("\n") if not line.startswith("License-Expression:")]
    listed = {line for line in lines if line.startswith("License-File:")}
    at = next((i for i, line in enumerate(lines) if line.startswith("License-File:")), len(lines))
    lines.insert(at, f"License-Expression: {expression}")
    lines += [f"License-File: {name}" for name in files if f"License-File: {name}" not in listed]
    return "\n".join(lines) + blank + body


def record_of(folder: str, held: dict[str, tuple[bytes, bool]]) -> bytes:
    lines = []
    for name in sorted(held):
        if name != f"{folder}/RECORD":
            digest = base64.urlsafe_b64encode(hashlib.sha256(held[name][0]).digest()).rstrip(b"=").decode()
            lines.append(f"{name},sha256={digest},{len(held[name][0])}")
    return "".join(f"{line}\n" for line in [*lines, f"{folder}/RECORD,,"]).encode()


def write_wheel(path: Path, folder: str, held: dict[str, tuple[bytes, bool]], when: int) -> None:
    """Everything but .dist-info first, RECORD last; RECORD is made here."""
    held[f"{folder}/RECORD"] = (record_of(folder, held), False)
    order = sorted(held, key=lambda name: (name.startswith(folder), name.endswith("/RECORD"), name))
    date = time.gmtime(max(when, 315532800))[:6]  # 1980: zip knows no earlier
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in order:
            data, run = held[name]
            info = zipfile.ZipInfo(name, date)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3
            info.external_attr = (0o100755 if run else 0o100644) << 16
            archive.writestr(info, data)


def dress(wheel: Path, prefix: Path, out: Path, when: int) -> Path:
    folder, held = read_wheel(wheel)
    components = read_components(prefix / "built")
    texts = []
    for component in components:
        home = prefix / "licences" / component.key
        found = sorted(path for path in home.iterdir() if path.is_file()) if home.is_dir() else []
        if not found:
            raise ValueError(f"[{home}] has no text of the licence of {component.name} ({component.licence})")
        for path in found:
            texts.append(f"third_party/{component.key}/{path.name}")
            held[f"{folder}/licenses/{texts[-1]}"] = (path.read_bytes(), False)
    version = folder.removesuffix(".dist-info").split("-")[1]
    held[f"{folder}/sboms/videollama3.cdx.json"] = (bill_of_materials(version, components, when).encode(), False)
    metadata = held[f"{folder}/METADATA"][0].decode()
    held[f"{folder}/METADATA"] = (with_licences(metadata, licence_of_all(components), texts).encode(), False)
    out.mkdir(parents=True, exist_ok=True)
    write_wheel(out / wheel.name, folder, held, when)
    return out / wheel.name


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    try:
        print(dress(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(os.environ["SOURCE_DATE_EPOCH"])))
    except KeyError:
        sys.exit("dress: SOURCE_DATE_EPOCH is not set")
    except (OSError, ValueError, zipfile.BadZipFile) as problem:
        sys.exit(f"dress: {problem}")
