"""How a wheel is finished and checked: packaging/wheel."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from conftest import PROJECT

sys.path.insert(0, str(PROJECT / "packaging/wheel"))

import check  # noqa: E402
import components  # noqa: E402
import dress  # noqa: E402

METADATA = "Metadata-Version: 2.4\nName: videollama3\nLicense-Expression: Apache-2.0\nLicense-File: LICENSE\n\nText: of it\n"
NAME = "videollama3-0.1.0-cp312-abi3-manylinux_2_36_x86_64.whl"


@pytest.fixture()
def prefix(tmp_path: Path) -> Path:
    for key, version, origin in (("ffmpeg", "7:5.1.9-0+deb12u1", "source"), ("zlib", "1.2.13", "archive")):
        (tmp_path / "prefix/built").mkdir(parents=True, exist_ok=True)
        (tmp_path / "prefix/built" / key).write_text(f"{key} {key} {version} {origin}\n")
        (tmp_path / "prefix/licences" / key).mkdir(parents=True)
        (tmp_path / "prefix/licences" / key / "COPYING").write_text(f"the licence of {key}\n")
    return tmp_path / "prefix"


def made_wheel(path: Path, module: bytes = b"module", order: int = 1) -> Path:
    entries = [("videollama3/__init__.py", b"", 0o100644), ("videollama3/bin/videollama3", b"#!", 0o100775),
               ("videollama3/_core.abi3.so", module, 0o100755),
               ("videollama3-0.1.0.dist-info/METADATA", METADATA.encode(), 0o100664),
               ("videollama3-0.1.0.dist-info/RECORD", b"", 0o100664)]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data, mode in entries[::order]:
            info = zipfile.ZipInfo(name, (2000 + order, 1, 1, 0, 0, 0))
            info.external_attr = mode << 16
            archive.writestr(info, data)
    return path


def test_the_same_contents_give_the_same_bytes(tmp_path: Path, prefix: Path) -> None:
    made = []
    for order in (1, -1):  # other order, other times
        wheel = made_wheel(tmp_path / NAME, order=order)
        made.append(dress.dress(wheel, prefix, tmp_path / f"out{order}", 1_700_000_000).read_bytes())
    assert made[0] == made[1]


def test_a_finished_wheel_holds_licences_bill_and_record(tmp_path: Path, prefix: Path) -> None:
    path = dress.dress(made_wheel(tmp_path / NAME), prefix, tmp_path / "out", 1_700_000_000)
    folder, held = dress.read_wheel(path)
    assert folder == "videollama3-0.1.0.dist-info"
    assert held[f"{folder}/licenses/third_party/ffmpeg/COPYING"][0] == b"the licence of ffmpeg\n"
    assert held["videollama3/bin/videollama3"][1] and not held["videollama3/__init__.py"][1]
    metadata = held[f"{folder}/METADATA"][0].decode()
    assert "License-Expression: Apache-2.0 AND LGPL-2.1-or-later AND Zlib\n" in metadata
    assert metadata.index("License-File: third_party/zlib/COPYING") < metadata.index("\n\nText: of it")
    bill = json.loads(held[f"{folder}/sboms/videollama3.cdx.json"][0])
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert [(c["name"], c["version"]) for c in bill["components"]] == [("FFmpeg", "7:5.1.9-0+deb12u1"), ("zlib", "1.2.13")]
    assert bill["metadata"]["timestamp"] == "2023-11-14T22:13:20Z"
    record = held[f"{folder}/RECORD"][0].decode().splitlines()
    assert len(record) == len(held) and record[-1] == f"{folder}/RECORD,,"


def test_a_component_without_text_or_licence_is_refused(tmp_path: Path, prefix: Path) -> None:
    wheel = made_wheel(tmp_path / NAME)
    (prefix / "licences/zlib/COPYING").unlink()
    with pytest.raises(ValueError, match="zlib.*no text of the licence"):
        dress.dress(wheel, prefix, tmp_path / "out", 0)
    assert not (tmp_path / "out").exists()
    (prefix / "built/mystery").write_text("mystery mystery 1 source\n")
    with pytest.raises(ValueError, match="mystery has no licence"):
        components.read_components(prefix / "built")
    with pytest.raises(ValueError, match="lists no library"):
        components.read_components(tmp_path / "nowhere")


def test_the_sources_of_the_lgpl_are_those_of_the_versions_inside(tmp_path: Path, prefix: Path) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    held = components.read_components(prefix / "built")
    with pytest.raises(ValueError, match=r"ffmpeg_5\.1\.9-0\+deb12u1\.dsc, the source of FFmpeg 7:5\.1\.9.*is not there"):
        components.sources_of_copyleft(held, packages)
    files = [f" {'0f' * 16} 5 ffmpeg_5.1.9.orig.tar.xz", f" {'1e' * 16} 6 ffmpeg_5.1.9.debian.tar.xz"]
    dsc = "\n".join(["Format: 3.0 (quilt)", "Checksums-Sha256:", f" {'2d' * 32} 5 ffmpeg_5.1.9.orig.tar.xz", "Files:", *files, ""])
    (packages / "ffmpeg_5.1.9-0+deb12u1.dsc").write_text(dsc)
    (packages / "ffmpeg_5.1.9.orig.tar.xz").touch()
    with pytest.raises(ValueError, match=r"ffmpeg_5\.1\.9\.debian\.tar\.xz, which a \.dsc names, is not there"):
        components.sources_of_copyleft(held, packages)
    for name in ("ffmpeg_5.1.9.debian.tar.xz", "ffmpeg_5.1.9-0+deb12u3.debian.tar.xz", "zlib_1.2.13.dsc"):
        (packages / name).touch()
    assert components.sources_of_copyleft(held, packages) == [
        "ffmpeg_5.1.9-0+deb12u1.dsc", "ffmpeg_5.1.9.debian.tar.xz", "ffmpeg_5.1.9.orig.tar.xz"]


def test_what_a_binary_asks_for_and_shows() -> None:
    readelf = " 0x01 (NEEDED)  Shared library: [libm.so.6]\n 0x01 (NEEDED)  Shared library: [libpng16.so.16]\n"
    assert check.needed_libraries(readelf) == ["libm.so.6", "libpng16.so.16"]
    assert check.shown_symbols("0000 B stdout@GLIBC_2.2.5\n00ff T av_malloc\n") == ["av_malloc"]


@pytest.mark.skipif(shutil.which("cc") is None or shutil.which("nm") is None, reason="needs a compiler and binutils")
def test_a_wheel_that_shows_too_much_is_found_out(tmp_path: Path, prefix: Path) -> None:
    source = tmp_path / "_core.c"
    source.write_text("int PyInit__core(void) { return 0; }\n")
    module = tmp_path / "_core.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-nostdlib", "-o", module, source], check=True)
    path = dress.dress(made_wheel(tmp_path / NAME, module.read_bytes()), prefix, tmp_path / "good", 1_700_000_000)
    assert check.problems_of_wheel(path) == []

    source.write_text('int PyInit__core(void) { return 0; }\nconst char* av_malloc(void) { return "/home/me/ffmpeg/mem.c"; }\n')
    subprocess.run(["cc", "-shared", "-fPIC", "-nostdlib", "-o", module, source], check=True)
    path = dress.dress(made_wheel(tmp_path / NAME, module.read_bytes()), prefix, tmp_path / "bad", 1_700_000_000)
    words = " | ".join(check.problems_of_wheel(path))
    assert "shows 2 symbols (PyInit__core, av_malloc)" in words and "/home/me/ffmpeg/mem.c" in words

    damaged = tmp_path / NAME
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(damaged, "w") as copy:
        for info in archive.infolist():
            copy.writestr(info, archive.read(info) + (b"!" if info.filename.endswith("__init__.py") else b""))
    assert any("RECORD" in problem for problem in check.problems_of_wheel(damaged))
