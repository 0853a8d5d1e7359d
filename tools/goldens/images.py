#!/usr/bin/env python3
"""Makes the small pictures of tests/data/media and what Pillow decodes from them, in images.json.

    images.py OUT_FOLDER [--shared MEDIA_FOLDER] [--many COUNT]

Without --many: the committed pictures (at most a few KiB each), one per way a format can store a picture.
With --many: COUNT more in OUT_FOLDER, of random formats, modes and sizes, for a comparison that is not committed.
images.json maps each name to {"mode", "size": [width, height], "frames", "fnv": of the RGB bytes with the EXIF
orientation applied, "fnv_stored": without}; animated GIFs have "animation": {"fnv": [per frame], "durations_ms"}.
The hash is 64-bit FNV-1a. --shared adds "shared": the same of every picture of that folder.
"""
import argparse
import io
import json
import pathlib
import struct
import warnings
import zlib

import numpy as np
from PIL import Image, ImageOps

warnings.simplefilter("ignore")


def fnv(data):
    h = 0xCBF29CE484222325
    for byte in data:
        h = ((h ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{h:016x}"


def describe(data):
    im = Image.open(io.BytesIO(data))
    mode, frames = im.mode, getattr(im, "n_frames", 1)
    im = Image.open(io.BytesIO(data))
    stored = im.convert("RGB")
    im = Image.open(io.BytesIO(data))
    upright = ImageOps.exif_transpose(im).convert("RGB")
    row = {"mode": mode, "size": list(upright.size), "frames": frames, "fnv": fnv(upright.tobytes()),
           "fnv_stored": fnv(stored.tobytes())}
    if im.format == "GIF" and frames > 1:
        im, hashes, durations = Image.open(io.BytesIO(data)), [], []
        for i in range(frames):
            im.seek(i)
            hashes.append(fnv(im.convert("RGB").tobytes()))
            durations.append(int(im.info.get("duration", 0)))
        row["animation"] = {"fnv": hashes, "durations_ms": durations}
    return row


def picture(rng, mode, w, h):
    """A gradient with noise, so that every codec has something to do."""
    y, x = np.mgrid[0:h, 0:w]
    bands = {"1": 1, "L": 1, "P": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4, "I;16": 1, "YCbCr": 3, "I": 1, "F": 1}[mode]
    a = np.stack([(x * (5 + c) + y * (3 + 2 * c)) * 2 + c * 40 for c in range(bands)], -1)
    a = (a + rng.integers(0, 30, a.shape)) % 256
    if mode == "1":
        return Image.fromarray(((a[..., 0] > 127) * 255).astype(np.uint8)).convert("1")
    if mode == "I;16":
        return Image.fromarray((a[..., 0] * 3).astype(np.uint16))
    if mode == "I":
        return Image.fromarray((a[..., 0] * 3 - 90).astype(np.int32))
    if mode == "F":
        return Image.fromarray((a[..., 0] * 1.3 - 9.5).astype(np.float32))
    if mode == "P":
        im = Image.fromarray((a[..., 0] // 4).astype(np.uint8), "P")
        im.putpalette(rng.integers(0, 256, 64 * 3).astype(np.uint8).tobytes())
        return im
    a = a.astype(np.uint8)
    return Image.fromarray(a[..., 0] if bands == 1 else a, mode)


def save(im, fmt, **options):
    b = io.BytesIO()
    im.save(b, fmt, **options)
    return b.getvalue()


def png(w, h, depth, color, rows, chunks=(), interlace=False, after=()):
    """A PNG of raw rows (bytes each), which Pillow itself cannot write in every form."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    if not interlace:
        raw = b"".join(b"\0" + r for r in rows)
    else:
        bits = depth * channels
        raw = b""
        for x0, y0, dx, dy in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)):
            xs, ys = range(x0, w, dx), range(y0, h, dy)
            if not len(xs):
                continue
            for yy in ys:
                whole = int.from_bytes(rows[yy], "big")
                total = len(rows[yy]) * 8
                packed, n = 0, 0
                for xx in xs:
                    packed = packed << bits | (whole >> (total - bits * (xx + 1))) & ((1 << bits) - 1)
                    n += bits
                pad = -n % 8
                raw += b"\0" + (packed << pad).to_bytes((n + pad) // 8, "big")
    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, color, 0, 0, int(interlace)))
    for kind, data in chunks:
        out += chunk(kind, data)
    half = zlib.compress(raw)
    cut = len(half) // 2
    out += chunk(b"IDAT", half[:cut]) + chunk(b"IDAT", half[cut:])
    for kind, data in after:
        out += chunk(kind, data)
    return out + chunk(b"IEND", b"")


def exif(orientation):
    e = Image.Exif()
    e[0x0112] = orientation
    return e.tobytes()


def pngs(rng):
    for mode, name in (("1", "1"), ("L", "grey"), ("LA", "grey_alpha"), ("P", "palette"), ("RGB", "rgb"), ("RGBA", "rgba"), ("I;16", "grey16")):
        yield f"png_{name}.png", save(picture(rng, mode, 21, 13), "PNG")
    yield "png_palette_trns.png", save(picture(rng, "P", 21, 13), "PNG", transparency=3)
    yield "png_palette_trns_bytes.png", save(picture(rng, "P", 21, 13), "PNG", transparency=bytes(range(64)))
    yield "png_rgb_trns.png", save(picture(rng, "RGB", 9, 8), "PNG", transparency=(1, 2, 3))
    palette = (b"PLTE", rng.integers(0, 256, 16 * 3).astype(np.uint8).tobytes())
    for color, depths in ((0, (1, 2, 4, 8, 16)), (2, (8, 16)), (3, (1, 2, 4, 8)), (4, (8, 16)), (6, (8, 16))):
        for depth in depths:
            channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
            w, h = 19, 11
            size = (w * channels * depth + 7) // 8
            rows = [rng.integers(0, 256, size).astype(np.uint8) for _ in range(h)]
            if color == 3 and depth == 8:
                rows = [r % 16 for r in rows]
            if color == 0 and depth == 16:
                rows = [np.where(np.arange(size) % 4 == 0, 0, r).astype(np.uint8) for r in rows]
            chunks = [palette if depth > 2 else (b"PLTE", palette[1][:3 << depth])] if color == 3 else []
            for interlace in (False, True):
                yield f"png_c{color}d{depth}{'i' if interlace else ''}.png", png(w, h, depth, color, [r.tobytes() for r in rows], chunks, interlace)
    yield "png_short_palette.png", png(16, 1, 4, 3, [bytes(range(0x01, 0x100, 0x22))[:8]], [(b"PLTE", bytes(range(30, 45)))])
    yield "png_exif_late.png", png(5, 3, 8, 2, [bytes(range(i, i + 15)) for i in range(3)], after=[(b"eXIf", exif(6)[6:])])
    xmp = b"XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation=\"8\"/>"
    yield "png_xmp.png", png(5, 3, 8, 2, [bytes(range(i, i + 15)) for i in range(3)], [(b"iTXt", xmp)])
    packed = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"<tiff:Orientation>5</tiff:Orientation>")
    yield "png_xmp_packed.png", png(5, 3, 8, 2, [bytes(range(i, i + 15)) for i in range(3)], [(b"iTXt", packed)])
    raw = exif(3)
    profile = b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n%8d\n" % len(raw) + raw.hex().encode() + b"\n")
    yield "png_raw_profile.png", png(5, 3, 8, 2, [bytes(range(i, i + 15)) for i in range(3)], [(b"zTXt", profile)])
    for w, h in ((1, 1), (1, 700), (700, 1)):
        yield f"png_{w}x{h}.png", save(picture(rng, "RGB", w, h), "PNG")
    yield "png_misnamed.jpg", save(picture(rng, "RGB", 8, 8), "PNG")


def jpegs(rng):
    for sub in ("4:4:4", "4:2:2", "4:2:0", "4:1:1"):
        for progressive in (False, True):
            yield f"jpeg_{sub.replace(':', '')}{'p' if progressive else ''}.jpg", save(picture(rng, "RGB", 37, 29), "JPEG", subsampling=sub, progressive=progressive, quality=60)
    yield "jpeg_grey.jpg", save(picture(rng, "L", 37, 29), "JPEG")
    yield "jpeg_grey_progressive.jpg", save(picture(rng, "L", 37, 29), "JPEG", progressive=True)
    yield "jpeg_cmyk.jpg", save(picture(rng, "CMYK", 23, 17), "JPEG")
    cmyk = save(picture(rng, "CMYK", 23, 17), "JPEG")
    at = cmyk.find(b"Adobe")
    yield "jpeg_ycck.jpg", cmyk[:at + 11] + b"\x02" + cmyk[at + 12:] if at > 0 else cmyk
    yield "jpeg_rgb.jpg", save(picture(rng, "RGB", 23, 17), "JPEG", keep_rgb=True)
    yield "jpeg_restart.jpg", save(picture(rng, "RGB", 64, 33), "JPEG", restart_marker_blocks=3)
    yield "jpeg_optimized.jpg", save(picture(rng, "RGB", 33, 20), "JPEG", optimize=True, quality=95)
    for o in range(1, 9):
        yield f"jpeg_orientation{o}.jpg", save(picture(rng, "RGB", 18, 10), "JPEG", exif=exif(o), quality=50)
    yield "jpeg_orientation9.jpg", save(picture(rng, "RGB", 18, 10), "JPEG", exif=exif(9), quality=50)
    yield "jpeg_xmp.jpg", save(picture(rng, "RGB", 18, 10), "JPEG", xmp=b'<x tiff:Orientation="6"/>')
    for w, h in ((1, 1), (1, 300), (300, 1)):
        yield f"jpeg_{w}x{h}.jpg", save(picture(rng, "RGB", w, h), "JPEG", subsampling="4:2:0")


def webps(rng):
    yield "webp_lossy.webp", save(picture(rng, "RGB", 35, 27), "WEBP", quality=50)
    yield "webp_lossy_alpha.webp", save(picture(rng, "RGBA", 35, 27), "WEBP", quality=50)
    yield "webp_lossless.webp", save(picture(rng, "RGB", 20, 15), "WEBP", lossless=True)
    yield "webp_lossless_alpha.webp", save(picture(rng, "RGBA", 20, 15), "WEBP", lossless=True, exact=True)
    yield "webp_exif.webp", save(picture(rng, "RGB", 20, 15), "WEBP", quality=40, exif=exif(7))
    frames = [picture(rng, "RGBA", 16, 12) for _ in range(3)]
    yield "webp_animated.webp", save(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=80, quality=50)
    yield "webp_1x1.webp", save(picture(rng, "RGB", 1, 1), "WEBP")


def gif_lzw(indices, bits):
    codes, clear, end = [], 1 << bits, (1 << bits) + 1
    out, n, width = 0, 0, bits + 1
    for i, v in enumerate(indices):
        if i % ((1 << bits) - 2 or 1) == 0:
            out |= clear << n
            n += width
        out |= int(v) << n
        n += width
    out |= end << n
    data = out.to_bytes((n + width + 7) // 8, "little")
    blocks = b"".join(bytes([len(data[i:i + 255])]) + data[i:i + 255] for i in range(0, len(data), 255))
    return bytes([bits]) + blocks + b"\0"


def gif(rng, size, frames, global_bits=3, background=1):
    """frames: dicts of rect, disposal, transparent, palette (bits or None), interlace, delay."""
    out = b"GIF89a" + struct.pack("<HHBBB", *size, (0x80 | global_bits - 1) if global_bits else 0, background, 0)
    if global_bits:
        out += rng.integers(0, 256, 3 << global_bits).astype(np.uint8).tobytes()
    for f in frames:
        x, y, w, h = f["rect"]
        t = f.get("transparent")
        if "disposal" in f or t is not None or "delay" in f:
            out += b"!\xf9\x04" + struct.pack("<BHBB", f.get("disposal", 0) << 2 | (t is not None), f.get("delay", 7), t or 0, 0)
        bits = f.get("palette")
        out += b"," + struct.pack("<HHHHB", x, y, w, h, (0x80 | bits - 1 if bits else 0) | (64 if f.get("interlace") else 0))
        if bits:
            grey = f.get("grey")
            out += bytes(i for i in range(1 << bits) for _ in range(3)) if grey else rng.integers(0, 256, 3 << bits).astype(np.uint8).tobytes()
        depth = bits or global_bits or 3
        out += gif_lzw(rng.integers(0, 1 << depth, w * h), max(depth, 2))
    return out + b";"


def random_gif(rng):
    size = [int(v) for v in rng.integers(4, 16, 2)]
    frames = []
    for _ in range(int(rng.integers(1, 7))):
        w, h = (int(rng.integers(1, s + 1)) for s in size)
        f = {"rect": (int(rng.integers(0, size[0] - w + 1)), int(rng.integers(0, size[1] - h + 1)), w, h), "delay": int(rng.integers(0, 30))}
        if rng.random() < 0.7:
            f["disposal"] = int(rng.integers(0, 4))
        if rng.random() < 0.5:
            f["transparent"] = int(rng.integers(0, 8))
        if rng.random() < 0.4:
            f["palette"] = int(rng.integers(2, 5))
        f["interlace"] = bool(rng.random() < 0.3)
        frames.append(f)
    return gif(rng, size, frames, global_bits=int(rng.choice([2, 3, 3, 4])), background=int(rng.integers(0, 4)))


def gifs(rng):
    yield "gif_palette.gif", save(picture(rng, "P", 30, 20), "GIF")
    yield "gif_grey.gif", save(picture(rng, "L", 30, 20), "GIF")
    yield "gif_rgb.gif", save(picture(rng, "RGB", 60, 40), "GIF")
    yield "gif_1.gif", save(picture(rng, "1", 30, 20), "GIF", interlace=0)
    yield "gif_interlaced.gif", save(picture(rng, "P", 30, 21), "GIF", interlace=1)
    yield "gif_transparent.gif", save(picture(rng, "P", 30, 20), "GIF", transparency=2)
    yield "gif_local.gif", gif(rng, (9, 7), [{"rect": (2, 1, 5, 4), "palette": 4, "transparent": 5}])
    yield "gif_no_palette.gif", gif(rng, (9, 7), [{"rect": (0, 0, 9, 7)}], global_bits=0)
    yield "gif_beyond_screen.gif", gif(rng, (4, 4), [{"rect": (2, 2, 6, 5)}])
    full = {"rect": (0, 0, 12, 9)}
    for d in (1, 2, 3):
        yield f"gif_animated_disposal{d}.gif", gif(rng, (12, 9), [full, {"rect": (2, 1, 6, 5), "disposal": d, "transparent": 1}, {"rect": (4, 3, 8, 6), "disposal": d}, {"rect": (0, 0, 3, 3), "delay": 3}, full])
    yield "gif_animated_mixed.gif", gif(rng, (12, 9), [dict(full, disposal=2, transparent=0), {"rect": (1, 1, 5, 5), "palette": 2, "disposal": 3}, {"rect": (3, 2, 6, 6), "palette": 4, "grey": True, "transparent": 3}, full])
    for i in range(6):
        yield f"gif_random{i}.gif", random_gif(rng)


def bmp(w, h, bits, rows, header=40, compression=0, palette=b"", masks=b"", colors=0, pixels=None):
    data = pixels if pixels is not None else b"".join(r + b"\0" * (-len(r) % 4) for r in rows)
    if header == 12:
        info = struct.pack("<IHHHH", 12, w, h, 1, bits)
    else:
        info = struct.pack("<IiiHHIIiiII", header, w, h, 1, bits, compression, len(data), 2835, 2835, colors, 0)
        if header > 40:
            info += masks
            masks = b""
            info += b"\0" * (header - len(info))
    offset = 14 + len(info) + len(masks) + len(palette)
    return b"BM" + struct.pack("<IHHI", offset + len(data), 0, 0, offset) + info + masks + palette + data


def bmps(rng):
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        yield f"bmp_{mode}.bmp", save(picture(rng, mode, 21, 13), "BMP")
    pal = lambda n, k=4: rng.integers(0, 256, n * k).astype(np.uint8).tobytes()
    rows = lambda n, h=7: [rng.integers(0, 256, n).astype(np.uint8).tobytes() for _ in range(h)]
    yield "bmp_1bit.bmp", bmp(21, 7, 1, rows(3), palette=pal(2))
    yield "bmp_4bit.bmp", bmp(21, 7, 4, rows(11), palette=pal(16))
    yield "bmp_8bit_colors.bmp", bmp(21, 7, 8, [bytes(b % 20 for b in r) for r in rows(21)], palette=pal(20), colors=20)
    yield "bmp_core.bmp", bmp(21, 7, 8, rows(21), header=12, palette=pal(256, 3))
    yield "bmp_core24.bmp", bmp(9, 7, 24, rows(27), header=12)
    yield "bmp_16.bmp", bmp(11, 7, 16, rows(22))
    yield "bmp_565.bmp", bmp(11, 7, 16, rows(22), compression=3, masks=struct.pack("<III", 0xF800, 0x7E0, 0x1F))
    yield "bmp_555.bmp", bmp(11, 7, 16, rows(22), compression=3, masks=struct.pack("<III", 0x7C00, 0x3E0, 0x1F))
    yield "bmp_32.bmp", bmp(11, 7, 32, rows(44))
    yield "bmp_32_masks.bmp", bmp(11, 7, 32, rows(44), compression=3, masks=struct.pack("<III", 0xFF000000, 0xFF0000, 0xFF00))
    for name, m in (("bgra", (0xFF0000, 0xFF00, 0xFF, 0xFF000000)), ("rgba", (0xFF, 0xFF00, 0xFF0000, 0xFF000000)), ("abgr", (0xFF000000, 0xFF0000, 0xFF00, 0xFF)), ("zero", (0, 0, 0, 0))):
        for header in (108, 124):
            yield f"bmp_v{header}_{name}.bmp", bmp(11, 7, 32, rows(44), header=header, compression=3, masks=struct.pack("<IIII", *m))
    yield "bmp_top_down.bmp", bmp(11, -7, 24, rows(33))
    rle8 = b"".join(bytes([5, i, 3, 9, 0, 3, 1, 2, 3, 0, 0, 0]) for i in range(6)) + bytes([11, 4, 0, 1])
    yield "bmp_rle8.bmp", bmp(11, 7, 8, [], compression=1, palette=pal(256), pixels=rle8)
    delta = bytes([5, 1, 0, 2, 3, 2]) + bytes([3, 7, 0, 0]) + b"".join(bytes([11, i, 0, 0]) for i in range(4)) + bytes([0, 1])
    yield "bmp_rle8_delta.bmp", bmp(11, 7, 8, [], compression=1, palette=pal(256), pixels=delta)
    rle4 = b"".join(bytes([5, 0x12 + i, 2, 0x9A, 0, 4, 0x34, 0x56, 0, 0]) for i in range(7)) + bytes([0, 1])
    yield "bmp_rle4.bmp", bmp(11, 7, 4, [], compression=2, palette=pal(16), pixels=rle4)


def tiffs(rng):
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"):
        for c in (None, "tiff_lzw", "tiff_deflate", "packbits"):
            if c in (None, "tiff_lzw") or mode in ("RGB", "L"):
                yield f"tiff_{mode.replace(';', '')}_{c or 'raw'}.tif", save(picture(rng, mode, 21, 13), "TIFF", compression=c)
    yield "tiff_adobe_deflate_predictor.tif", save(picture(rng, "RGB", 21, 13), "TIFF", compression="tiff_adobe_deflate", tiffinfo={317: 2})
    yield "tiff_jpeg.tif", save(picture(rng, "RGB", 48, 32), "TIFF", compression="jpeg")
    yield "tiff_jpeg_grey.tif", save(picture(rng, "L", 48, 32), "TIFF", compression="jpeg")
    yield "tiff_ycbcr_lzw.tif", save(picture(rng, "YCbCr", 48, 32), "TIFF", compression="tiff_lzw")
    yield "tiff_group4.tif", save(picture(rng, "1", 48, 32), "TIFF", compression="group4")
    yield "tiff_strips.tif", save(picture(rng, "RGB", 21, 33), "TIFF", compression="tiff_lzw", strip_size=200)
    for o in (2, 3, 5, 6, 8):
        yield f"tiff_orientation{o}.tif", save(picture(rng, "RGB", 12, 7), "TIFF", compression="tiff_lzw", tiffinfo={274: o})
    yield "tiff_big.tif", save(picture(rng, "RGB", 12, 7), "TIFF", big_tiff=True)
    b = io.BytesIO()
    picture(rng, "L", 8, 8).save(b, "TIFF", save_all=True, append_images=[picture(rng, "RGB", 9, 9)])
    yield "tiff_pages.tif", b.getvalue()
    for bits, count in ((8, 3), (16, 3), (8, 4), (16, 4)):
        for order in "<>":
            for planar in (1, 2) if bits == 8 else (1,):
                yield f"tiff_rgb{bits}x{count}_{'le' if order == '<' else 'be'}{planar}.tif", raw_tiff(rng, 11, 7, 2, bits, count, order, planar)
    yield "tiff_premultiplied.tif", raw_tiff(rng, 11, 7, 2, 8, 4, "<", 1, extra=1)
    yield "tiff_rgbx.tif", raw_tiff(rng, 11, 7, 2, 8, 4, "<", 1, extra=0)
    yield "tiff_grey16_be.tif", raw_tiff(rng, 11, 7, 1, 16, 1, ">", 1)
    yield "tiff_grey16s.tif", raw_tiff(rng, 11, 7, 1, 16, 1, "<", 1, sample_format=2)
    for bits in (1, 2, 4, 8):
        yield f"tiff_white{bits}.tif", raw_tiff(rng, 11, 7, 0, bits, 1, "<", 1)
        yield f"tiff_palette{bits}.tif", raw_tiff(rng, 11, 7, 3, bits, 1, ">", 1)
    yield "tiff_cmyk16.tif", raw_tiff(rng, 11, 7, 5, 16, 4, "<", 1)
    yield "tiff_tiled.tif", raw_tiff(rng, 40, 21, 2, 8, 3, "<", 1, tile=16)
    yield "tiff_tiled_planar.tif", raw_tiff(rng, 40, 21, 2, 8, 3, ">", 2, tile=16)
    yield "tiff_tiled_grey.tif", raw_tiff(rng, 35, 18, 1, 8, 1, "<", 1, tile=16)
    yield "tiff_tiled_deflate.tif", raw_tiff(rng, 40, 21, 2, 8, 3, "<", 1, tile=16, deflate=True)


def raw_tiff(rng, w, h, photo, bits, samples, order, planar, extra=2, sample_format=1, tile=0, deflate=False):
    planes = samples if planar == 2 else 1
    per = samples if planar == 1 else 1
    bw, bh = (tile, tile) if tile else (w, h)
    blocks = []
    for _ in range(planes * -(-w // bw) * -(-h // bh)):
        block = rng.integers(0, 256, (bw * per * bits + 7) // 8 * bh).astype(np.uint8)
        if bits == 16 and samples == 1:
            block[(1 if order == "<" else 0)::4] = 0
        blocks.append(zlib.compress(block.tobytes()) if deflate else block.tobytes())
    tags = {256: (4, [w]), 257: (4, [h]), 258: (3, [bits] * samples), 259: (3, [8 if deflate else 1]), 262: (3, [photo]), 277: (3, [samples]), 284: (3, [planar]), 339: (3, [sample_format] * samples)}
    if photo == 2 and samples == 4:
        tags[338] = (3, [extra])
    if photo == 3:
        tags[320] = (3, rng.integers(0, 65536, 3 << bits).tolist())
    place, counts = (324, 325) if tile else (273, 279)
    if tile:
        tags[322], tags[323] = (3, [tile]), (3, [tile])
    else:
        tags[278] = (4, [h])
    data_at, offsets = 8, []
    for b in blocks:
        offsets.append(data_at)
        data_at += len(b) + len(b) % 2
    tags[place], tags[counts] = (4, offsets), (4, [len(b) for b in blocks])
    body = b"".join(b + b"\0" * (len(b) % 2) for b in blocks)
    ifd_at = 8 + len(body)
    extra_at, tail, entries = ifd_at + 2 + 12 * len(tags) + 4, b"", b""
    for tag in sorted(tags):
        kind, values = tags[tag]
        packed = struct.pack(order + {3: "H", 4: "I"}[kind] * len(values), *values)
        if len(packed) > 4:
            value = struct.pack(order + "I", extra_at + len(tail))
            tail += packed
        else:
            value = packed.ljust(4, b"\0")
        entries += struct.pack(order + "HHI", tag, kind, len(values)) + value
    magic = b"II*\0" if order == "<" else b"MM\0*"
    return magic + struct.pack(order + "I", ifd_at) + body + struct.pack(order + "H", len(tags)) + entries + b"\0\0\0\0" + tail


def many(rng, count):
    sizes = lambda: (int(rng.integers(1, 120)), int(rng.integers(1, 90)))
    for i in range(count):
        kind = i % 6
        if kind == 0:
            mode = str(rng.choice(["1", "L", "LA", "P", "RGB", "RGBA", "I;16"]))
            yield f"many{i}.png", save(picture(rng, mode, *sizes()), "PNG", compress_level=int(rng.integers(0, 10)))
        elif kind == 1:
            mode = str(rng.choice(["L", "RGB", "RGB", "CMYK"]))
            o = {"subsampling": str(rng.choice(["4:4:4", "4:2:2", "4:2:0", "4:1:1"]))} if mode == "RGB" else {}
            yield f"many{i}.jpg", save(picture(rng, mode, *sizes()), "JPEG", quality=int(rng.integers(1, 100)), progressive=bool(rng.integers(0, 2)), optimize=bool(rng.integers(0, 2)), exif=exif(int(rng.integers(0, 10))), **o)
        elif kind == 2:
            yield f"many{i}.webp", save(picture(rng, str(rng.choice(["RGB", "RGBA"])), *sizes()), "WEBP", quality=int(rng.integers(0, 101)), lossless=bool(rng.integers(0, 2)), method=int(rng.integers(0, 7)))
        elif kind == 3:
            yield f"many{i}.gif", random_gif(rng) if i % 2 else save(picture(rng, "RGB", *sizes()), "GIF", interlace=int(rng.integers(0, 2)))
        elif kind == 4:
            yield f"many{i}.bmp", save(picture(rng, str(rng.choice(["1", "L", "P", "RGB", "RGBA"])), *sizes()), "BMP")
        else:
            mode = str(rng.choice(["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"]))
            yield f"many{i}.tif", save(picture(rng, mode, *sizes()), "TIFF", compression=[None, "tiff_lzw", "tiff_deflate", "packbits"][int(rng.integers(0, 4))])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--shared", type=pathlib.Path)
    parser.add_argument("--many", type=int, default=0)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(args.seed)
    made = many(rng, args.many) if args.many else (p for f in (pngs, jpegs, webps, gifs, bmps, tiffs) for p in f(rng))
    rows, skipped = {}, []
    for name, data in made:
        try:
            rows[name] = describe(data)
        except Exception as error:  # a form that this Pillow cannot read is no golden
            skipped.append(f"{name}: {error!r}")
            continue
        (args.out / name).write_bytes(data)
    table = {"pictures": rows}
    if args.shared:
        table["shared"] = {p.name: describe(p.read_bytes()) for p in sorted(args.shared.iterdir()) if p.suffix in (".jpg", ".png")}
    (args.out / "images.json").write_text(json.dumps(table, indent=0) + "\n")
    print(f"{len(rows)} pictures, {sum((args.out / n).stat().st_size for n in rows)} bytes; Pillow reads not: {skipped}")


main()
