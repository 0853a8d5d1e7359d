"""Makes tests/data/lora: two adapters of models/tiny as Hugging Face PEFT saves them, and what the reference computes with them.

    python tools/goldens/lora.py make REFERENCE_HELPER_FOLDER models/tiny tests/data/model/forward.safetensors tests/data/lora
    python tools/goldens/lora.py compare REFERENCE_HELPER_FOLDER MODEL FORWARD.safetensors ADAPTER OURS.safetensors

REFERENCE_HELPER_FOLDER holds hf.py (see tiny_model.py). The inputs are the in.* of the file. Needs transformers, torch, peft, safetensors.
make writes, for each adapter, NAME/adapter_config.json, NAME/adapter_model.safetensors and NAME.safetensors: out.logits of the last four
columns, out.loss and, of the first one, grad.* of every A and B.
    plain  r 4, alpha 8, on every linear layer of the language model but the head
    mixed  r 3, rank-stabilised, also on layers of the vision encoder, and a projector of its own
compare prints the largest difference of logits between PEFT with the adapter and OURS, as `videollama3 forward --adapter` writes them.
"""
import pathlib
import sys

what, helper, folder, inputs = sys.argv[1], *map(pathlib.Path, sys.argv[2:5])
sys.path.insert(0, str(helper))
import hf  # noqa: E402, F401
import torch  # noqa: E402
from peft import LoraConfig, PeftModel, get_peft_model  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from transformers import VideoLlama3ForConditionalGeneration  # noqa: E402

case = {k[3:]: v for k, v in load_file(inputs).items() if k.startswith("in.")}
case["video_compression_mask"] = case["video_compression_mask"].bool()
TEXT = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
ADAPTERS = dict(plain=dict(r=4, lora_alpha=8, target_modules=TEXT),
                mixed=dict(r=3, lora_alpha=5, use_rslora=True, target_modules=rf"{TEXT}|.*vision_model.*\.(q_proj|out_proj|fc2)",
                           modules_to_save=["projector"]))


def base():  # with the default attention: eager has other numbers in rows of padding, where the first label of a padded row is predicted
    return VideoLlama3ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()


def make(out):
    for seed, (name, settings) in enumerate(ADAPTERS.items()):
        torch.manual_seed(seed)
        model = get_peft_model(base(), LoraConfig(lora_dropout=0.05, **settings)).eval()
        with torch.no_grad():
            for parameter_name, p in model.named_parameters():
                if p.requires_grad:
                    p.copy_(torch.randn(p.shape) * (p.abs().mean() if "modules_to_save" in parameter_name else .3 * p.shape[-1] ** -.5))
        model.save_pretrained(out / name)
        (out / name / "README.md").unlink(missing_ok=True)
        result = model(**case, use_cache=False)
        tensors = {"out.logits": result.logits[:, -4:].detach().contiguous(), "out.loss": result.loss.detach().reshape(1)}
        if name == "plain":
            result.loss.backward()
            tensors |= {"grad." + n.removeprefix("base_model.model.").replace(".default", ""): p.grad.contiguous()
                        for n, p in model.named_parameters() if "lora_" in n}
        save_file(tensors, out / f"{name}.safetensors")


def compare(adapter, ours):
    model = PeftModel.from_pretrained(base(), adapter).eval()
    with torch.no_grad():
        theirs, without = model(**case, use_cache=False).logits, base()(**case, use_cache=False).logits
    kept = case["attention_mask"].bool()
    difference = (theirs - load_file(ours)["out.logits"])[kept].abs().max()
    print(f"largest logit {theirs[kept].abs().max():.4f}, largest difference {difference:.2e}; the adapter changes logits by up to "
          f"{(theirs - without)[kept].abs().max():.3f}")


make(*map(pathlib.Path, sys.argv[5:])) if what == "make" else compare(*map(pathlib.Path, sys.argv[5:]))
