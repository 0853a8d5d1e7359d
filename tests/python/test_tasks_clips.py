"""How long clips are, when they are looked at, and what is said then."""

import struct

import pytest
import task_folders

from videollama3.tasks import TaskError
from videollama3.tasks.clips import duration_s, sampled_times
from videollama3.tasks.subtitles import (Subtitle, interleaved, read_longvideobench, read_srt, seen_with)


def box(kind, data):
    return struct.pack(">I4s", 8 + len(data), kind) + data


def mp4(mdhd, kind=b"vide", more=b""):
    media = box(b"mdia", box(b"mdhd", mdhd) + box(b"hdlr", bytes(8) + kind + bytes(12)))
    head = box(b"mvhd", bytes(12) + struct.pack(">II", 600, 0) + bytes(80))
    return box(b"ftyp", b"isom") + box(b"free", bytes(5)) + box(b"moov", head + box(b"trak", media) + more)


def element(kind, data):
    return kind + bytes([0x80 | len(data)]) + data


def matroska(*info):
    body = b"\x15\x49\xa9\x66" + bytes([0x80 | len(b"".join(info))]) + b"".join(info)
    return b"\x1aE\xdf\xa3\x84head" + b"\x18\x53\x80\x67\x01" + b"\xff" * 7 + element(b"\xec", b"void") + body


AVI = b"RIFF\0\0\0\0AVI LIST\0\0\0\0hdrlavih" + struct.pack("<II", 56, 40000) + bytes(12) + struct.pack("<I", 250)

LENGTHS = {
    "32 bits": (mp4(bytes(12) + struct.pack(">II", 1000, 2500)), 2.5),
    "64 bits": (mp4(b"\1" + bytes(19) + struct.pack(">IQ", 1000, 1 << 33)), (1 << 33) / 1000),
    "fragments": (mp4(bytes(12) + struct.pack(">II", 1000, 0),
                      more=box(b"mvex", box(b"mehd", bytes(4) + struct.pack(">I", 1800)))), 3.0),
    "matroska": (matroska(element(b"\x2a\xd7\xb1", b"\x0f\x42\x40"), element(b"\x44\x89", struct.pack(">d", 1500))),
                 1.5),
    "matroska of 32 bits": (matroska(element(b"\x44\x89", struct.pack(">f", 2000))), 2.0),
    "avi": (AVI, 10.0),
}


@pytest.mark.parametrize("case", LENGTHS)
def test_length(case, tmp_path):
    data, seconds = LENGTHS[case]
    (tmp_path / "clip").write_bytes(data)
    assert duration_s(str(tmp_path / "clip"), "clip") == pytest.approx(seconds)


def test_length_of_a_real_clip():
    assert duration_s(str(task_folders.CLIP), "moving.mp4") == pytest.approx(4.0)


UNSAID = {
    "sound alone": mp4(bytes(12) + struct.pack(">II", 1000, 2500), kind=b"soun"),
    "no rate": mp4(bytes(12) + struct.pack(">II", 0, 2500)),
    "cut short": mp4(bytes(12) + struct.pack(">II", 1000, 2500))[:60],
    "matroska without one": matroska(element(b"\x2a\xd7\xb1", b"\x0f\x42\x40")),
    "matroska of an odd size": matroska(element(b"\x44\x89", b"12345")),
    "negative": matroska(element(b"\x44\x89", struct.pack(">d", -4))),
    "infinite": matroska(element(b"\x44\x89", struct.pack(">d", float("inf")))),
    "avi cut short": AVI[:30],
}


@pytest.mark.parametrize("case", UNSAID)
def test_no_length(case, tmp_path):
    (tmp_path / "clip").write_bytes(UNSAID[case])
    with pytest.raises(TaskError, match=r"\[my clip\] does not say in its head how long it is"):
        duration_s(str(tmp_path / "clip"), "my clip")


def test_every_cut_of_a_head_ends(tmp_path):
    for data, _ in LENGTHS.values():
        for end in range(12, len(data), 3):
            (tmp_path / "clip").write_bytes(data[:end])
            try:
                duration_s(str(tmp_path / "clip"), "clip")
            except TaskError:
                pass


def test_no_clip(tmp_path):
    (tmp_path / "clip").write_bytes(task_folders.png())
    with pytest.raises(TaskError, match=r"\[clip\] is no MP4"):
        duration_s(str(tmp_path / "clip"), "clip")


def test_when_clips_are_looked_at():
    assert sampled_times(4.0, 1.0, 180) == [0, 1, 2, 3]
    assert sampled_times(2.0, 1.0, 180) == [0, 0.5, 1, 1.5]  # four times at least
    assert sampled_times(2.0, 1.0, 2) == [0, 1]
    long = sampled_times(3600.0, 1.0, 180)
    assert len(long) == 180 and long[:2] == [0, 20] and long[-1] == 3580


def test_subrip(tmp_path):
    (tmp_path / "a.srt").write_bytes(("\ufeff" + task_folders.SRT.replace("\n", "\r\n")
                                      + "\r\n3\r\n01:00:00.5 --> 01:00:01.25 X1:0\r\n{\\an8}42\r\n").encode())
    assert read_srt(str(tmp_path), "a.srt") == [
        Subtitle(0, 1, "first line and second"), Subtitle(1.1, 9, "what follows"), Subtitle(3600.5, 3601.25, "42")]
    (tmp_path / "a.srt").write_text("1\n00:01 --> 00:02\nx\n")
    with pytest.raises(TaskError, match=r"\[a.srt:2\].*00:01 --> 00:02"):
        read_srt(str(tmp_path), "a.srt")
    (tmp_path / "a.srt").write_text(f"1\n{'9' * 5000}:00:00,0 --> 00:00:01,0\nx\n")
    with pytest.raises(TaskError, match=r"\[a.srt:2\].*9999"):
        read_srt(str(tmp_path), "a.srt")
    (tmp_path / "a.srt").write_bytes(b"\xff\xfe1\0")
    with pytest.raises(TaskError, match=r"\[a.srt\] cannot be read"):
        read_srt(str(tmp_path), "a.srt")


def test_said_when_looked_at():
    subtitles = [Subtitle(0, 2, "a"), Subtitle(1, 3, "b"), Subtitle(4, 5, " "), Subtitle(5, 6, "c")]
    assert seen_with(subtitles, [0, 1, 2, 2.5, 4.5, 5.5, 7]) == ["a", "b", "b", "c"]


def test_subtitles_between_frames():
    times = [0.0, 1.0, 2.0, 3.0, 4.0]
    said = [Subtitle(0.2, 1.4, "one"), Subtitle(1.5, 1.7, "short, near no frame"), Subtitle(2.9, 3.0, "short, near"),
            Subtitle(9, 12, "after the end")]
    assert interleaved(said, times) == [[0], "one", [1], "short, near no frame", [2], "short, near", [3, 4]]
    assert interleaved([Subtitle(0.55, 0.6, "left out")], [0.0, 2.0, 4.0]) == [[0, 1, 2]]
    assert interleaved([Subtitle(-4, -2, "before")], times) == [[0, 1, 2, 3, 4]]
    assert interleaved([Subtitle(-1, 0.5, "at once")], times) == ["at once", [0, 1, 2, 3, 4]]
    assert interleaved([], times) == [[0, 1, 2, 3, 4]]


def test_subtitles_of_longvideobench(tmp_path):
    task_folders.write(tmp_path / "a.json", [
        {"timestamp": [12, None], "text": "open"}, {"timestamp": [13.5, 14.0], "text": "closed"},
        {"start": "00:01:00.500", "end": "00:01:02.000", "line": "clock"}])
    assert read_longvideobench(str(tmp_path), "a.json", 30.0, 10.0) == [
        Subtitle(2, 20, "open"), Subtitle(3.5, 4, "closed"), Subtitle(50.5, 52, "clock")]
    task_folders.write(tmp_path / "a.json", [{"timestamp": "soon", "text": "x"}])
    with pytest.raises(TaskError, match=r"\[a.json:1\] \"timestamp\""):
        read_longvideobench(str(tmp_path), "a.json", 30.0, 10.0)
