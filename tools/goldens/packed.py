"""Weights as other programs pack them, and what they stand for: tests/data/checkpoint/packed.safetensors.

    python packed.py OUT.safetensors        needs numpy, safetensors, torch and bitsandbytes (whose processor code is enough)

AWQ and GPTQ are packed here as AutoAWQ's WQLinear_GEMM and GPTQModel's QuantLinear do, bit by bit in the plainest way; what comes out is
the product of a float16 scale and an integer, rounded to float16. bitsandbytes packs and unpacks itself. Names are CASE/PART, with CASE/dense
for the weight [8, 32]; the metadata has each case's "quantization_config".
"""
import argparse
import json

import numpy as np
import torch
from safetensors.torch import save_file

OUT, IN = 8, 32
AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]


def bits_to_words(numbers, bits):
    """A row of numbers, the first in the lowest bits, as 32-bit words."""
    stream = 0
    for i, n in enumerate(numbers):
        stream |= int(n) << (i * bits)
    count = -(-len(numbers) * bits // 32)
    return np.array([(stream >> (32 * w)) & 0xFFFFFFFF for w in range(count)], np.uint32).view(np.int32)


def numbers(rng, bits, groups):
    q = rng.integers(0, 2 ** bits, (IN, OUT))
    zeros = rng.integers(0, 2 ** bits, (groups, OUT))
    scales = (rng.random((groups, OUT)) * 0.02 + 1e-4).astype(np.float16)
    scales[0, 0] = np.float16(6e-8)   # below the least normal number
    return q, zeros, scales


def dense(q, zeros, scales, index):
    product = scales[index].astype(np.float64) * (q - zeros[index])
    return torch.from_numpy(np.ascontiguousarray(product.astype(np.float16).T))


def awq(rng, size):
    groups = 1 if size == -1 else IN // size
    q, zeros, scales = numbers(rng, 4, groups)
    ordered = lambda rows: np.stack([bits_to_words([row[8 * (i // 8) + AWQ_ORDER[i % 8]] for i in range(OUT)], 4) for row in rows])
    config = dict(quant_method="awq", bits=4, group_size=size, zero_point=True, version="gemm")
    return config, dict(qweight=ordered(q), qzeros=ordered(zeros), scales=scales), dense(q, zeros, scales, np.arange(IN) // (IN if size == -1 else size))


def gptq(rng, bits, size, act_order=False, sym=False, second=False, by_gptqmodel=False, index_there=True):
    group = IN if size == -1 else size
    groups = -(-IN // group)
    q, zeros, scales = numbers(rng, bits, groups)
    if sym:
        zeros[:] = 2 ** (bits - 1)
    index = np.arange(IN) // group
    if act_order:
        rng.shuffle(index)
    qzeros = np.stack([bits_to_words(row, bits) for row in zeros])
    if not second:
        if by_gptqmodel:   # one is taken from every zero point of a word at once, with borrows
            qzeros = (qzeros.view(np.uint32) - np.uint32(sum(1 << b for b in range(0, 32, bits)))).view(np.int32)
        else:
            qzeros = np.stack([bits_to_words((row - 1) % 2 ** bits, bits) for row in zeros])
    parts = dict(qweight=np.stack([bits_to_words(column, bits) for column in q.T]).T, qzeros=qzeros, scales=scales)
    if index_there:
        parts["g_idx"] = index.astype(np.int32)
    config = dict(quant_method="gptq", bits=bits, group_size=size, desc_act=act_order, sym=sym, checkpoint_format="gptq_v2" if second else "gptq")
    if by_gptqmodel:
        config["meta"] = dict(quantizer=["gptqmodel:2.0.0"])
    return config, parts, dense(q, zeros, scales, index)


def blocks(kind, nested, dtype):
    import bitsandbytes.functional as f
    # Its dequantisation mixes the blocks of rows that are narrower than a block up, so rows are as wide.
    torch.manual_seed(len(kind) + nested)
    weight = torch.randn(OUT, IN).to(dtype)
    packed, state = f.quantize_4bit(weight, blocksize=32, quant_type=kind, compress_statistics=nested)
    config = dict(quant_method="bitsandbytes", load_in_4bit=True, bnb_4bit_quant_type=kind, bnb_4bit_use_double_quant=nested)
    return config, {"weight": packed, **{"weight." + k: v for k, v in state.as_dict(packed=True).items()}}, f.dequantize_4bit(packed, state)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    out = parser.parse_args().out
    rng = np.random.default_rng(5)
    cases = {
        "awq": awq(rng, 8), "awq_whole": awq(rng, -1),
        "gptq": gptq(rng, 4, 8), "gptq_sym": gptq(rng, 4, 8, sym=True, index_there=False), "gptq_act_order": gptq(rng, 4, 8, act_order=True),
        "gptq_second": gptq(rng, 4, 16, second=True), "gptqmodel": gptq(rng, 4, 8, by_gptqmodel=True), "gptq8": gptq(rng, 8, -1), "gptq3": gptq(rng, 3, 8),
        "gptq2": gptq(rng, 2, 16, act_order=True, second=True), "nf4": blocks("nf4", False, torch.float16), "nf4_nested": blocks("nf4", True, torch.bfloat16),
        "fp4": blocks("fp4", False, torch.float32),
    }
    tensors, metadata = {}, {}
    for name, (config, parts, weight) in cases.items():
        metadata[name] = json.dumps(config)
        for part, value in {**parts, "dense": weight}.items():
            tensors[f"{name}/{part}"] = torch.from_numpy(np.ascontiguousarray(value)) if isinstance(value, np.ndarray) else value.contiguous()
    save_file(tensors, out, metadata)


if __name__ == "__main__":
    main()
