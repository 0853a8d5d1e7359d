"""What a wheel holds besides the project: names, licences, versions, and the bill of materials (CycloneDX) that says so.

    components.py PREFIX PACKAGES

prints which files in PACKAGES (source packages of Debian) are the sources of what PREFIX holds under the LGPL.
"""

from __future__ import annotations

import datetime
import json
import re
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

# Name in PREFIX/built -> what it is called, its licence (SPDX), what it is there for.
KNOWN: dict[str, tuple[str, str, str]] = {
    "zlib": ("zlib", "Zlib", "PNG, TIFF and containers of clips"),
    "xz": ("liblzma", "0BSD", "TIFF"),
    "deflate": ("libdeflate", "MIT", "PNG and TIFF, checksums"),
    "png": ("libpng", "libpng-2.0", "PNG"),
    "jpeg": ("libjpeg-turbo", "IJG AND BSD-3-Clause AND Zlib", "JPEG"),
    "webp": ("libwebp", "BSD-3-Clause", "WebP"),
    "tiff": ("libtiff", "libtiff", "TIFF"),
    "openjpeg": ("OpenJPEG", "BSD-2-Clause", "JPEG 2000"),
    "de265": ("libde265", "LGPL-3.0-or-later", "HEIC"),
    "heif": ("libheif", "LGPL-3.0-or-later", "HEIC"),
    "dav1d": ("dav1d", "BSD-2-Clause", "AV1"),
    "ffmpeg": ("FFmpeg", "LGPL-2.1-or-later", "clips; decoders alone"),
    "openssl": ("OpenSSL", "Apache-2.0", "SHA-256 and TLS"),
    "curl": ("curl", "curl", "http and https"),
    "utf8proc": ("utf8proc", "MIT", "Unicode"),
    "simdjson": ("simdjson", "Apache-2.0", "JSON"),
    "fmt": ("{fmt}", "MIT", "messages"),
    "seccomp": ("libseccomp", "LGPL-2.1-only", "decoders that can do nothing else (the program)"),
    "pixman": ("pixman", "MIT", "drawn scenes (the program)"),
    "cairo": ("cairo", "LGPL-2.1-only OR MPL-1.1", "drawn scenes (the program)"),
    "ncurses": ("ncurses (tinfo)", "X11-distribute-modifications-variant", "lines of a chat (the program)"),
    "edit": ("libedit, libbsd, libmd", "BSD-3-Clause", "lines of a chat (the program)"),
    "json": ("nlohmann-json", "MIT", "JSON"),
    "cli11": ("CLI11", "BSD-3-Clause", "options (the program)"),
    "boost": ("Boost.Asio, Boost.Beast", "BSL-1.0", "the HTTP server (the program)"),
    "stdcxx": ("libstdc++, libgcc", "GPL-3.0-or-later WITH GCC-exception-3.1", "the C++ library"),
    "nanobind": ("nanobind, with robin-map (MIT)", "BSD-3-Clause", "the Python module"),
}

PROJECT_LICENCE = "Apache-2.0"
# Whose sources stand beside a wheel.
COPYLEFT = ("ffmpeg", "heif", "de265", "seccomp", "cairo")


@dataclass(frozen=True)
class Component:
    key: str
    source: str  # the source package
    version: str
    origin: str  # "source", "archive" or "header"

    @property
    def name(self) -> str:
        return KNOWN[self.key][0]

    @property
    def licence(self) -> str:
        return KNOWN[self.key][1]

    @property
    def purpose(self) -> str:
        return KNOWN[self.key][2]


def read_components(built: Path) -> list[Component]:
    """The components that PREFIX/built lists, by name. ValueError for one whose licence is not known here, or no list at all."""
    found = []
    for path in sorted(built.iterdir()) if built.is_dir() else []:
        words = path.read_text().split()
        if len(words) != 4 or words[0] != path.name:
            raise ValueError(f"[{path}] is not \"NAME SOURCE VERSION ORIGIN\" but {' '.join(words)!r}")
        if path.name not in KNOWN:
            raise ValueError(f"[{path}] {path.name} has no licence in components.py")
        found.append(Component(*words))
    if not found:
        raise ValueError(f"[{built}] lists no library")
    return found


def sources_of_copyleft(components: list[Component], packages: Path) -> list[str]:
    """The files in `packages` that are the sources of all components under the LGPL, in exactly the versions that were built.

    ValueError for one that is not there.
    """
    names = []
    for component in components:
        if component.key not in COPYLEFT:
            continue
        description = f"{component.source}_{component.version.split(':')[-1]}.dsc"
        if not (packages / description).is_file():
            raise ValueError(f"[{packages}] {description}, the source of {component.name} {component.version}, is not there")
        # The list with MD5 sums, which every .dsc has, names each file once.
        names += [description, *re.findall(r"^ [0-9a-f]{32} \d+ (\S+)$", (packages / description).read_text(), re.M)]
    for name in names:
        if not (packages / name).is_file():
            raise ValueError(f"[{packages}] {name}, which a .dsc names, is not there")
    return sorted(names)


def licence_of_all(components: list[Component]) -> str:
    """One SPDX expression of the project and all components: what the wheel as a whole asks of who passes it on."""
    parts: set[str] = set()
    for component in components:
        licence = component.licence
        parts.update([f"({licence})"] if " OR " in licence else licence.split(" AND "))
    parts.discard(PROJECT_LICENCE)
    return " AND ".join([PROJECT_LICENCE, *sorted(parts)])


def bill_of_materials(version: str, components: list[Component], when: int) -> str:
    """CycloneDX 1.6 as JSON; the same input gives the same bytes. `when`: seconds since 1970."""
    listed = [
        {
            "type": "library",
            "bom-ref": f"library:{c.key}",
            "name": c.name,
            "version": c.version,
            "description": c.purpose,
            "licenses": [{"expression": c.licence}],
            **({"purl": f"pkg:deb/debian/{c.source}@{c.version.replace('+', '%2B')}?arch=source"}
               if c.key != "nanobind" else {"purl": f"pkg:pypi/nanobind@{c.version}"}),
            "properties": [{"name": "videollama3:linked", "value": {"source": "static, built from source",
                                                                   "archive": "static, the distribution's archive",
                                                                   "header": "compiled in"}[c.origin]}],
        }
        for c in components
    ]
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": "",
        "version": 1,
        "metadata": {
            "timestamp": datetime.datetime.fromtimestamp(when, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "library",
                "bom-ref": "videollama3",
                "name": "videollama3",
                "version": version,
                "purl": f"pkg:pypi/videollama3@{version}",
                "licenses": [{"expression": PROJECT_LICENCE}],
            },
        },
        "components": listed,
        "dependencies": [{"ref": "videollama3", "dependsOn": [c["bom-ref"] for c in listed]}],
    }
    bill["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(bill, sort_keys=True))}"
    return json.dumps(bill, indent=1) + "\n"


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        print("\n".join(sources_of_copyleft(read_components(Path(sys.argv[1]) / "built"), Path(sys.argv[2]))))
    except (OSError, ValueError) as problem:
        sys.exit(f"components: {problem}")
