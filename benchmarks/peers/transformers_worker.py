"""Hugging Face Transformers beside us: reads a task a line from standard input, answers with seconds a line.

usage: transformers_worker.py MODEL THREADS bf16|f32      needs torch and transformers 5

Tasks: "load", "encode FRAMES HEIGHT WIDTH" (pixels; clips are merged 2 x 2), "prefill TOKENS last|all" (which logits), "decode CONTEXT BATCH STEPS" (seconds of a
step). Weights are of the type named, in anonymous memory. Each shape is run once before it is timed.
"""
import sys
import time

import torch
from transformers import DynamicCache, VideoLlama3ForConditionalGeneration


DTYPES = {"bf16": torch.bfloat16, "f32": torch.float32}


def load(folder, dtype):
    return VideoLlama3ForConditionalGeneration.from_pretrained(folder, dtype=dtype, attn_implementation="sdpa").eval()


def timed(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


class Worker:
    def __init__(self, folder, dtype):
        self.folder, self.dtype = folder, dtype
        self.model = load(folder, dtype)
        tied = self.model.lm_head.weight is self.model.model.language_model.embed_tokens.weight
        for parameter in self.model.parameters():
            parameter.data = parameter.data.clone()  # out of the file's mapping
        if tied:
            self.model.tie_weights()
        self.warm = set()

    def run(self, line, work):
        if line not in self.warm:
            self.warm.add(line)
            work()
        return timed(work)

    def load(self, line):
        def work():
            model = load(self.folder, self.dtype)
            sum(float(p.view(-1)[::1024].float().sum()) for p in model.parameters())  # every page
        return timed(work)

    def encode(self, line, frames, height, width):
        merge = 2 if int(frames) > 1 else 1
        grid = [int(frames)] + [int(side) // (14 * merge) * merge for side in (height, width)]
        pixels = torch.randn(grid[0] * grid[1] * grid[2], 588, dtype=self.dtype)
        return self.run(line, lambda: self.model.model.get_image_features(pixels, torch.tensor([grid]), torch.tensor([merge])))

    def prefill(self, line, tokens, logits):
        ids = torch.arange(int(tokens))[None]
        return self.run(line, lambda: self.model(input_ids=ids, use_cache=True, logits_to_keep=1 if logits == "last" else 0))

    def decode(self, line, context, batch, steps):
        text, context, batch, steps = self.model.model.language_model, int(context), int(batch), int(steps)
        config = text.config
        shape = (batch, config.num_key_value_heads, context, config.hidden_size // config.num_attention_heads)
        cache = DynamicCache(config=config)
        for layer in range(config.num_hidden_layers):
            cache.update(torch.randn(shape, dtype=self.dtype), torch.randn(shape, dtype=self.dtype), layer)
        token = torch.full((batch, 1), 5)

        def work():
            for _ in range(steps):
                hidden = text(input_ids=token, past_key_values=cache, use_cache=True).last_hidden_state
                self.model.lm_head(hidden).argmax(-1)
            cache.crop(-steps)
        return self.run(line, work) / steps


def main():
    torch.set_num_threads(int(sys.argv[2]))
    worker = Worker(sys.argv[1], DTYPES[sys.argv[3]])
    print("ready", flush=True)
    with torch.inference_mode():
        for line in sys.stdin:
            name, *arguments = line.split()
            print(getattr(worker, name)(line, *arguments), flush=True)


if __name__ == "__main__":
    main()
