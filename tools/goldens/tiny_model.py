"""Makes models/tiny, the untrained checkpoint that the demo and the tests run, and the reference's answers for it.

    python tools/goldens/tiny_model.py REFERENCE_HELPER_FOLDER OUT_MODEL OUT_GOLDENS [--seed 7]

REFERENCE_HELPER_FOLDER holds hf.py, which prepares Hugging Face Transformers on a CPU-only machine and makes random models.
Needs transformers, torch, tokenizers, safetensors.
OUT_MODEL    a whole checkpoint folder: a byte-level BPE of 600 pieces, processors, random bf16 weights
OUT_GOLDENS  forward.safetensors (in.*, out.* of a mixed batch), generate.jsonl (settings, new ids)
"""
import argparse
import json
import pathlib
import random
import sys

parser = argparse.ArgumentParser()
parser.add_argument("helper", type=pathlib.Path)
parser.add_argument("model", type=pathlib.Path)
parser.add_argument("goldens", type=pathlib.Path)
parser.add_argument("--seed", type=int, default=7)
args = parser.parse_args()
sys.path.insert(0, str(args.helper))
import hf  # noqa: E402
import torch  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers  # noqa: E402

SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
TEMPLATE = """{% for message in messages -%}
<|im_start|>{{ message.role }}
{% if message.content is string -%}
{{ message.content }}
{%- else -%}
{% for part in message.content -%}
{% if part is string %}{{ part }}
{%- elif part.type == 'image' %}<|image_pad|>{{ '\\n' }}
{%- elif part.type == 'video' %}<|video_pad|>{{ '\\n' }}
{%- else %}{{ part.text }}
{%- endif %}
{%- endfor %}
{%- endif -%}
<|im_end|>
{% endfor -%}
{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
WORDS = ("a the is are there red green blue yellow black white circle square triangle star left right above below of in and what how many "
         "colour shape picture clip moves appears user assistant describe this image video happened time one two three four five").split()
PIXELS = dict(do_convert_rgb=True, do_normalize=True, do_rescale=True, do_resize=True, image_mean=[.5, .5, .5], image_std=[.5, .5, .5],
              patch_size=14, resample=3, rescale_factor=1 / 255, temporal_patch_size=1, processor_class="VideoLlama3Processor")

rng = random.Random(args.seed)
args.model.mkdir(parents=True, exist_ok=True)
args.goldens.mkdir(parents=True, exist_ok=True)


def write(name, value):
    (args.model / name).write_text(value if isinstance(value, str) else json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def make_tokenizer():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(SPLIT), "isolated"),
                                                       pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=600, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False)
    tokenizer.train_from_iterator((" ".join(rng.choice(WORDS) for _ in range(12)) for _ in range(4000)), trainer)
    tokenizer.add_special_tokens(SPECIALS)
    tokenizer.save(str(args.model / "tokenizer.json"))
    return {name: tokenizer.token_to_id(name) for name in SPECIALS}


ids = make_tokenizer()
config = hf.tiny_config(hidden=64, heads=4, kv_heads=2, mlp=160, vocab=640, v_hidden=72, v_mlp=144,
                        image_token=ids["<|image_pad|>"], video_token=ids["<|video_pad|>"])
config.text_config.pad_token_id = config.text_config.bos_token_id = ids["<|endoftext|>"]
config.text_config.eos_token_id = ids["<|im_end|>"]
model = hf.random_model(config, args.seed).to(torch.bfloat16)
model.tie_weights()
model.save_pretrained(args.model)
write("chat_template.jinja", TEMPLATE)
write("tokenizer_config.json", dict(eos_token="<|im_end|>", pad_token="<|endoftext|>", tokenizer_class="Qwen2Tokenizer", clean_up_tokenization_spaces=False,
                                    added_tokens_decoder={str(i): dict(content=n, lstrip=False, normalized=False, rstrip=False, single_word=False, special=True) for n, i in ids.items()}))
write("generation_config.json", dict(do_sample=False, eos_token_id=[ids["<|im_end|>"], ids["<|endoftext|>"]], pad_token_id=ids["<|endoftext|>"]))
write("preprocessor_config.json", dict(PIXELS, image_processor_type="VideoLlama3ImageProcessor", merge_size=1, size=dict(shortest_edge=3136, longest_edge=200704)))
write("video_preprocessor_config.json", dict(PIXELS, video_processor_type="VideoLlama3VideoProcessor", merge_size=2, size=dict(shortest_edge=12544, longest_edge=802816),
                                             min_frames=4, max_frames=180, do_sample_frames=True, fps=1, use_token_compression=True, return_metadata=True))
write("processor_config.json", dict(processor_class="VideoLlama3Processor"))

# ---- goldens: a ragged batch, padded left, of a picture, a clip and text
generator = torch.Generator().manual_seed(args.seed)
half = model.state_dict()
model = type(model)(config).eval()      # anew, so that buffers (rotary frequencies) have never been bf16
model.load_state_dict({k: v.float() for k, v in half.items()})
model.tie_weights()
image, video, pad = config.image_token_id, config.video_token_id, config.text_config.pad_token_id
words = lambda n: [rng.randrange(10, 500) for _ in range(n)]
keep = torch.rand(3 * 2 * 3, generator=generator) < .6
keep[[0, 6, 12]] = True
frames = sum(([*words(2)] + [video] * n for n in keep.view(3, -1).sum(1).tolist()), [])
rows = [words(3) + [image] * 20 + words(5), words(2) + frames + words(7), words(9)]
width = max(map(len, rows))
case = dict(input_ids=torch.tensor([[pad] * (width - len(r)) + r for r in rows]), attention_mask=torch.tensor([[0] * (width - len(r)) + [1] * len(r) for r in rows]),
            pixel_values=torch.rand(20, 588, generator=generator) * 2 - 1, image_grid_thw=torch.tensor([[1, 4, 5]]), image_merge_sizes=torch.tensor([1]),
            pixel_values_videos=torch.rand(72, 588, generator=generator) * 2 - 1, video_grid_thw=torch.tensor([[3, 4, 6]]), video_merge_sizes=torch.tensor([2]),
            video_compression_mask=keep)
labels = case["input_ids"].clone()
labels[(case["attention_mask"] == 0) | (labels == image) | (labels == video)] = -100
with torch.no_grad():
    out = model(**case, labels=labels, use_cache=False, output_hidden_states=True)
    tensors = {f"in.{k}": (v.to(torch.uint8) if v.dtype == torch.bool else v) for k, v in {**case, "labels": labels}.items()}
    tensors.update({"out.logits": out.logits, "out.loss": out.loss.reshape(1), "out.video_hidden_states": out.video_hidden_states})
    *states, last = out.hidden_states      # the embeddings, every layer but the last, and the last after the norm
    tensors.update({f"out.text.layer{i}.0": h for i, h in enumerate(states[1:])} | {"out.text.norm.0": last})
    save_file({k: v.contiguous() for k, v in tensors.items()}, args.goldens / "forward.safetensors")
    with open(args.goldens / "generate.jsonl", "w") as file:
        for settings in (dict(), dict(repetition_penalty=1.3), dict(no_repeat_ngram_size=2), dict(min_new_tokens=8)):
            new = model.generate(**case, max_new_tokens=16, do_sample=False, eos_token_id=ids["<|im_end|>"], pad_token_id=pad, **settings)[:, width:]
            file.write(json.dumps(dict(settings=dict(settings, max_new_tokens=16), new_ids=new.tolist())) + "\n")
print("tokens", ids)
