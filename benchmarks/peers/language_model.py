"""The language model of a video_llama_3 checkpoint as a plain Qwen2 folder, which peers without this model can take.

usage: language_model.py FOLDER OUT      needs safetensors and torch

For OpenVINO (in an environment with optimum-intel[openvino], which wants an older transformers than ours):

    python language_model.py MODEL lm
    optimum-cli export openvino -m lm --task text-generation-with-past --weight-format int8 lm-int8
    optimum-cli export openvino -m lm --task text-generation-with-past --weight-format int4 --sym --group-size 128 --ratio 1.0 lm-int4
"""
import json
import pathlib
import shutil
import sys

from safetensors import safe_open
from safetensors.torch import save_file

TOKENIZER = ("tokenizer", "vocab", "merges", "generation_config", "chat_template")


def main():
    source, out = map(pathlib.Path, sys.argv[1:3])
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    text = config["text_config"]
    # Names of transformers 4, which the exporters read.
    rope = text.pop("rope_parameters", None)
    if rope:
        if rope.get("rope_type", "default") != "default":
            sys.exit(f"language_model: {source}/config.json: rope_type {rope['rope_type']}: only default")
        text["rope_theta"] = rope["rope_theta"]
    for name in ("layer_types", "sliding_window"):
        text.pop(name, None)
    tied = config.get("tie_word_embeddings", text.get("tie_word_embeddings", False))
    text.update(model_type="qwen2", use_sliding_window=False, architectures=["Qwen2ForCausalLM"], tie_word_embeddings=tied, torch_dtype=config.get("dtype", "bfloat16"))
    weights = {}
    for path in sorted(source.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            for name in file.keys():
                if "language_model." in name:
                    weights["model." + name.split("language_model.", 1)[1]] = file.get_tensor(name).contiguous()
                elif name == "lm_head.weight" and not tied:
                    weights[name] = file.get_tensor(name).contiguous()
    if not weights:
        sys.exit(f"language_model: {source}: no tensor of a language model in its safetensors files")
    out.mkdir(parents=True)
    (out / "config.json").write_text(json.dumps(text, indent=1), encoding="utf-8")
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    for path in source.iterdir():
        if path.name.startswith(TOKENIZER):
            shutil.copy(path, out)


if __name__ == "__main__":
    main()
