"""Makes tests/data/processor: what the reference's image processors put out for small random pictures.

    python tools/goldens/processor.py REFERENCE_HELPER_FOLDER OUT [--seed 3]
"""
import argparse
import json
import pathlib
import sys

parser = argparse.ArgumentParser()
parser.add_argument("helper", type=pathlib.Path)
parser.add_argument("out", type=pathlib.Path)
parser.add_argument("--seed", type=int, default=3)
args = parser.parse_args()
sys.path.insert(0, str(args.helper))
import hf  # noqa: E402,F401
import numpy as np  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from transformers import VideoLlama3ImageProcessor, VideoLlama3ImageProcessorPil  # noqa: E402

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
            row.update({"grid_thw": got["image_grid_thw"][0].tolist(), "patches": len(values), f"rows_{backend}": picked,
                        f"mean_{backend}": values.double().mean().item()})
            tensors[f"{name}.{low}.{high}.{backend}.rows"] = values[picked].clone()
        rows.append(row)
args.out.mkdir(parents=True, exist_ok=True)
save_file(tensors, args.out / "images.safetensors")
(args.out / "images.json").write_text(json.dumps(rows, indent=1) + "\n")
