"""The fast image processor of Hugging Face Transformers: prints what benchmark_processing prints.

usage: transformers_processing.py THREADS ROUNDS PICTURE...      needs torch, torchvision, transformers 5, pillow
"""
import io
import json
import pathlib
import statistics
import sys
import time

import torch
from PIL import Image
from transformers.models.video_llama_3.image_processing_video_llama_3 import VideoLlama3ImageProcessor

torch.set_num_threads(int(sys.argv[1]))
processor = VideoLlama3ImageProcessor()


def decode(data):
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB")


def measure(files, name):
    seconds, decoding = [], []
    for i in range(int(sys.argv[2]) + 1):
        start = time.perf_counter()
        pictures = [decode(data) for data in files]
        decoded = time.perf_counter()
        patches = processor(images=pictures, return_tensors="pt")["pixel_values"].shape[0]
        if i > 0:  # the first fills caches
            seconds.append(time.perf_counter() - start)
            decoding.append(decoded - start)
    print(json.dumps({"picture": name, "seconds": statistics.median(seconds), "decoding": statistics.median(decoding), "patches": patches}), flush=True)


files = [pathlib.Path(path).read_bytes() for path in sys.argv[3:]]
measure(files, "together")
for path, data in zip(sys.argv[3:], files):
    measure([data], path)
