// What tokenizer.json does to text before and after merging.
#include <vector>

#include "text/tokenizer_reader.h"

namespace vl3 {
namespace {

namespace dom = simdjson::dom;

// The parts of a Sequence, those of Sequences within it among them, or the one part itself. list: the key of
// a Sequence's parts.
void flatten(const TokenizerReader& in, dom::element value, std::string_view field, std::string_view list,
             std::vector<dom::element>& parts) {
  const dom::object object = in.object(value, field);
  if (in.type(object, field) != "Sequence") {
    parts.push_back(value);
    return;
  }
  const auto inner = in.find(object, list);
  if (!inner) in.wrong(field, value, fmt::format("a Sequence with \"{}\"", list));
  for (const dom::element part : in.array(*inner, fmt::format("{}.{}", field, list)))
    flatten(in, part, field, list, parts);
}

std::vector<dom::element> parts_of(const TokenizerReader& in, dom::object root, std::string_view field,
                                   std::string_view list) {
  std::vector<dom::element> parts;
  if (const auto value = in.find(root, field)) flatten(in, *value, field, list, parts);
  return parts;
}

// What makes a vocabulary one of SentencePiece: words begin with U+2581 in place of a space.
bool is_of_sentencepiece(std::string_view type, dom::element part) {
  return type == "Metaspace" || type == "Precompiled" ||
         ((type == "Replace" || type == "Prepend") &&
          simdjson::to_string(part).find("\xE2\x96\x81") != std::string::npos);
}

void read_normalizer(const TokenizerReader& in, dom::object root, TokenizerSpec& spec) {
  spec.nfc = false;
  for (const dom::element part : parts_of(in, root, "normalizer", "normalizers")) {
    const std::string_view type = in.type(in.object(part, "normalizer"), "normalizer");
    if (type != "NFC") {
      in.unsupported(
          is_of_sentencepiece(type, part) ? "normalizer of a SentencePiece tokenizer" : "normalizer", part,
          "null, {\"type\": \"NFC\"}, or a Sequence of it");
    }
    spec.nfc = true;
  }
}

constexpr std::string_view kPreTokenizers =
    "Split (the regular expression of Qwen2, cl100k, Llama 3 or GPT-2, Isolated; or \\p{N}, \\p{N}+, "
    "\\p{N}{1,3}), Digits and, in the end, ByteLevel, in a Sequence or alone";

// A Split whose matches and what is between them are pieces, which is what the rules do.
SplitStep read_split(const TokenizerReader& in, dom::element step) {
  const dom::object object = in.object(step, "pre_tokenizer");
  const auto pattern = in.find(object, "pattern"), behavior = in.find(object, "behavior");
  if (!pattern || !behavior) in.unsupported("pre_tokenizer", step, kPreTokenizers);
  const auto regex = in.find(in.object(*pattern, "pre_tokenizer: pattern"), "Regex");
  const auto rule = regex ? split_rule_of(in.string(*regex, "pre_tokenizer: pattern.Regex")) : std::nullopt;
  if (!rule) in.unsupported("pre_tokenizer: pattern", *pattern, kPreTokenizers);
  const std::string_view how = in.string(*behavior, "pre_tokenizer: behavior");
  const bool inverted = in.boolean(object, "invert", false, "pre_tokenizer");
  // Inverted, it is what lies between matches that is isolated or removed.
  if (how != "Isolated" && !(how == "Removed" && inverted && covers_everything(*rule)))
    in.unsupported("pre_tokenizer", step, kPreTokenizers);
  return {*rule, false};
}

void read_pre_tokenizer(const TokenizerReader& in, dom::object root, TokenizerSpec& spec) {
  const auto parts = parts_of(in, root, "pre_tokenizer", "pretokenizers");
  require(!parts.empty(), ErrorCode::kUnsupported, "[{}] pre_tokenizer has no steps; supported: {}",
          in.origin(), kPreTokenizers);
  spec.steps.clear();
  bool as_bytes = false;
  for (const dom::element step : parts) {
    const dom::object object = in.object(step, "pre_tokenizer");
    const std::string_view type = in.type(object, "pre_tokenizer");
    if (as_bytes) in.unsupported("pre_tokenizer behind ByteLevel", step, "nothing");
    if (type == "ByteLevel") {
      as_bytes = true;
      const bool cuts = in.boolean(object, "use_regex", true, "pre_tokenizer");
      spec.steps.push_back({cuts ? SplitRule::kGpt2 : SplitRule::kWhole,
                            in.boolean(object, "add_prefix_space", true, "pre_tokenizer")});
    } else if (type == "Digits") {
      spec.steps.push_back({in.boolean(object, "individual_digits", false, "pre_tokenizer")
                                ? SplitRule::kDigit
                                : SplitRule::kDigits,
                            false});
    } else if (type == "Split") {
      spec.steps.push_back(read_split(in, step));
    } else {
      in.unsupported(
          is_of_sentencepiece(type, step) ? "pre_tokenizer of a SentencePiece tokenizer" : "pre_tokenizer",
          step, kPreTokenizers);
    }
  }
  if (!as_bytes) in.unsupported("pre_tokenizer", *in.find(root, "pre_tokenizer"), kPreTokenizers);
  // The last step of most: bytes alone, which cut nothing.
  if (spec.steps.size() > 1 && spec.steps.back().rule == SplitRule::kWhole && !spec.steps.back().prefix_space)
    spec.steps.pop_back();
}

// A template that puts nothing around one text.
bool adds_nothing(const TokenizerReader& in, dom::object object) {
  const auto single = in.find(object, "single");
  if (!single) return false;
  size_t texts = 0;
  for (const dom::element part : in.array(*single, "post_processor.single")) {
    if (!in.find(in.object(part, "post_processor.single"), "Sequence")) return false;
    ++texts;
  }
  return texts == 1;
}

void read_post_processor(const TokenizerReader& in, dom::object root) {
  for (const dom::element part : parts_of(in, root, "post_processor", "processors")) {
    const dom::object object = in.object(part, "post_processor");
    const std::string_view type = in.type(object, "post_processor");
    if (type == "ByteLevel" || (type == "TemplateProcessing" && adds_nothing(in, object))) continue;
    in.unsupported("post_processor", part,
                   "null, ByteLevel, TemplateProcessing that adds no special tokens to a single text");
  }
}

void read_decoder(const TokenizerReader& in, dom::object root) {
  for (const dom::element part : parts_of(in, root, "decoder", "decoders")) {
    if (in.type(in.object(part, "decoder"), "decoder") != "ByteLevel")
      in.unsupported("decoder", part, "null, {\"type\": \"ByteLevel\"}");
  }
}

}  // namespace

void read_pipeline(const TokenizerReader& in, dom::object root, TokenizerSpec& spec) {
  read_normalizer(in, root, spec);
  read_pre_tokenizer(in, root, spec);
  read_post_processor(in, root);
  read_decoder(in, root);
}

}  // namespace vl3
