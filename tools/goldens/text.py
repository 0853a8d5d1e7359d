"""What src/text takes from the reference (Hugging Face tokenizers): character classes, and goldens of its tests.

    python text.py classes                              > src/text/unicode_classes.inc
    python text.py small OUT                            a small tokenizer in both forms and its goldens, for tests/data/text
    python text.py rows TOKENIZER_FOLDER OUT.jsonl [--seed 1] [--count 20000]
                                                        many rows through a real tokenizer, hostile text among them
    python text.py variants TOKENIZER_FOLDER OUT.jsonl  the same tokenizer with other steps, and without some bytes: tests/data/text/variants.jsonl
    python text.py every TOKENIZER_FOLDER OUT.jsonl     every code point in several contexts (large)

The classes come from asking the reference about every code point, because its parts follow different versions of Unicode:
its regular expressions a recent one, its NFC that of Unicode 9.
"""
import argparse
import json
import pathlib
import random
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

QWEN2 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
LETTER, NUMBER, SPACE, WORD, NFC_UNSAFE, NFC_FIRST = 1, 2, 4, 8, 16, 32


# ---------------------------------------------------------------- classes
def members(pattern):
    """Code points that the reference's regular expressions match with pattern."""
    split = pre_tokenizers.Split(Regex(pattern), behavior="removed")
    found = set()
    for i in range(0, len(CODE_POINTS), 4096):
        block = CODE_POINTS[i:i + 4096]
        kept = {ord(c) for piece, _ in split.pre_tokenize_str("".join(map(chr, block))) for c in piece}
        found.update(c for c in block if c not in kept)
    return found


def word_characters():
    """Code points that keep a single_word added token from being recognised beside them."""
    tokenizer = Tokenizer(models.BPE(vocab={}, merges=[]))
    tokenizer.add_tokens([AddedToken("@@", single_word=True, normalized=False)])
    texts = ["@@" + chr(c) for c in CODE_POINTS]
    return {c for c, e in zip(CODE_POINTS, tokenizer.encode_batch(texts)) if not e.ids}


def nfc_classes():
    """Code points that NFC may change, reorder or join to what is before them; and those that such a one can join or come apart with."""
    nfc, nfd = normalizers.NFC().normalize_str, normalizers.NFD().normalize_str
    unsafe, first = set(), set(range(0xAC00, 0xD7A4)) | set(range(0x1100, 0x1113))
    for c in CODE_POINTS:
        s = chr(c)
        d = nfd(s)
        if nfc(s) != s:
            unsafe.add(c)
        # A mark of class above 1 moves behind U+0334 (class 1), one of class 1 or more moves before U+0345 (class 240)
        if any(nfc(x) != nfc_joined(nfc, x) for x in ("%" + s + "\u0334", "%\u0345" + s, "%\u0301" + s)):
            unsafe.add(c)
        if len(d) > 1 and nfc(d) == s:
            unsafe.add(ord(d[-1]))
            first.add(ord(nfc(d[:-1])))
            first.add(c)   # a mark that follows may go between its parts
    unsafe |= set(range(0x1161, 0x1176)) | set(range(0x11A8, 0x11C3))
    return unsafe, first


def nfc_joined(nfc, text):
    """NFC of each character alone: differs from NFC of the whole where characters act on each other."""
    return "".join(nfc(c) for c in text)


def classes():
    unsafe, first = nfc_classes()
    sets = [(LETTER, members(r"\p{L}")), (NUMBER, members(r"\p{N}")), (SPACE, members(r"\s")),
            (WORD, word_characters()), (NFC_UNSAFE, unsafe), (NFC_FIRST, first)]
    flags = [0] * 0x110000
    for bit, found in sets:
        for c in found:
            flags[c] |= bit
    ranges, start = [], 0
    for c in range(1, 0x110001):
        if c == 0x110000 or flags[c] != flags[start]:
            if flags[start]:
                ranges.append((start, c, flags[start]))
            start = c
    print("// Made by tools/goldens/text.py classes: {first, behind the last, bits of CharacterClass}.")
    cells = ["{%#x,%#x,%d}," % r for r in ranges]
    line = ""
    for cell in cells:
        if len(line) + len(cell) > 118:
            print(line)
            line = ""
        line += cell
    print(line)
    print(len(ranges), "ranges", {bit: len(found) for bit, found in sets}, file=sys.stderr)


# ---------------------------------------------------------------- texts
BLOCKS = [(0x20, 0x7E), (0x20, 0x7E), (0x00, 0x1F), (0x80, 0x24F), (0x300, 0x36F), (0x370, 0x52F), (0x590, 0x6FF), (0x700, 0xDFF),
          (0xE00, 0xFFF), (0x1100, 0x11FF), (0x1AB0, 0x1AFF), (0x1DC0, 0x1DFF), (0x1E00, 0x1FFF), (0x2000, 0x206F), (0x2070, 0x23FF),
          (0x2460, 0x24FF), (0x3000, 0x30FF), (0x4E00, 0x9FFF), (0xA640, 0xABFF), (0xAC00, 0xD7A3), (0xF900, 0xFB4F), (0xFE00, 0xFFFF),
          (0x10000, 0x10FFF), (0x11000, 0x11FFF), (0x16000, 0x1BFFF), (0x1D000, 0x1DFFF), (0x1E000, 0x1EFFF), (0x1F000, 0x1FBFF),
          (0x20000, 0x323AF), (0xE0000, 0xE01EF)]
BITS = ["'s", "'S", "'t", "'RE", "'ll", "'Ve", "'\u017f", "'D", "don't", "it\u2019s", " ", "  ", "   ", "\n", "\r\n", "\r", "\n\n", " \n ", "\t", "\u0085",
        "\u00a0", "\u2028", "\u3000", "\u200b", "a", "the", " the", "Hello", " world", "0", "12", "1234567", "\u0663", "\u00bd", "\u2167", "!", "!!!",
        "...", "=>", "{}", "\u4e2d\u6587", "\U0001f642", "\U0001f469\u200d\U0001f469", "e\u0301", "\u00e9", "A\u030a", "\u1100\u1161\u11a8", "\u0344",
        "\u0958", "\u2126", "\ufb01", "\uf900", "q\u0307\u0323", "\u0323\u0307", "<|im_start|>", "<|im_end|>", "<|image_pad|>", "<tool_call>",
        "<|im_start", "im_end|>", "<|", "|>", "\ufffd", "\x00"]


def random_character(rng):
    while True:
        c = rng.randrange(0x110000) if rng.random() < 0.15 else rng.randint(*rng.choice(BLOCKS))
        if not 0xD800 <= c <= 0xDFFF:
            return chr(c)


def random_text(rng):
    kind = rng.random()
    n = rng.randint(0, 40)
    if kind < 0.3:
        block = rng.choice(BLOCKS)
        chars = (chr(rng.randint(*block)) if rng.random() < .8 else rng.choice(BITS) for _ in range(n))
        return "".join(c for c in chars if not 0xD800 <= ord(c[0]) <= 0xDFFF)
    if kind < 0.55:
        return "".join(random_character(rng) for _ in range(n))
    if kind < 0.85:
        return "".join(rng.choice(BITS) for _ in range(n))
    if kind < 0.93:
        return rng.randbytes(n * 3).decode("utf-8", "replace")
    return "".join(rng.choice("ab 1'\n") for _ in range(n * 5))


def hostile(rng):
    """Long and nasty: what a slow tokenizer takes minutes for."""
    yield from ("a" * 5000, " " * 5000, "\n" * 5000, "a " * 3000, " \n" * 3000, "1" * 3000, "'" * 3000, "'s" * 2000, "\u0301" * 3000,
                "a" + "\u0301\u0323" * 2000, "\u1100\u1161\u11a8" * 1000, "\U0001f642" * 1000, "<|im_start|>" * 500, "<|im_start" * 500,
                "<" * 3000, "\u4e2d" * 3000, "\u3000" * 3000, " " * 3000 + "x", "\u0344" * 500)
    yield "".join(rng.choice("ab") for _ in range(5000))
    yield rng.randbytes(5000).decode("utf-8", "replace")
    yield "".join(rng.choice(["\u0301", "\u0323", "\u0334", "\u0345", "\u05b0", "\u094d"]) for _ in range(3000))


def row(tokenizer, text, plain):
    ids = tokenizer.encode(text).ids
    return dict(text=text, ids=ids, plain_ids=plain(text), decoded=tokenizer.decode(ids, skip_special_tokens=False),
                decoded_skip=tokenizer.decode(ids, skip_special_tokens=True))


def plain_encoder(tokenizer):
    """Ids without added tokens: normaliser, pre-tokenizer and model alone, as Transformers' split_special_tokens does it."""
    def encode(text):
        text = tokenizer.normalizer.normalize_str(text)
        return [t.id for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text) for t in tokenizer.model.tokenize(piece)]
    return encode


def write_rows(tokenizer, path, seed, count, long_texts=True):
    rng = random.Random(seed)
    plain = plain_encoder(tokenizer)
    size = tokenizer.get_vocab_size()
    with open(path, "w", encoding="utf-8") as file:
        def put(value):
            file.write(json.dumps(value, ensure_ascii=True) + "\n")
        for bit in BITS:
            put(row(tokenizer, bit, plain))
        for text in hostile(rng) if long_texts else ():
            put(row(tokenizer, text, plain))
        for i in range(count):
            if i % 8 == 7:
                ids = [rng.randrange(0, size + (5 if rng.random() < .1 else 0)) for _ in range(rng.randint(1, 12))]
                put(dict(ids_only=True, ids=ids, decoded=tokenizer.decode(ids, skip_special_tokens=False),
                         decoded_skip=tokenizer.decode(ids, skip_special_tokens=True)))
            else:
                put(row(tokenizer, random_text(rng), plain))


def write_every(tokenizer, path):
    """Every code point: between letters, before and behind marks, beside digits, spaces and an apostrophe."""
    plain = plain_encoder(tokenizer)
    with open(path, "w", encoding="utf-8") as file:
        for i in range(0, len(CODE_POINTS), 64):
            block = [chr(c) for c in CODE_POINTS[i:i + 64]]
            for context in ("a%sb ", "a\u0301%s\u0334\u0323", "e%s\u0345\u0301 ", " %s\n", "1%s2'%ss  "):
                text = "".join(context.replace("%s", c) for c in block)
                file.write(json.dumps(row(tokenizer, text, plain)) + "\n")


# ---------------------------------------------------------------- the small tokenizer
def byte_alphabet():
    return sorted(pre_tokenizers.ByteLevel.alphabet())


def train(pattern, words):
    from tokenizers import trainers
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
                                                       pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=700, initial_alphabet=byte_alphabet(), show_progress=False)
    tokenizer.train_from_iterator(words, trainer)
    return tokenizer


def save(tokenizer, folder, seed, count):
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    write_rows(tokenizer, folder / "rows.jsonl", seed, count, long_texts=False)


def small(out):
    rng = random.Random(7)
    words = ["".join(rng.choice(BITS) for _ in range(20)) for _ in range(200)] + ["the quick brown fox doesn't jump 1234 times"] * 20
    tokenizer = train(QWEN2, words)
    names = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|image_pad|>"]
    tokenizer.add_special_tokens([AddedToken(n, special=True, normalized=False) for n in names])
    tokenizer.add_tokens([AddedToken("<tool_call>", normalized=False)])
    save(tokenizer, out / "qwen2", 11, 240)
    model = json.loads(tokenizer.to_str())
    (out / "qwen2" / "vocab.json").write_text(json.dumps(model["model"]["vocab"], ensure_ascii=False), encoding="utf-8")
    (out / "qwen2" / "merges.txt").write_text(
        "#version: 0.2\n" + "".join(" ".join(m) + "\n" for m in model["model"]["merges"]), encoding="utf-8")
    keys = ("content", "lstrip", "normalized", "rstrip", "single_word", "special")
    (out / "qwen2" / "tokenizer_config.json").write_text(json.dumps(dict(
        added_tokens_decoder={str(t["id"]): {k: t[k] for k in keys} for t in model["added_tokens"]}, eos_token="<|im_end|>",
        pad_token="<|endoftext|>", unk_token=None, tokenizer_class="Qwen2Tokenizer"), indent=1) + "\n", encoding="utf-8")

    # Added tokens of every kind, on a tokenizer of the same model.
    tokenizer = Tokenizer.from_str(tokenizer.to_str())
    tokenizer.add_tokens([AddedToken("word", single_word=True, normalized=False), AddedToken("[L]", lstrip=True, normalized=False),
                          AddedToken("[R]", rstrip=True, normalized=False), AddedToken("[B]", lstrip=True, rstrip=True, normalized=False),
                          AddedToken("\u00e9t\u00e9", normalized=True), AddedToken("two words", normalized=True),
                          AddedToken("[L][R]", normalized=False), AddedToken("caf\u00e9", single_word=True, normalized=True),
                          AddedToken("\u4e2d", lstrip=True, normalized=True)])
    bits = ["word", "words", " word ", "\u00e9word", "word\u0301", "[L]", "  [L]  ", "[R]", " [R] \n ", "[B]", "\t[B]\u3000", "\u00e9t\u00e9",
            "e\u0301te\u0301", "two words", "[L][R]", "cafe\u0301", " caf\u00e9!", "caf\u00e9s", "\u4e2d", " \u4e2d ", "<|im_end|>", " ", "\n", "a", "1", "_", "-"]
    folder = out / "added"
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    rng, plain = random.Random(13), plain_encoder(tokenizer)
    with open(folder / "rows.jsonl", "w", encoding="utf-8") as file:
        for i in range(400):
            text = bits[i] if i < len(bits) else "".join(rng.choice(bits) for _ in range(rng.randint(1, 8)))
            file.write(json.dumps(row(tokenizer, text, plain)) + "\n")

    for name, pattern in (("digits3", QWEN2.replace(r"\p{N}|", r"\p{N}{1,3}|")), ("gpt2", None)):
        tokenizer = train(pattern or QWEN2, words)
        if pattern is None:
            tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
            tokenizer.normalizer = None
            tokenizer.add_special_tokens(["<|endoftext|>"])
            folder = out / name
            folder.mkdir(parents=True, exist_ok=True)
            tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
            tokenizer.normalizer = normalizers.Sequence([])   # what plain_encoder asks
            write_rows(tokenizer, folder / "rows.jsonl", 19, 150, long_texts=False)
        else:
            save(tokenizer, out / name, 17, 150)


# ---------------------------------------------------------------- tokenizers of other kinds
def variants(folder, out):
    """The tokenizer of a folder, changed: for each change the keys that get other values (those of "model" one by one), characters whose tokens are taken away, texts and ids."""
    split = lambda regex, behavior="Isolated", invert=False: {"type": "Split", "pattern": {"Regex": regex}, "behavior": behavior, "invert": invert}
    last = lambda space=False, regex=False: {"type": "ByteLevel", "add_prefix_space": space, "trim_offsets": True, "use_regex": regex}
    steps = lambda *s: {"pre_tokenizer": {"type": "Sequence", "pretokenizers": list(s)}}
    digits = lambda single: {"type": "Digits", "individual_digits": single}
    tiktoken = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
    r50k = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
    text = {"Sequence": {"id": "A", "type_id": 0}}
    template = {"type": "TemplateProcessing", "single": [text], "pair": [text, {"Sequence": {"id": "B", "type_id": 1}}], "special_tokens": {}}
    changes = [
        ("published SmolLM2", {**steps(digits(True), last(False, True)), "normalizer": None, "post_processor": template}, ""),
        ("its conversion", {"pre_tokenizer": last(False, True), "normalizer": None, "post_processor": template}, "\u010a\u00c3\u0126"),
        ("runs of digits", {**steps(digits(False), last()), "normalizer": {"type": "Sequence", "normalizers": []}}, ""),
        ("three digits", {**steps(split(r"\p{N}{1,3}"), last(False, True)), "decoder": {"type": "Sequence", "decoders": [{"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}]}}, ""),
        ("numbers alone", {**steps(split(r"\p{N}"), split(QWEN2), last()), "post_processor": {"type": "Sequence", "processors": [template]}}, ""),
        ("tiktoken", {**steps(split(tiktoken, "Removed", True), last()), "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "NFC"}]}}, ""),
        ("r50k", steps(split(r50k), last()), ""),
        ("a space first", {"pre_tokenizer": last(True, True)}, ""),
        ("a space before each number", steps(digits(True), last(True, False)), ""),
        ("sequence in a sequence", {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [digits(True), steps(last(False, True))["pre_tokenizer"]]}}, ""),
        ("bytes left out", {}, "ae\u00c3\u0120"),
        ("unknown bytes", {"model": {"unk_token": "t"}}, "ae\u00c3\u0120"),
        ("unknown bytes in one", {"model": {"unk_token": "t", "fuse_unk": True}}, "ae\u00c3\u0120"),
        ("unknown bytes, words first", {"model": {"unk_token": "t", "ignore_merges": True}}, "\u00c3"),
        ("fallback that nothing needs", {"model": {"byte_fallback": True, "unk_token": "t"}}, ""),
    ]
    texts = ["Hello, world 12345 times", " a\u00e9\u4e2d12\u0663\u00bd  3x", "aaeaea", "e\u0301t\u00e9 the quick\r\n\n  brown 1 2", "don't I'LL 'RE we'\u017f",
             "<|im_start|>user\nhi 7<|im_end|>\n 8", "\t\n", "tea at 10:30\u3000a\u0000b", " "]
    rows = []
    for name, patch, lacks in changes:
        rng = random.Random(name)
        file = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
        model = file["model"]
        model.update(patch.get("model", {}))
        file.update({k: v for k, v in patch.items() if k != "model"})
        gone = [t for t in model["vocab"] if any(c in t for c in lacks) and not t.startswith("<")]
        if "ignore_merges" in model and model["ignore_merges"]:
            gone = [t for t in gone if len(t) == 1]   # longer ones stay, though nothing leads there
        for token in gone:
            place = model["vocab"].pop(token)
            model["vocab"]["\u2603" + str(place)] = place   # ids stay without a gap
        model["merges"] = [m for m in model["merges"] if not any(c in "".join(m) for c in lacks)]
        tokenizer = Tokenizer.from_str(json.dumps(file))
        own = texts + ["".join(rng.choice(BITS) for _ in range(5)) for _ in range(4)]
        rows.append(dict(name=name, patch=patch, lacks=lacks, texts=own, ids=[tokenizer.encode(t).ids for t in own]))
    out.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("classes")
    commands.add_parser("small").add_argument("out", type=pathlib.Path)
    rows = commands.add_parser("rows")
    rows.add_argument("tokenizer", type=pathlib.Path)
    rows.add_argument("out", type=pathlib.Path)
    rows.add_argument("--seed", type=int, default=1)
    rows.add_argument("--count", type=int, default=20000)
    every = commands.add_parser("every")
    every.add_argument("tokenizer", type=pathlib.Path)
    every.add_argument("out", type=pathlib.Path)
    changed = commands.add_parser("variants")
    changed.add_argument("tokenizer", type=pathlib.Path)
    changed.add_argument("out", type=pathlib.Path)
    args = parser.parse_args()
    if args.command == "variants":
        variants(args.tokenizer, args.out)
    elif args.command == "classes":
        classes()
    elif args.command == "small":
        small(args.out)
    elif args.command == "every":
        write_every(Tokenizer.from_file(str(args.tokenizer / "tokenizer.json")), args.out)
    else:
        write_rows(Tokenizer.from_file(str(args.tokenizer / "tokenizer.json")), args.out, args.seed, args.count)


if __name__ == "__main__":
    main()
