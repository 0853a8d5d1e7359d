#!/usr/bin/env python3
"""Makes the small clips of tests/data/media/formats and what is in them, in clips.json.

    clips.py OUT_FOLDER [--shared FOLDER_OF_CLIPS]

Needs ffmpeg (which makes them), PyAV 18.1 (whose frames are right) and Pillow (for animated WebP, which PyAV
does not decode). clips.json maps each name to {"frames", "size": [width, height], "fnv": 64-bit FNV-1a over the
RGB bytes of all frames in order}; animated pictures also have "times": seconds. --shared adds "shared": the same
of the clips of that folder that PyAV reads.
"""
import argparse
import json
import pathlib
import subprocess

import av
from PIL import Image, ImageSequence

SIZE = "32x24"
CUT, X265 = "-s 96x48 -bsf:v {0}_metadata", "info=0:log-level=none"
# name: what ffmpeg is told
CLIPS = {
    "qtrle.mov": "-c:v qtrle", "cinepak.mov": "-c:v cinepak", "svq1.mov": "-c:v svq1", "v210.mov": "-c:v v210",
    "prores.mov": "-c:v prores", "jpeg2000.mov": "-c:v jpeg2000", "raw555.mov": "-c:v rawvideo -pix_fmt rgb555be",
    "magicyuv.avi": "-c:v magicyuv", "huffyuv.avi": "-c:v huffyuv", "zmbv.avi": "-c:v zmbv",
    "mpeg4.nut": "-c:v mpeg4", "av1.obu": "-c:v libaom-av1 -cpu-used 8 -crf 50", "flashsv.flv": "-c:v flashsv",
    "clip.rm": "-c:v rv20 -s 128x96", "clip.asf": "-c:v wmv2", "clip.mpg": "-c:v mpeg1video -r 25",
    "ten_top.mp4": "-c:v libx264 -pix_fmt yuv420p10le -x264-params chromaloc=2",
    "ten_422.mkv": "-c:v ffv1 -pix_fmt yuv422p10le -chroma_sample_location left",
    "interlaced.ts": "-c:v mpeg2video -flags +ildct+ilme -top 1 -vf setfield=tff -r 25",
    "cut.mp4": f"-c:v libx264 {CUT.format('h264')}=crop_left=6:crop_right=4:crop_top=2:crop_bottom=8",
    "cut_ten.ts": f"-c:v libx264 -pix_fmt yuv420p10le {CUT.format('h264')}=crop_left=34",
    "cut_odd.mkv": f"-c:v libx264 -pix_fmt yuv444p {CUT.format('h264')}=crop_left=3:crop_top=1:crop_right=5",
    "cut_hevc.mp4": f"-c:v libx265 -x265-params {X265} {CUT.format('hevc')}=crop_left=16:crop_top=6",
    "cut_hevc_ten.mkv": f"-c:v libx265 -pix_fmt yuv420p10le -x265-params {X265} {CUT.format('hevc')}=crop_left=2",
}


def fnv(data, h=0xCBF29CE484222325):
    for byte in data:
        h = ((h ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return h


def of_frames(frames):
    h, count, size = 0xCBF29CE484222325, 0, None
    for pixels in frames:
        h, count, size = fnv(pixels.tobytes(), h), count + 1, [pixels.shape[1], pixels.shape[0]]
    return {"frames": count, "size": size, "fnv": f"{h:016x}"}


def decoded(path):
    with av.open(str(path)) as container:
        return of_frames(frame.to_ndarray(format="rgb24") for frame in container.decode(container.streams.video[0]))


def animation(path, suffix, durations):
    """Translucent, in parts of the canvas, with uneven durations."""
    frames = []
    for i in range(len(durations)):
        frame = Image.new("RGBA", (20, 14), (0, 0, 0, 0))
        frame.paste((40 * i, 200 - 30 * i, 90, 255 - 20 * i), (2 * i, i, 2 * i + 9, i + 8))
        frames.append(frame)
    more = {"lossless": True} if suffix == "webp" else {"disposal": 1}
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations, loop=0, **more)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--shared", type=pathlib.Path)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    found = {}
    for name, told in CLIPS.items():
        path = args.out / name
        subprocess.run(["ffmpeg", "-loglevel", "error", "-y", "-f", "lavfi", "-i", f"testsrc2=s={SIZE}:r=10:d=0.2",
                        *told.split(), "-fflags", "+bitexact", str(path)], check=True)
        found[name] = decoded(path)
    for suffix, durations in (("webp", [100, 300, 50, 50]), ("png", [100, 100, 100])):
        path = args.out / f"animated.{suffix}"
        animation(path, suffix, durations)
        if suffix == "webp":
            import numpy
            with Image.open(path) as image:
                found[path.name] = of_frames(numpy.asarray(f.convert("RGB")) for f in ImageSequence.Iterator(image))
        else:
            found[path.name] = decoded(path)
        found[path.name]["times"] = [sum(durations[:i]) / 1000 for i in range(len(durations))]
    result = {"clips": found}
    if args.shared:
        result["shared"] = {}
        for path in sorted(p for p in args.shared.iterdir() if p.is_file()):
            try:
                result["shared"][path.name] = decoded(path)
            except Exception:  # no clip, for PyAV
                continue
    (args.out / "clips.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
