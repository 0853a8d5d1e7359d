"""Writes the project's own goldens of generation: what the reference (transformers 5.23, torch on a CPU) answers.

    python tools/goldens/generate.py tests/data/generate [--seed 1]

processors.jsonl  one row per processor call: name, arguments, ids, scores before and after (null is -inf)
generate.jsonl    whole calls of generate() on a toy model without weights, whose logits follow from a hash of the last ids
                  (toy_logits below; tests/generate/toy_decoder.h has the same function): settings, prompts, sequences, scores
"""
import argparse
import json
import pathlib
import random

import numpy as np
import torch
from transformers import GenerationConfig, GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.generation import logits_process as lp
from transformers.modeling_outputs import CausalLMOutputWithPast

MASK = (1 << 64) - 1


def mix(x):
    x ^= x >> 30
    x = x * 0xBF58476D1CE4E5B9 & MASK
    x ^= x >> 27
    x = x * 0x94D049BB133111EB & MASK
    return x ^ x >> 31


def toy_logits(ids, seed, vocab, order, eos, eos_bias, timed):
    """f32 [vocab]: multiples of 2^-24 around 0 times 6, from the last `order` ids and, where timed, their number; eos_bias is added to eos."""
    h = mix(seed + len(ids) if timed else seed)
    for i in ids[-order:]:
        h = mix((h * 31 + i + 1) & MASK)
    bits = [mix((h + (v + 1) * 0x9E3779B97F4A7C15) & MASK) >> 40 for v in range(vocab)]
    row = (np.array(bits, dtype=np.float32) / np.float32(1 << 24) - np.float32(0.5)) * np.float32(6)
    row[eos] += np.float32(eos_bias)
    return row


class ToyConfig(PretrainedConfig):
    model_type = "toy"


class Toy(PreTrainedModel, GenerationMixin):
    config_class = ToyConfig
    main_input_name = "input_ids"

    def __init__(self, config):
        super().__init__(config)
        self.dummy = torch.nn.Parameter(torch.zeros(1))
        self.toy = {}

    def forward(self, input_ids, attention_mask=None, **_):
        rows = []
        attention_mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        assert attention_mask.shape == input_ids.shape
        for ids, mask in zip(input_ids.tolist(), attention_mask.tolist()):
            kept = [i for i, m in zip(ids, mask) if m]
            rows.append(toy_logits(kept, **self.toy))
        return CausalLMOutputWithPast(logits=torch.tensor(np.stack(rows))[:, None, :])

    def prepare_inputs_for_generation(self, input_ids, attention_mask=None, **_):
        return dict(input_ids=input_ids, attention_mask=attention_mask)


def processor_rows(rng, gen):
    rows = []

    def numbers(t):
        return [[None if v == float("-inf") else v for v in row] for row in t.tolist()]

    def row(name, step, args, ids, scores):
        rows.append(dict(name=name, args=args, ids=ids.tolist(), before=numbers(scores), after=numbers(step(ids, scores.clone()))))

    for _ in range(12):
        vocab = rng.choice([9, 24, 40])
        ids = torch.randint(0, vocab, (2, rng.randint(1, 14)), generator=gen)
        if ids.shape[1] > 6:
            ids[:, -2:] = ids[:, :2]
        scores = torch.randn(2, vocab, generator=gen) * rng.choice([0.5, 2, 6])
        distinct = scores              # where the reference sorts, the order of equals depends on the machine
        if rng.random() < .4:          # ties
            scores = (scores * 2).round() / 2
        if rng.random() < .4:          # some already ruled out
            out = torch.rand(scores.shape, generator=gen) < .3
            out[:, 0] = False
            scores, distinct = scores.masked_fill(out, float("-inf")), distinct.masked_fill(out, float("-inf"))
        keep = rng.choice([1, 2, 3])
        k, p, t = rng.randint(1, vocab), round(rng.random(), 2), round(rng.random() * 2 + .05, 2)
        row("temperature", lp.TemperatureLogitsWarper(t), dict(temperature=t), ids, scores)
        row("top_k", lp.TopKLogitsWarper(k, min_tokens_to_keep=keep), dict(top_k=max(k, keep)), ids, scores)
        row("top_p", lp.TopPLogitsWarper(p, min_tokens_to_keep=keep), dict(top_p=p, keep=keep), ids, distinct)
        row("min_p", lp.MinPLogitsWarper(p, min_tokens_to_keep=keep), dict(min_p=p, keep=keep), ids, distinct)
        p = min(max(p, .05), .95)
        row("typical_p", lp.TypicalLogitsWarper(p, min_tokens_to_keep=keep), dict(typical_p=p, keep=keep), ids, distinct)
        e = rng.choice([.001, .01, .05, .2])
        row("epsilon_cutoff", lp.EpsilonLogitsWarper(e, min_tokens_to_keep=keep), dict(epsilon_cutoff=e, keep=keep), ids, scores)
        row("eta_cutoff", lp.EtaLogitsWarper(e, min_tokens_to_keep=keep), dict(eta_cutoff=e, keep=keep), ids, scores)
        r = rng.choice([.7, 1.05, 1.3, 2.0])
        row("repetition_penalty", lp.RepetitionPenaltyLogitsProcessor(r), dict(repetition_penalty=r), ids, scores)
        n = rng.randint(1, 4)
        row("no_repeat_ngram_size", lp.NoRepeatNGramLogitsProcessor(n), dict(no_repeat_ngram_size=n), ids, scores)
        tail = ids[0].tolist()
        words = [[rng.randrange(vocab)], tail[-2:] + [rng.randrange(vocab)], tail[-1:] + [3], [1, 2, 3], [2]]
        row("bad_words_ids", lp.NoBadWordsLogitsProcessor(words, eos_token_id=2), dict(bad_words_ids=words, eos_token_id=2), ids, scores)
        biases = [[w, round(rng.uniform(-4, 4), 2)] for w in words]
        row("sequence_bias", lp.SequenceBiasLogitsProcessor(biases), dict(sequence_bias=biases), ids, scores)
        row("renormalize_logits", lp.LogitNormalization(), {}, ids, scores)
    return rows


def random_settings(rng, vocab):
    s = dict(max_new_tokens=rng.randint(1, 20))
    beams = rng.choice([1, 1, 2, 3, 4, 5])
    if beams > 1:
        s["num_beams"] = beams
        s["num_return_sequences"] = rng.randint(1, beams)
        s["length_penalty"] = rng.choice([-1.0, 0.0, 0.5, 1.0, 1.0, 2.0])
        s["early_stopping"] = rng.choice([True, False, "never"])
    pick = lambda share, name, value: s.__setitem__(name, value) if rng.random() < share else None
    pick(.3, "repetition_penalty", rng.choice([.8, 1.1, 1.5]))
    pick(.3, "no_repeat_ngram_size", rng.randint(2, 4))
    pick(.3, "min_new_tokens", rng.randint(1, 12))
    pick(.2, "min_length", rng.randint(1, 16))
    pick(.2, "bad_words_ids", [[rng.randrange(vocab) for _ in range(rng.randint(1, 3))] for _ in range(3)])
    pick(.2, "suppress_tokens", sorted(rng.sample(range(vocab), 2)))
    pick(.2, "begin_suppress_tokens", sorted(rng.sample(range(vocab), 3)))
    pick(.2, "sequence_bias", [[[rng.randrange(vocab) for _ in range(rng.randint(1, 2))], round(rng.uniform(-3, 3), 1)] for _ in range(4)])
    pick(.2, "renormalize_logits", True)
    s["eos_token_id"] = rng.choice([2, [2], [2, 5], [2, 5, 7]])
    s["pad_token_id"] = rng.choice([0, 1])
    return s


def generate_rows(rng, count):
    model = Toy(ToyConfig()).eval()
    model.generation_config = GenerationConfig()
    rows = []
    while len(rows) < count:
        vocab = rng.choice([13, 24, 31])
        settings = random_settings(rng, vocab)
        # A toy that does not know the time gives answers of beams that are the same cycles in another order equal scores.
        toy = dict(seed=rng.randrange(1 << 32), vocab=vocab, order=rng.randint(1, 4), eos=2, eos_bias=rng.choice([0.0, 0.5, 1.5, 2.5]),
                   timed=settings.get("num_beams", 1) > 1)
        model.toy = toy
        model.config.vocab_size = vocab
        prompts = [[rng.randrange(3, vocab) for _ in range(rng.randint(3, 7))] for _ in range(rng.choice([1, 1, 2, 3]))]
        longest = max(map(len, prompts))
        ids = torch.tensor([[1] * (longest - len(p)) + p for p in prompts])
        mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts])
        if len(prompts) > 1:     # these see the padding of a batch there, so that a row would not be as if alone
            settings.pop("min_length", None)
            settings.pop("no_repeat_ngram_size", None)
        with torch.no_grad():
            got = model.generate(ids, attention_mask=mask, use_cache=False, do_sample=False, return_dict_in_generate=True, output_scores=True, **settings)
        row = dict(toy=toy, prompts=prompts, settings=settings, new_ids=got.sequences[:, longest:].tolist())
        if settings.get("num_beams", 1) > 1:
            row["scores"] = [float(v) for v in got.sequences_scores]
        rows.append(row)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=300)
    args = parser.parse_args()
    rng, gen = random.Random(args.seed), torch.Generator().manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    for name, rows in (("processors", processor_rows(rng, gen)), ("generate", generate_rows(rng, args.count))):
        (args.out / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
        print(name, len(rows))


if __name__ == "__main__":
    main()
