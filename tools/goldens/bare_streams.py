#!/usr/bin/env python3
"""Makes the streams of one codec, without a container, of tests/data/media/bare and what is in them, in streams.json.

    bare_streams.py OUT_FOLDER

Needs PyAV 18.1, which makes them and whose frames, rates and times are right. streams.json maps each name to
{"frames", "size", "fnv"} as clips.py has them, "rate": frames a second as PyAV guesses it (average_rate is 25 of all of
them, whatever they say themselves), "times": seconds, null where PyAV gives frames none, and "says": whether the stream
says its rate.
"""
import argparse
import json
import pathlib

import av
import numpy
from clips import decoded

FRAMES, WIDTH, HEIGHT, RATE = 12, 176, 144, 10
X265 = "info=0:log-level=none:bframes=0"
# name: demuxer's name, encoder, its options, and whether the stream says its rate
STREAMS = {
    "clip.h261": ("h261", "h261", {}, True),
    "clip.h263": ("h263", "h263", {}, True),
    "clip.m4v": ("m4v", "mpeg4", {}, True),
    "clip.mjpeg": ("mjpeg", "mjpeg", {}, False),
    "clip.h264": ("h264", "libx264", {"bf": "0"}, True),
    "clip.hevc": ("hevc", "libx265", {"x265-params": X265}, True),
    "silent.hevc": ("hevc", "libx265", {"x265-params": X265 + ":vui-timing-info=0"}, False),
    "silent.h264": ("h264", "libx264", {"bf": "0"}, False),
}


class Bits:
    def __init__(self, data):
        self.text = "".join(f"{byte:08b}" for byte in data)
        self.at = 0

    def take(self, count):
        self.at += count
        return int(self.text[self.at - count : self.at] or "0", 2)

    def golomb(self):
        zeros = 0
        while self.take(1) == 0:
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)


def without_rate(sps):
    """A sequence parameter set of H.264 (4:2:0, 8 bits) cut off before what it says of itself as video."""
    bits = Bits(sps[1:].replace(b"\0\0\3", b"\0\0"))
    profile = bits.take(8)
    bits.take(16), bits.golomb()
    if profile >= 100:
        bits.golomb(), bits.golomb(), bits.golomb(), bits.take(2)
    bits.golomb()
    if bits.golomb() == 0:  # how frames are counted
        bits.golomb()
    bits.golomb(), bits.take(1), bits.golomb(), bits.golomb()
    if bits.take(1) == 0:
        bits.take(1)
    bits.take(1)
    if bits.take(1):  # columns and rows that are cut off
        for _ in range(4):
            bits.golomb()
    text = bits.text[: bits.at] + "01"
    text += "0" * (-len(text) % 8)
    return sps[:1] + bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8))


def silent(data):
    units = data.split(b"\0\0\1")
    return b"\0\0\1".join(without_rate(unit.rstrip(b"\0")) + b"\0" if unit[:1] and unit[0] & 31 == 7 else unit for unit in units)


def make(path, form, encoder, options):
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_stream(encoder, rate=RATE, options=options)
        stream.width, stream.height = WIDTH, HEIGHT
        stream.pix_fmt = "yuvj420p" if encoder == "mjpeg" else "yuv420p"
        for i in range(FRAMES):
            pixels = numpy.full((HEIGHT, WIDTH, 3), 40, numpy.uint8)
            pixels[32:64, 8 * i : 8 * i + 32] = (220, 60, 40)
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=pathlib.Path)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    found = {}
    for name, (form, encoder, options, says) in STREAMS.items():
        path = args.out / name
        make(path, form, encoder, options)
        if name == "silent.h264":
            path.write_bytes(silent(path.read_bytes()))
        with av.open(str(path)) as container:
            rate = float(container.streams.video[0].guessed_rate)
            times = [frame.time for frame in container.decode(video=0)]
        found[name] = {**decoded(path), "rate": rate, "times": None if None in times else times, "says": says}
    (args.out / "streams.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
