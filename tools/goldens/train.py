"""Writes the project's own goldens of training: what the reference (transformers 5.23, torch on a CPU) learns in double precision.

    python tools/goldens/train.py REFERENCE_HELPER_FOLDER tests/data/train [--seed 3]

REFERENCE_HELPER_FOLDER holds hf.py, which prepares Hugging Face Transformers on a CPU-only machine and makes random models.
OUT/model        a checkpoint of 40 thousand random f32 weights
OUT/<inputs>.safetensors  in.*: pictures, or a ragged batch of a picture, a clip and text, with labels
OUT/<stage>.safetensors   per stage of stages.json: loss.N and grad_norm.N before each of three AdamW steps, grad.* of the first step
                          where no other stage has the same, after.* behind the third
Weights and sums are double (what the reference casts to float32 is left in double); rotary angles are f32 as in every run of the
reference. Results are rounded to f32 once.
"""
import argparse
import json
import pathlib
import random
import sys

parser = argparse.ArgumentParser()
parser.add_argument("helper", type=pathlib.Path)
parser.add_argument("out", type=pathlib.Path)
parser.add_argument("--seed", type=int, default=3)
args = parser.parse_args()
sys.path.insert(0, str(args.helper))
import hf  # noqa: E402
import torch  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from transformers import VideoLlama3ForConditionalGeneration  # noqa: E402
from transformers.models.qwen2 import modeling_qwen2  # noqa: E402,F401
from transformers.models.video_llama_3 import modeling_video_llama_3  # noqa: E402,F401

torch.set_num_threads(1)
PATCH, IMAGE, VIDEO, VOCABULARY = 4, 90, 91, 96
STAGES = {
    "vision_encoder_adaptation": ("pictures", dict(vision_model=1e-3, projector=2e-3), True),
    "vision_language_alignment": ("mixed", dict(vision_model=1e-3, projector=2e-3, language_model=1e-3), True),
    "multi_task_fine_tuning": ("mixed", dict(vision_model=5e-4, projector=1e-3, language_model=1e-3), False),
    "video_centric_fine_tuning": ("clips", dict(vision_model=5e-4, projector=1e-3, language_model=1e-3), True),
}
F32, FLOAT = torch.float32, torch.Tensor.float


def everything_is(double):
    torch.float32, torch.Tensor.float = (torch.float64, torch.Tensor.double) if double else (F32, FLOAT)


def angles_in_f32(model):
    """Rotary embeddings compute as they would in a model of f32."""
    for module in model.modules():
        if "RotaryEmbedding" not in type(module).__name__:
            continue
        for name, buffer in module._buffers.items():
            if buffer is not None and buffer.is_floating_point():
                module._buffers[name] = buffer.to(F32)

        def forward(*inputs, original=module.forward, **more):
            everything_is(double=False)
            inputs = [x.to(F32) if torch.is_tensor(x) and x.is_floating_point() else x for x in inputs]
            result = original(*inputs, **more)
            everything_is(double=True)
            return tuple(x.double() for x in result) if isinstance(result, tuple) else result.double()

        module.forward = forward


def make_inputs():
    rng, gen = random.Random(args.seed), torch.Generator().manual_seed(args.seed)

    def words(n):
        return [rng.randrange(5, IMAGE) for _ in range(n)]

    def patches(grids):
        return torch.rand(sum(t * h * w for t, h, w in grids), 3 * PATCH ** 2, generator=gen) * 2 - 1

    def batch(sequences, images=(), videos=(), mask=None):
        width = max(map(len, sequences))
        ids = torch.tensor([[1] * (width - len(s)) + s for s in sequences])
        real = torch.tensor([[0] * (width - len(s)) + [1] * len(s) for s in sequences])
        labels = ids.clone()
        labels[(real == 0) | (ids == IMAGE) | (ids == VIDEO)] = -100
        case = dict(input_ids=ids, attention_mask=real, labels=labels)
        if images:
            case.update(pixel_values=patches(images), image_grid_thw=torch.tensor(images), image_merge_sizes=torch.tensor([1] * len(images)))
        if videos:
            case.update(pixel_values_videos=patches(videos), video_grid_thw=torch.tensor(videos),
                        video_merge_sizes=torch.tensor([2] * len(videos)), video_compression_mask=mask)
        return case

    picture, other, clip = [1, 4, 6], [1, 7, 3], [3, 4, 8]
    mask = torch.rand(24, generator=gen) < .6
    mask[[0, 8, 16]] = True
    seen = sum((words(3) + [VIDEO] * n for n in mask.view(3, -1).sum(1).tolist()), [])
    return {
        "pictures": batch([words(2) + [IMAGE] * 24 + words(3) + [IMAGE] * 21 + words(5)], [picture, other]),
        "mixed": batch([words(4) + [IMAGE] * 21 + words(9), words(3) + seen + words(4), words(12)], [other], [clip], mask),
        "clips": batch([words(3) + seen + words(14)], videos=[clip], mask=mask),
    }


def train(config, weights, case, rates):
    model = VideoLlama3ForConditionalGeneration(config)
    model.load_state_dict(weights)
    model.tie_weights()
    model = model.double().train()
    angles_in_f32(model)
    learning, groups = {}, []
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for part, rate in rates.items():
        named = {n: p.requires_grad_(True) for n, p in model.named_parameters() if f".{part}." in f".{n}"}
        learning.update(named)
        groups.append(dict(params=[p for p in named.values() if p.ndim > 1], lr=rate, weight_decay=0.05))
        groups.append(dict(params=[p for p in named.values() if p.ndim <= 1], lr=rate, weight_decay=0.0))
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.999), eps=1e-8)
    case = {k: v.double() if v.is_floating_point() else v for k, v in case.items()}
    tensors = {}
    for step in range(3):
        everything_is(double=True)
        loss = model(**case, use_cache=False).loss
        loss.backward()
        everything_is(double=False)
        assert loss.dtype == torch.float64
        if step == 0:
            tensors.update({f"grad.{n}": p.grad.clone() for n, p in learning.items()})
        tensors[f"loss.{step}"] = loss.detach().reshape(1)
        tensors[f"grad_norm.{step}"] = torch.nn.utils.clip_grad_norm_(list(learning.values()), 1.0).reshape(1)
        optimizer.step()
        optimizer.zero_grad()
    tensors.update({f"after.{n}": p for n, p in learning.items()})
    return {k: v.detach().to(F32).contiguous() for k, v in tensors.items()}


config = hf.tiny_config(hidden=32, heads=4, kv_heads=2, mlp=40, vocab=VOCABULARY, v_hidden=24, v_heads=2, v_mlp=40, image_token=IMAGE, video_token=VIDEO)
config.vision_config.patch_size = PATCH
config.text_config.pad_token_id, config.text_config.bos_token_id, config.text_config.eos_token_id = 1, 1, 2
base = hf.random_model(config, args.seed)
args.out.mkdir(parents=True, exist_ok=True)
base.save_pretrained(args.out / "model")
(args.out / "model" / "generation_config.json").unlink(missing_ok=True)
cases = make_inputs()
for name, case in cases.items():
    save_file({f"in.{k}": v.to(torch.uint8) if v.dtype == torch.bool else v.contiguous() for k, v in case.items()}, args.out / f"{name}.safetensors")
for stage, (name, rates, with_gradients) in STAGES.items():
    tensors = train(config, base.state_dict(), cases[name], rates)
    save_file({k: v for k, v in tensors.items() if with_gradients or not k.startswith("grad.")}, args.out / f"{stage}.safetensors")
(args.out / "stages.json").write_text(json.dumps({s: dict(inputs=n, rates=r) for s, (n, r, _) in STAGES.items()}, indent=1) + "\n")
