"""Makes tests/data/checkpoint: a small checkpoint as Hugging Face Transformers 5.23 saves it, and the sum of every tensor.

    python3 tools/goldens/checkpoint.py tests/data/checkpoint
"""
import json
import pathlib
import sys

import torch
from transformers import VideoLlama3Config, VideoLlama3ForConditionalGeneration

out = pathlib.Path(sys.argv[1]) / "reference"
torch.manual_seed(7)
config = VideoLlama3Config(
    text_config=dict(model_type="qwen2", hidden_size=16, num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=2,
                     intermediate_size=24, vocab_size=60, tie_word_embeddings=False,
                     rope_parameters=dict(rope_type="yarn", rope_theta=1e6, factor=4.0, original_max_position_embeddings=8192)),
    vision_config=dict(hidden_size=8, intermediate_size=12, num_hidden_layers=1, num_attention_heads=2, patch_size=2),
    image_token_id=50, video_token_id=51, tie_word_embeddings=False)
model = VideoLlama3ForConditionalGeneration(config).float()
with torch.no_grad():
    for parameter in model.parameters():
        parameter.copy_(torch.randn(parameter.shape))
model.save_pretrained(out, max_shard_size="6KB")
sums = {name: float(value.double().sum()) for name, value in model.state_dict().items()}
(out / "expected.json").write_text(json.dumps({"sums": sums}, indent=1) + "\n")
