#!/usr/bin/env python3
"""Makes tests/data/media/colours.txt: how PyAV 18.1 (FFmpeg 8) turns frames of many pixel formats into RGB24.

    colours.py OUT_FILE [--many COUNT]

Needs the wheel of PyAV 18.1, whose libraries are called directly, for PyAV has no way to set a frame's place of
chroma or its interlacing. A line is "FORMAT WIDTH HEIGHT MATRIX RANGE PLACE INTERLACED FNV": the numbers are
FFmpeg's enumerations, FNV is 64-bit FNV-1a over the RGB bytes. samples() says what the frames hold;
tests/media/colours_test.cc makes the same. --many: so many random lines, for a comparison that is not committed.
"""
import argparse
import ctypes
import glob
import itertools
import pathlib
import random

import av

FOLDER = pathlib.Path(av.__file__).parent.parent / "av.libs"
UTIL = ctypes.CDLL(glob.glob(f"{FOLDER}/libavutil*")[0])
SCALE = ctypes.CDLL(glob.glob(f"{FOLDER}/libswscale*")[0])
POINTER = ctypes.c_void_p
UTIL.av_frame_alloc.restype = POINTER
UTIL.av_get_pix_fmt.argtypes = [ctypes.c_char_p]
UTIL.av_frame_get_buffer.argtypes = [POINTER, ctypes.c_int]
UTIL.av_frame_free.argtypes = [POINTER]
UTIL.av_opt_set_int.argtypes = [POINTER, ctypes.c_char_p, ctypes.c_int64, ctypes.c_int]
SCALE.sws_alloc_context.restype = POINTER
SCALE.sws_scale_frame.argtypes = [POINTER] * 3
SCALE.sws_freeContext.argtypes = [POINTER]
BILINEAR, INTERLACED_FLAG = 2, 8
# Of AVFrame in libavutil 60: bytes from its beginning.
LINESIZE, WIDTH, HEIGHT, FORMAT, FLAGS = 64, 104, 108, 116, 276
RANGE, PRIMARIES, TRANSFER, MATRIX, PLACE = 280, 284, 288, 292, 296


class Component(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int) for name in ("plane", "step", "offset", "shift", "depth")]


class Descriptor(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("nb_components", ctypes.c_uint8), ("log2_w", ctypes.c_uint8),
                ("log2_h", ctypes.c_uint8), ("flags", ctypes.c_uint64), ("comp", Component * 4)]


UTIL.av_pix_fmt_desc_get.restype = ctypes.POINTER(Descriptor)
BIG_ENDIAN, RGB = 1, 32


def samples(name, width, height):
    """Per plane the words of each row and their bytes: the upper bits of a 64-bit congruential sequence."""
    what = UTIL.av_pix_fmt_desc_get(UTIL.av_get_pix_fmt(name.encode())).contents
    comps = what.comp[: what.nb_components]
    state = width * 1000 + height
    planes = []
    for plane in range(max(c.plane for c in comps) + 1):
        first = [c for c in comps if c.plane == plane][0]
        chroma = plane in (1, 2) and not what.flags & RGB
        rows = -(-height >> what.log2_h) if chroma else height
        columns = -(-width >> what.log2_w) if chroma or (what.log2_w and max(c.plane for c in comps) == 0) else width
        step = first.step << (what.log2_w if max(c.plane for c in comps) == 0 else 0)
        words = columns * step // (2 if first.depth > 8 else 1)
        lines = []
        for _ in range(rows):
            line = bytearray()
            for _ in range(words):
                state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
                if first.depth > 8:
                    word = (state >> 33) % (1 << first.depth) << first.shift
                    line += word.to_bytes(2, "big" if what.flags & BIG_ENDIAN else "little")
                else:
                    line.append((state >> 33) % 256)
            lines.append(bytes(line))
        planes.append(lines)
    return planes


def number(frame, offset):
    return ctypes.c_int.from_address(frame + offset)


def new_frame(name, width, height, matrix, colour_range, place, interlaced):
    frame = UTIL.av_frame_alloc()
    for offset, value in ((WIDTH, width), (HEIGHT, height), (FORMAT, UTIL.av_get_pix_fmt(name.encode())),
                          (FLAGS, INTERLACED_FLAG * interlaced), (RANGE, colour_range), (PRIMARIES, 2),
                          (TRANSFER, 2), (MATRIX, matrix), (PLACE, place)):
        number(frame, offset).value = value
    assert UTIL.av_frame_get_buffer(frame, 64) >= 0
    return frame


def free(frame):
    UTIL.av_frame_free(ctypes.byref(POINTER(frame)))


def rgb(name, width, height, *rest):
    source, target = new_frame(name, width, height, *rest), new_frame("rgb24", width, height, *rest)
    for i, lines in enumerate(samples(name, width, height)):
        base = POINTER.from_address(source + 8 * i).value
        for y, line in enumerate(lines):
            ctypes.memmove(base + y * number(source, LINESIZE + 4 * i).value, line, len(line))
    context = SCALE.sws_alloc_context()
    assert UTIL.av_opt_set_int(context, b"sws_flags", BILINEAR, 0) >= 0
    assert SCALE.sws_scale_frame(context, target, source) >= 0, (name, rest)
    base, stride = POINTER.from_address(target).value, number(target, LINESIZE).value
    data = b"".join(ctypes.string_at(base + y * stride, 3 * width) for y in range(height))
    SCALE.sws_freeContext(context)
    free(source)
    free(target)
    return data


def fnv(data):
    h = 0xCBF29CE484222325
    for byte in data:
        h = ((h ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{h:016x}"


SUBSAMPLED = """yuv420p yuvj420p yuva420p yuv420p9le yuv420p10le yuv420p10be yuv420p12le yuv420p14le yuv420p16le
    yuva420p10le nv12 nv21 p010le p016le yuv440p yuv440p10le yuv440p12le yuv410p""".split()
ACROSS = "yuv422p yuv422p10le yuv422p12be yuva422p10le yuyv422 uyvy422 yuv411p p210le y210le".split()
OTHERS = """yuv444p yuv444p10le yuv444p16le nv24 gray gray10le gray16le gbrp gbrp10le gbrp16le rgb24 bgr0 rgba
    rgb48le rgb48be rgba64le rgb565be rgb555le ya8""".split()


def committed():
    for name in SUBSAMPLED:
        for (width, height), place in itertools.product(((22, 12), (13, 9)), (0, 1, 4)):
            yield name, width, height, 2, 0, place, 0
        yield name, 18, 8, 1, 2, 3, 0
        yield name, 10, 7, 9, 1, 5, 1 if name != "yuv410p" else 0
        yield name, 16, 8, 6, 0, 2, 1
        yield name, 3, 2, 2, 0, 6, 0
    for name in ACROSS:
        for width, height, place in ((22, 6, 0), (22, 6, 1), (13, 5, 4), (2, 3, 1)):
            yield name, width, height, 2, 0, place, 0
        yield name, 14, 6, 1, 2, 3, 1
    for name in OTHERS:
        yield name, 22, 5, 2, 0, 0, 0
        yield name, 13, 6, 1, 2, 0, 1


def many(count):
    source = random.Random(count)
    for _ in range(count):
        name = source.choice(SUBSAMPLED + ACROSS + OTHERS)
        height, interlaced = source.randint(1, 40), source.randint(0, 1)
        # A lower field that lacks a row of chroma reads FFmpeg 8 what lies behind the plane.
        rows = 1 << UTIL.av_pix_fmt_desc_get(UTIL.av_get_pix_fmt(name.encode())).contents.log2_h
        if interlaced and (height % (2 * rows) not in (0, 2 * rows - 1) or height < 2):
            interlaced = 0
        yield (name, source.randint(1, 80), height, source.choice((1, 2, 4, 5, 6, 7, 9)), source.randint(0, 2),
               source.randint(0, 6), interlaced)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--many", type=int, default=0)
    args = parser.parse_args()
    with open(args.out, "w") as out:
        for case in many(args.many) if args.many else committed():
            print(*case, fnv(rgb(*case)), file=out)


if __name__ == "__main__":
    main()
