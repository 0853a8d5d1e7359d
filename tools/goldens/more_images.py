#!/usr/bin/env python3
"""Makes the small pictures of tests/data/media/more_pictures and what Pillow decodes from them, in images.json.

    more_images.py OUT_FOLDER

Needs Pillow 13 with pillow-heif and pillow-jxl-plugin. images.json maps each name to {"mode", "size": [width, height],
"frames", "fnv": of the RGB bytes with the EXIF orientation applied, "fnv_stored": without}. Where lossy decoders of
other versions round otherwise, "within" is the largest difference, and NAME.png beside the file holds Pillow's pixels.
"""
import io
import json
import pathlib
import random
import struct
import sys
import tempfile
import warnings

import numpy as np
import pillow_heif
import pillow_jxl  # noqa: F401 (registers itself)
from PIL import Image, ImageOps

pillow_heif.register_heif_opener()
warnings.simplefilter("ignore")
rng = np.random.default_rng(5)
random.seed(5)


def fnv(data):
    h = 0xCBF29CE484222325
    for byte in data:
        h = ((h ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{h:016x}"


def noise(n):
    return rng.integers(0, 256, n).astype(np.uint8).tobytes()


def picture(mode, w, h):
    bands = {"1": 1, "L": 1, "P": 1, "LA": 2, "RGB": 3, "RGBA": 4}[mode]
    y, x = np.mgrid[0:h, 0:w]
    a = np.stack([(x * (5 + c) + y * (3 + 2 * c)) * 2 + c * 40 for c in range(bands)], -1)
    a = ((a // 24) * 24 + rng.integers(0, 4, a.shape)) % 256
    if mode == "1":
        return Image.fromarray(((a[..., 0] > 127) * 255).astype(np.uint8)).convert("1")
    if mode == "P":
        im = Image.fromarray((a[..., 0] % 64).astype(np.uint8), "P")
        im.putpalette(noise(64 * 3))
        return im
    return Image.fromarray(a.astype(np.uint8)[..., 0] if bands == 1 else a.astype(np.uint8), mode)


def save(im, kind, **options):
    b = io.BytesIO()
    im.save(b, kind, **options)
    return b.getvalue()


def exif(orientation):
    e = Image.Exif()
    e[0x0112] = orientation
    return e.tobytes()


def pnms():
    plain = lambda values: b" ".join(b"%d" % v for v in values) + b"\n"
    yield "pnm_plain_bits.pbm", b"P1\n# bits\n7 3\n" + b"010 1101\n1111111 0000000\n"
    yield "pnm_plain_grey.pgm", b"P2 5 4 #comment\n7\n" + plain(rng.integers(0, 8, 20))
    yield "pnm_plain_grey16.pgm", b"P2 5 4 1000\n" + plain(rng.integers(0, 9, 20))
    yield "pnm_plain_colours.ppm", b"P3\n5 4\n255\n" + plain(rng.integers(0, 256, 60)).replace(b" ", b" # c\n", 3)
    yield "pnm_plain_colours16.ppm", b"P3\n5 4\n65535\n" + plain(rng.integers(0, 65536, 60))
    yield "pnm_bits.pbm", b"P4 11 3\n" + noise(6)
    yield "pnm_grey.pgm", b"P5 5 4 255\n" + noise(20)
    yield "pnm_grey100.pgm", b"P5 5 4 100\n" + noise(20)
    yield "pnm_grey12.pgm", b"P5 5 4 4095\n" + (rng.integers(0, 40, 20)).astype(">u2").tobytes()
    yield "pnm_grey16.pgm", b"P5 5 4 65535\n" + (rng.integers(0, 400, 20)).astype(">u2").tobytes()
    yield "pnm_colours.ppm", b"P6\n#a\n#b\n5\n4\n255\n" + noise(60)
    yield "pnm_colours10.ppm", b"P6 5 4 1023\n" + rng.integers(0, 1024, 60).astype(">u2").tobytes()
    yield "pnm_cmyk.ppm", b"P0CMYK\n5 4\n255\n" + noise(80)
    floats = np.array([-1, 0, 0.5, 1, 99.9, 255, 256, np.nan, np.inf, -np.inf, 7, 8], np.float32)
    yield "pnm_floats.pfm", b"Pf\n4 3\n-1.0\n" + floats.astype("<f4").tobytes()
    yield "pnm_floats_be.pfm", b"Pf\n4 3\n2.5\n" + floats.astype(">f4").tobytes()


def bitmap(mode, w, h, rows=1):
    b = save(picture(mode, w, h), "DIB")
    return b[:8] + struct.pack("<I", 2 * h // rows) + b[12:]


def icons():
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        yield f"dib_{mode}.dib", save(picture(mode, 13, 6), "DIB")
        mask = b"" if mode == "RGBA" else noise(4 * 8)
        bits = {"1": 1, "L": 8, "P": 8, "RGB": 24, "RGBA": 32}[mode]
        body = bitmap(mode, 17, 8) + mask
        yield f"ico_{mode}.ico", struct.pack("<HHHBBBBHHII", 0, 1, 1, 17, 8, 0, 0, 1, bits, len(body), 22) + body
        # A grey cursor is a mask and a picture, one above the other.
        body = bitmap(mode, 16, 16, 2) if mode in "1L" else bitmap(mode, 16, 8) + noise(32)
        yield f"cur_{mode}.cur", struct.pack("<HHHBBBBHHII", 0, 2, 1, 16, 8, 0, 0, 1, 1, len(body), 22) + body
    small, large = save(picture("RGB", 8, 8), "PNG"), save(picture("RGBA", 20, 20), "PNG")
    entries = struct.pack("<BBBBHHII", 8, 8, 0, 0, 1, 32, len(small), 38)
    entries += struct.pack("<BBBBHHII", 20, 20, 0, 0, 1, 32, len(large), 38 + len(small))
    yield "ico_two_pngs.ico", struct.pack("<HHH", 0, 1, 2) + entries + small + large


def tgas():
    for mode in ("L", "LA", "RGB", "RGBA", "P"):
        for runs in (None, "tga_rle"):
            yield f"tga_{mode}{'_runs' if runs else ''}.tga", save(picture(mode, 19, 7), "TGA", compression=runs)
    for order in range(4):
        head = struct.pack("<BBBHHBHHHHBB", 3, 0, 2, 0, 0, 0, 0, 0, 9, 5, 24, order << 4)
        yield f"tga_order{order}.tga", head + b"abc" + noise(9 * 5 * 3)
    yield "tga_16.tga", struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, 9, 5, 16, 0) + noise(90)
    yield "tga_bits.tga", struct.pack("<BBBHHBHHHHBB", 0, 0, 3, 0, 0, 0, 0, 0, 9, 5, 1, 32) + noise(10)
    for depth in (16, 24, 32):
        head = struct.pack("<BBBHHBHHHHBB", 0, 1, 1, 3, 60, depth, 0, 0, 9, 5, 8, 0)
        yield f"tga_map{depth}.tga", head + noise(60 * depth // 8) + bytes(v % 70 for v in noise(45))


def qois():
    yield "qoi_rgb.qoi", save(picture("RGB", 23, 9), "QOI")
    yield "qoi_rgba.qoi", save(picture("RGBA", 23, 9), "QOI")
    ops = b"\xfe\x01\x02\x03\xff\x09\x08\x07\x06\x40\x7f\x6a\x80\x00\xbf\xff\x9f\x88\x05\x35\xc0\xd0" + bytes(range(64))
    yield "qoi_operations.qoi", b"qoif" + struct.pack(">IIBB", 9, 10, 4, 0) + ops + b"\0" * 7 + b"\1"


def pcxs():
    for mode in ("1", "L", "P", "RGB"):
        yield f"pcx_{mode}.pcx", save(picture(mode, 21, 9), "PCX")
    for planes, version in ((2, 3), (4, 5)):
        head = bytearray(128)
        head[:12] = struct.pack("<4B4H", 10, version, 1, 1, 2, 3, 22, 9)
        head[16:64] = noise(48)
        head[65], head[66] = planes, 4
        body = b"".join(b"\xc1" + noise(1) for _ in range(7 * planes * 4))
        yield f"pcx_planes{planes}.pcx", bytes(head) + body
    yield "pcx_narrow.pcx", save(picture("RGB", 3, 5), "PCX")


def sgis():
    for mode in ("L", "RGB", "RGBA"):
        for size in (1, 2):
            yield f"sgi_{mode}{8 * size}.sgi", save(picture(mode, 13, 7), "SGI", bpc=size)
    for size in (1, 2):
        pad = lambda count: bytes(size - 1) + bytes([count])
        row = pad(128 + 4) + noise(4 * size) + pad(9) + noise(size) + pad(0)
        head = struct.pack(">HBBHHHH", 474, 1, size, 3, 13, 5, 3).ljust(512, b"\0")
        starts = [512 + 8 * 15 + len(row) * i for i in range(15)]
        yield f"sgi_runs{8 * size}.sgi", head + struct.pack(">15I", *starts) + struct.pack(">15I", *[len(row)] * 15) + row * 15


def dds(w, h, flags, four=b"\0\0\0\0", bits=0, masks=(0, 0, 0, 0), body=b""):
    head = b"DDS " + struct.pack("<7I", 124, 0x1007, h, w, 0, 0, 0) + b"\0" * 44
    return head + struct.pack("<2I4s5I", 32, flags, four, bits, *masks) + struct.pack("<5I", 0x1000, 0, 0, 0, 0) + body


def textures():
    for four in (b"DXT1", b"DXT3", b"DXT5", b"ATI1", b"ATI2", b"BC5S"):
        yield f"dds_{four.decode()}.dds", dds(10, 6, 4, four, body=noise(3 * 2 * 16))
    for code in (71, 74, 77, 80, 83, 84, 28):
        body = struct.pack("<5I", code, 3, 0, 1, 0) + noise(10 * 6 * 4)
        yield f"dds_dxgi{code}.dds", dds(10, 6, 4, b"DX10", body=body)
    for bits, masks in ((16, (0xF800, 0x7E0, 0x1F, 0)), (24, (0xFF0000, 0xFF00, 0xFF, 0)), (32, (0x3FF, 0xFFC00, 0x3FF00000, 0))):
        yield f"dds_masks{bits}.dds", dds(5, 3, 0x40, bits=bits, masks=masks, body=noise(15 * bits // 8))
    yield "dds_grey.dds", dds(5, 3, 0x20000, bits=8, body=noise(15))
    yield "dds_grey_alpha.dds", dds(5, 3, 0x20001, bits=16, body=noise(30))
    yield "dds_palette.dds", dds(5, 3, 0x20, body=noise(1024 + 15))


def bptc_textures():
    """Every mode and partition of BC7 and BC6H (its undefined modes too); a size that cuts blocks, smaller levels behind."""
    own = np.random.default_rng(8)
    bits = own.integers(0, 256, (8, 64, 16)).astype(np.uint8)
    for mode in range(8):
        after = 0xFF >> (mode + 1) << (mode + 1)
        bits[mode, :, 0] = bits[mode, :, 0] & after | 1 << mode
        if mode in (0, 1, 2, 3, 7):
            for partition in range(64):
                word = int.from_bytes(bits[mode, partition, :2].tobytes(), "little")
                word = word & ~(63 << (mode + 1)) | partition << (mode + 1)
                bits[mode, partition, :2] = list(word.to_bytes(2, "little"))
    bits[7, 63] = 0
    yield "dds_dxgi98.dds", dds(127, 62, 4, b"DX10", body=struct.pack("<5I", 98, 3, 0, 1, 0) + bits.tobytes() + b"\1" * 64)
    for code in (95, 96):
        bits = own.integers(0, 256, (16, 32, 16)).astype(np.uint8)
        for mode in range(16):
            number, width = (mode, 3) if mode < 2 else ((mode - 2) << 2 | 2, 31) if mode < 10 else ((mode - 10) << 2 | 3, 31)
            bits[mode, :, 0] = bits[mode, :, 0] & (255 - width) | number
            for partition in range(32):
                word = int.from_bytes(bits[mode, partition].tobytes(), "little") & ~(31 << 77) | partition << 77
                bits[mode, partition] = list(word.to_bytes(16, "little"))
        yield f"dds_dxgi{code}.dds", dds(128, 64, 4, b"DX10", body=struct.pack("<5I", code, 3, 0, 1, 0) + bits.tobytes())


def avifs():
    for mode in ("L", "RGB", "RGBA"):
        for sub in ("4:4:4", "4:2:2", "4:2:0", "4:0:0"):
            if mode != "L" or sub == "4:0:0":
                yield f"avif_{mode}{sub.replace(':', '')}.avif", save(picture(mode, 33, 21), "AVIF", subsampling=sub, quality=60, speed=8)
    yield "avif_limited.avif", save(picture("RGB", 33, 21), "AVIF", range="limited", quality=60, speed=8)
    yield "avif_orientation6.avif", save(picture("RGB", 33, 21), "AVIF", exif=exif(6), quality=60, speed=8)
    frames = [picture("RGB", 16, 16) for _ in range(3)]
    yield "avif_animated.avif", save(frames[0], "AVIF", save_all=True, append_images=frames[1:], quality=40, speed=8)


def heifs():
    for mode in ("L", "RGB", "RGBA"):
        for chroma in (420, 422, 444):
            if mode == "RGB" or chroma == 420:
                yield f"heif_{mode}{chroma}.heic", save(picture(mode, 34, 22), "HEIF", quality=60, chroma=chroma)
    nclx = dict(matrix_coefficients=1, full_range_flag=0, color_primaries=1)
    yield "heif_limited.heic", save(picture("RGB", 34, 22), "HEIF", quality=60, chroma=420, **nclx)
    yield "heif_turned.heic", save(picture("RGB", 34, 22), "HEIF", quality=60, chroma=420, exif=exif(6))
    yield "heif_tiles.heic", save(picture("RGB", 80, 70), "HEIF", quality=40, chroma=420, grid_tile_size=64)


def jxls():
    for mode in ("L", "LA", "RGB", "RGBA"):
        yield f"jxl_{mode}.jxl", save(picture(mode, 21, 13), "JXL", lossless=True)
    yield "jxl_grey16.jxl", save(Image.fromarray(rng.integers(0, 400, (7, 9)).astype(np.uint16)), "JXL", lossless=True)
    yield "jxl_box.jxl", save(picture("RGB", 21, 13), "JXL", lossless=True, use_container=True)
    yield "jxl_exif.jxl", save(picture("RGB", 21, 13), "JXL", lossless=True, use_container=True, exif=exif(6))
    yield "jxl_lossy.jxl", save(picture("RGB", 40, 30), "JXL", quality=80)
    with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        picture("RGB", 33, 21).save(file.name, quality=80, exif=exif(6))
        yield "jxl_jpeg.jxl", save(Image.open(file.name), "JXL", lossless_jpeg=True)


def jpeg2000s():
    for mode in ("L", "LA", "RGB", "RGBA"):
        yield f"jp2_{mode}.jp2", save(picture(mode, 21, 13), "JPEG2000")
    yield "jp2_grey16.jp2", save(Image.fromarray(rng.integers(0, 400, (7, 9)).astype(np.uint16)), "JPEG2000")
    yield "jp2_lossy.jp2", save(picture("RGB", 40, 30), "JPEG2000", irreversible=True, quality_mode="rates", quality_layers=[8], mct=1)
    yield "jp2_stream.j2k", save(picture("RGB", 40, 30), "JPEG2000", no_jp2=True, tile_size=(16, 16))


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    rows = {}
    for made in (pnms, icons, tgas, qois, pcxs, sgis, textures, avifs, heifs, jxls, jpeg2000s, bptc_textures):
        for name, data in made():
            open_it = lambda: Image.open(io.BytesIO(data))
            im = open_it()
            stored, upright = open_it().convert("RGB"), ImageOps.exif_transpose(open_it()).convert("RGB")
            rows[name] = {"mode": im.mode, "size": list(upright.size), "frames": getattr(im, "n_frames", 1),
                          "fnv": fnv(upright.tobytes()), "fnv_stored": fnv(stored.tobytes())}
            (out / name).write_bytes(data)
            if name in ("jxl_lossy.jxl", "heif_RGB420.heic", "heif_RGBA420.heic", "heif_tiles.heic"):
                rows[name]["within"] = 1
                stored.save(out / (name + ".png"), optimize=True)
    (out / "images.json").write_text(json.dumps(rows, indent=0) + "\n")
    print(f"{len(rows)} pictures, {sum((out / n).stat().st_size for n in rows)} bytes")


main()
