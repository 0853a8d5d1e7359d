"""Training steps of Hugging Face Transformers: prints one JSON object, seconds and loss of every step and the peak memory.

usage: transformers_training.py MODEL SAMPLE f32|bf16|bf16-masters STEPS THREADS [--make TOKENS]      needs torch, transformers 5, safetensors

Weights and AdamW's state are f32 (PyTorch's fused AdamW); bf16 is autocast, as our bf16 keeps f32 weights for the optimizer;
with bf16-masters weights and state are bf16. Attention is sdpa. With --make
SAMPLE is written first and nothing runs: one sample of TOKENS tokens, half of them a picture's, a token a patch; every token of text is a label.
"""
import json
import math
import resource
import sys
import time

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, VideoLlama3ForConditionalGeneration


def make_sample(model, sample, tokens):
    config = AutoConfig.from_pretrained(model)
    torch.manual_seed(1)
    side = math.isqrt(tokens // 2)
    ids = torch.randint(16, config.text_config.vocab_size, (1, tokens))
    ids[0, 8:8 + side * side] = config.image_token_id
    save_file({"in.input_ids": ids, "in.attention_mask": torch.ones_like(ids),
               "in.labels": torch.where(ids == config.image_token_id, -100, ids),
               "in.pixel_values": torch.randn(side * side, 3 * config.vision_config.patch_size ** 2),
               "in.image_grid_thw": torch.tensor([[1, side, side]]), "in.image_merge_sizes": torch.tensor([1])}, sample)


def main():
    model_path, sample, dtype, steps, threads = sys.argv[1:6]
    if sys.argv[6:7] == ["--make"]:
        return make_sample(model_path, sample, int(sys.argv[7]))
    torch.set_num_threads(int(threads))
    model = VideoLlama3ForConditionalGeneration.from_pretrained(model_path, attn_implementation="sdpa",
        dtype=torch.bfloat16 if dtype == "bf16-masters" else torch.float32).train()
    inputs = {name.removeprefix("in."): tensor.to(model.dtype) if tensor.is_floating_point() else tensor for name, tensor in load_file(sample).items()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.01, fused=True)
    seconds, losses = [], []
    for _ in range(int(steps)):
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bf16"):
            loss = model(**inputs).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.perf_counter() - start)
        losses.append(loss.item())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"parameters": sum(p.numel() for p in model.parameters()), "seconds": seconds, "losses": losses, "peak_rss_bytes": peak}))


if __name__ == "__main__":
    main()
