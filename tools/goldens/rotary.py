"""Makes tests/data/model/rotary.json and position_ids.safetensors with Hugging Face Transformers.

    python tools/goldens/rotary.py OUT_FOLDER

rotary.json: cosines and sines of Qwen2RotaryEmbedding for every type of rope that the engine computes.
position_ids.safetensors: what models/tiny says of texts whose position_ids are not the columns.
"""
import json
import pathlib
import sys

import torch
from safetensors.torch import save_file
from transformers import AutoModelForImageTextToText
from transformers.models.qwen2.configuration_qwen2 import Qwen2Config
from transformers.models.qwen2.modeling_qwen2 import Qwen2RotaryEmbedding

POSITIONS = [0, 1, 2, 7, 63, 64, 100, 1000]
CASES = {
    "default": {"rope_type": "default", "rope_theta": 10000.0},
    "linear": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0},
    "dynamic_short": {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0},
    "dynamic_long": {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0},
    "yarn": {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 64},
    "yarn_all": {"rope_type": "yarn", "rope_theta": 1e6, "factor": 8.0, "original_max_position_embeddings": 64,
                 "beta_fast": 16.0, "beta_slow": 2.0, "mscale": 0.7, "mscale_all_dim": 1.3, "truncate": False},
    "yarn_factor": {"rope_type": "yarn", "rope_theta": 1e4, "factor": 2.0, "original_max_position_embeddings": 128,
                    "attention_factor": 1.25},
}


def rotary(name, rope):
    limit = 2048 if name == "dynamic_short" else 256
    config = Qwen2Config(hidden_size=32, num_attention_heads=2, max_position_embeddings=limit, rope_parameters=rope)
    embedding = Qwen2RotaryEmbedding(config)
    cos, sin = embedding(torch.zeros(1), torch.tensor([POSITIONS]))
    half = cos.shape[-1] // 2
    return {"rope_parameters": rope, "max_position_embeddings": limit, "head_dim": cos.shape[-1],
            "positions": POSITIONS, "cos": cos[0, :, :half].tolist(), "sin": sin[0, :, :half].tolist()}


def positions(root):
    model = AutoModelForImageTextToText.from_pretrained(root / "models/tiny", dtype=torch.float32).eval()
    ids = torch.tensor([[5, 17, 301, 42, 9, 77], [8, 8, 250, 3, 64, 11]])
    mask = torch.tensor([[1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1]])
    given = torch.tensor([[0, 1, 5, 6, 40, 300], [0, 0, 9, 4, 4, 0]])
    with torch.no_grad():
        hidden = model.model.language_model(input_ids=ids, attention_mask=mask, position_ids=given).last_hidden_state
    return {"in.input_ids": ids, "in.attention_mask": mask, "in.position_ids": given,
            "out.text.norm.0": hidden.contiguous()}


def main():
    out = pathlib.Path(sys.argv[1])
    root = pathlib.Path(__file__).resolve().parents[2]
    rows = {name: rotary(name, rope) for name, rope in CASES.items()}
    (out / "rotary.json").write_text(json.dumps(rows))
    save_file(positions(root), out / "position_ids.safetensors")


if __name__ == "__main__":
    main()
