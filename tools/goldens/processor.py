"""Makes tests/data/processor: what the reference's processors put out for small random pictures and clips, for sums of pixel
differences on the edge of the compression's threshold, and for whole conversations.

    python tools/goldens/processor.py REFERENCE_HELPER_FOLDER OUT [--seed 3] [--model models/tiny --media examples/media]

Without --model the conversations are left as they are.
"""
import argparse
import json
import pathlib
import sys

parser = argparse.ArgumentParser()
parser.add_argument("helper", type=pathlib.Path)
parser.add_argument("out", type=pathlib.Path)
parser.add_argument("--seed", type=int, default=3)
parser.add_argument("--model", type=pathlib.Path)
parser.add_argument("--media", type=pathlib.Path)
args = parser.parse_args()
sys.path.insert(0, str(args.helper))
import hf  # noqa: E402,F401
import numpy as np  # noqa: E402
import torch  # noqa: E402
from PIL import Image, ImageOps  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from transformers import (AutoProcessor, VideoLlama3ImageProcessor, VideoLlama3ImageProcessorPil,  # noqa: E402
                          VideoLlama3VideoProcessor)

args.out.mkdir(parents=True, exist_ok=True)


def images():
    rng = np.random.default_rng(args.seed)
    tensors, rows = {}, []
    for height, width in [(1, 2), (9, 40), (61, 33), (70, 140), (120, 90)]:
        pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        name = f"noise_{height}x{width}"
        tensors[f"{name}.input"] = torch.from_numpy(pixels)
        for low, high in [(784, 50176), (3136, 12544)]:
            row = dict(name=name, shortest_edge=low, longest_edge=high)
            for backend, cls in (("pil", VideoLlama3ImageProcessorPil), ("torchvision", VideoLlama3ImageProcessor)):
                processor = cls(size=dict(shortest_edge=low, longest_edge=high), image_mean=[.5] * 3, image_std=[.5] * 3)
                got = processor(images=[Image.fromarray(pixels)], return_tensors="pt")
                values = got["pixel_values"].float()
                picked = sorted(set(rng.integers(0, len(values), 3).tolist()))
                row.update({"grid_thw": got["image_grid_thw"][0].tolist(), "patches": len(values),
                            f"rows_{backend}": picked, f"mean_{backend}": values.double().mean().item()})
                tensors[f"{name}.{low}.{high}.{backend}.rows"] = values[picked].clone()
            rows.append(row)
    save_file(tensors, args.out / "images.safetensors")
    (args.out / "images.json").write_text(json.dumps(rows, indent=1) + "\n")


def options():
    """One picture under every option; of the result, sum and absolute sum and the first and last values."""
    rng = np.random.default_rng(args.seed + 1)
    pixels = rng.integers(0, 256, (45, 70, 3), dtype=np.uint8)
    rows = []
    for options in [dict(), dict(do_rescale=False), dict(do_normalize=False), dict(do_rescale=False, do_normalize=False),
                    dict(image_mean=[.48145466, .4578275, .40821073], image_std=[.26862954, .26130258, .27577711]),
                    dict(rescale_factor=1 / 127.5), dict(merge_size=2), dict(merge_size=3), dict(patch_size=16),
                    dict(temporal_patch_size=2), dict(patch_size=7, merge_size=2), dict(resample=0), dict(resample=2),
                    dict(resample=1), dict(resample=4), dict(resample=5), dict(image_mean=.25, image_std=.75),
                    dict(do_resize=False, patch_size=5)]:
        row = dict(options=options)
        for backend, cls in (("pil", VideoLlama3ImageProcessorPil), ("torchvision", VideoLlama3ImageProcessor)):
            if backend == "torchvision" and options.get("resample") in (1, 4, 5):
                continue
            got = cls(size=dict(shortest_edge=784, longest_edge=2500))(images=[Image.fromarray(pixels)], return_tensors="pt", **options)
            values = got["pixel_values"].float()
            row[backend] = dict(shape=list(values.shape), grid_thw=got["image_grid_thw"][0].tolist(), sum=values.double().sum().item(),
                                abs_sum=values.double().abs().sum().item(), weighted=(values.double().flatten() * torch.arange(
                                    values.numel(), dtype=torch.float64).remainder(97)).sum().item())
        rows.append(row)
    (args.out / "options.json").write_text(json.dumps(dict(size=[45, 70], pixels=pixels.tobytes().hex(), rows=rows)) + "\n")


def masks():
    """Frames that differ by amounts around the threshold, by exactly it where the settings allow."""
    rng = np.random.default_rng(args.seed + 2)
    tensors, rows = {}, []
    for i, (merge, deviation, height, width) in enumerate(
            [(1, .5, 56, 56), (2, .5, 56, 56), (5, .5, 70, 210), (3, .25, 42, 84), (4, .3, 56, 112), (2, .125, 56, 56)]):
        words = 588 * merge * merge
        edge = .1 * words * deviation             # the sum of differences of bytes at which a token is kept
        frames = [rng.integers(60, 190, (height, width, 3), dtype=np.uint8)]
        cell = 14 * merge
        for _ in range(4):
            frame = frames[-1].copy()
            for y in range(0, height, cell):
                for x in range(0, width, cell):
                    total = max(0, int(round(edge)) + int(rng.integers(-1, 2)))
                    block = frame[y:y + cell, x:x + cell].reshape(-1)
                    where = rng.choice(block.size, min(total, block.size), replace=False)
                    block[where] = block[where] + 1
                    block[:max(0, total - block.size)] += 1
                    frame[y:y + cell, x:x + cell] = block.reshape(cell, cell, 3)
            frames.append(frame)
        video = np.stack(frames)
        processor = VideoLlama3VideoProcessor(merge_size=merge, image_mean=[.5] * 3, image_std=[deviation] * 3, do_resize=False)
        got = processor(videos=[video], return_tensors="pt")
        tensors[f"{i}.frames"], tensors[f"{i}.mask"] = torch.from_numpy(video), got["video_compression_mask"].to(torch.uint8)
        rows.append(dict(merge_size=merge, image_std=deviation, kept=int(got["video_compression_mask"].sum()),
                         of=got["video_compression_mask"].numel()))
    save_file(tensors, args.out / "masks.safetensors")
    (args.out / "masks.json").write_text(json.dumps(rows, indent=1) + "\n")


def conversations():
    processor = AutoProcessor.from_pretrained(args.model)

    def text(s):
        return {"type": "text", "text": s}

    picture, clip = {"type": "image", "image": "shapes.png"}, {"type": "video", "video": "moving.mp4"}
    small = dict(shortest_edge=784, longest_edge=12544)

    def user(*content):
        return [{"role": "user", "content": list(content)}]

    def opened(x):
        if isinstance(x, list):
            return [opened(y) for y in x]
        if isinstance(x, dict):
            return {k: ImageOps.exif_transpose(Image.open(args.media / v)).convert("RGB") if k == "image" else
                    str(args.media / v) if k == "video" else opened(v) for k, v in x.items()}
        return x

    jobs = [
        (user(text("What color is a banana?")), {}),
        ([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi  there\n\n2024"}], {}),
        (user(picture, text("Describe this image.")), dict(images_kwargs=dict(size=small))),
        (user(text("First:"), picture, text("second:"), picture, text("?")), dict(images_kwargs=dict(size=dict(shortest_edge=196, longest_edge=3136)))),
        (user(clip, text("What happens?")), dict(videos_kwargs=dict(fps=2, do_sample_frames=True, size=small))),
        (user(clip, text("What happens?")), dict(videos_kwargs=dict(fps=3, do_sample_frames=True, use_token_compression=False, size=small))),
        ([user(picture, text("Both?"), clip), user(text("None"))],
         dict(images_kwargs=dict(size=small), videos_kwargs=dict(fps=1, do_sample_frames=True, size=small), text_kwargs=dict(padding=True, padding_side="left"))),
        ([user(clip), user(text("A longer text without anything to see. " * 5))],
         dict(videos_kwargs=dict(fps=1, do_sample_frames=True, size=small), text_kwargs=dict(padding=True, padding_side="right"))),
    ]
    lines = []
    for messages, settings in jobs:
        got = processor.apply_chat_template(opened(messages), add_generation_prompt=True, tokenize=True, return_dict=True,
                                            return_tensors="pt", processor_kwargs=json.loads(json.dumps(settings)))
        lines.append(json.dumps(dict(messages=messages, settings=settings, ids=got["input_ids"].tolist(),
                                     attention_mask=got["attention_mask"].tolist())) + "\n")
    (args.out / "conversations.jsonl").write_text("".join(lines))


images()
options()
masks()
if args.model:
    conversations()
