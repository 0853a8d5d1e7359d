"""The examples of the model's page: what follows the import is the same for the reference and for this package.

    page_example.py LIBRARY MODEL MEDIA OUT.npz [OPTIONS of generate as JSON]

LIBRARY is videollama3 or transformers. Writes what went into the model and what came out.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path


def conversations(media: Path) -> dict[str, list]:
    return {
        "video": [
            {"role": "system", "content": "You are a helpful assistant."},
            {
                "role": "user",
                "content": [
                    {"type": "video", "video": str(media / "moving.mp4")},
                    {"type": "text", "text": "What is in the video?"},
                ],
            },
        ],
        "image": [
            {
                "role": "user",
                "content": [
                    {"type": "image", "image": str(media / "shapes.png")},
                    {"type": "text", "text": "What is in the picture?"},
                ],
            },
        ],
        "text": [{"role": "user", "content": [{"type": "text", "text": "What color is a banana?"}]}],
    }


def run(library: object, model_path: str, media: Path, settings: dict) -> dict:
    import torch

    out = {}
    model = library.VideoLlama3ForConditionalGeneration.from_pretrained(model_path, dtype=torch.float32)
    model = model.eval()
    processor = library.AutoProcessor.from_pretrained(model_path)
    for name, conversation in conversations(media).items():
        inputs = processor.apply_chat_template(
            conversation,
            fps=2,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        ).to(model.device)
        output_ids = model.generate(**inputs, **settings)
        trimmed = [ids[len(prompt):] for prompt, ids in zip(inputs.input_ids, output_ids)]
        texts = processor.batch_decode(trimmed, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        with torch.no_grad():
            logits = model(**inputs).logits
        for key, value in inputs.items():
            if isinstance(value, torch.Tensor):
                out[f"{name}.{key}"] = value.numpy()
        out[f"{name}.output_ids"] = output_ids.numpy()
        out[f"{name}.logits"] = logits[:, -3:].float().numpy()
        out[f"{name}.text"] = texts
    return out


def read_pictures_by_pillow() -> None:
    """Where torchvision has no operators: the reference's files then come through Pillow, which decodes the same."""
    import torch
    import transformers.image_processing_backends as backends
    from PIL import Image
    from torchvision.transforms.functional import pil_to_tensor

    def load(path: str) -> torch.Tensor:
        return pil_to_tensor(Image.open(path).convert("RGB"))

    backends.load_image_as_tensor = load


def main() -> None:
    import numpy

    name, model, media, out = sys.argv[1:5]
    settings = json.loads(sys.argv[5]) if len(sys.argv) > 5 else {"max_new_tokens": 16, "do_sample": False}
    library = importlib.import_module("hf" if name == "transformers" else name)
    if name == "transformers":
        library = library.transformers
        read_pictures_by_pillow()
    numpy.savez(out, **run(library, model, Path(media), settings))


if __name__ == "__main__":
    main()
