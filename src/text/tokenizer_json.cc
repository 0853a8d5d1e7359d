// tokenizer.json, the file of Hugging Face tokenizers.
#include <simdjson.h>

#include "base/check.h"
#include "base/file.h"
#include "base/text_file.h"
#include "text/tokenizer_files.h"

namespace vl3 {
namespace {

namespace dom = simdjson::dom;

// Typed access, with errors that name file and field.
class Reader {
 public:
  explicit Reader(std::string origin) : origin_(std::move(origin)) {}
  const std::string& origin() const { return origin_; }

  [[noreturn]] void wrong(std::string_view field, dom::element value, std::string_view wanted) const {
    std::string text = simdjson::to_string(value);
    if (text.size() > 80) text = text.substr(0, 77) + "...";
    fail(ErrorCode::kFormat, "[{}] {} should be {}, not {}", origin_, field, wanted, text);
  }
  [[noreturn]] void unsupported(std::string_view field, dom::element value, std::string_view known) const {
    std::string text = simdjson::to_string(value);
    if (text.size() > 300) text = text.substr(0, 297) + "...";
    fail(ErrorCode::kUnsupported, "[{}] {} is {}; supported: {}", origin_, field, text, known);
  }
  // The value of key; nothing where it is absent or null.
  std::optional<dom::element> find(dom::object object, std::string_view key) const {
    dom::element value;
    if (object.at_key(key).get(value) != simdjson::SUCCESS || value.is_null()) return std::nullopt;
    return value;
  }
  dom::object object(dom::element value, std::string_view field) const {
    dom::object result;
    if (value.get(result) != simdjson::SUCCESS) wrong(field, value, "an object");
    return result;
  }
  dom::array array(dom::element value, std::string_view field) const {
    dom::array result;
    if (value.get(result) != simdjson::SUCCESS) wrong(field, value, "a list");
    return result;
  }
  std::string_view string(dom::element value, std::string_view field) const {
    std::string_view result;
    if (value.get(result) != simdjson::SUCCESS) wrong(field, value, "a string");
    return result;
  }
  int64_t integer(dom::element value, std::string_view field) const {
    int64_t result = 0;
    if (value.get(result) != simdjson::SUCCESS) wrong(field, value, "an integer");
    return result;
  }
  bool boolean(dom::object object, std::string_view key, bool fallback, std::string_view field) const {
    const auto value = find(object, key);
    bool result = fallback;
    if (value && value->get(result) != simdjson::SUCCESS) {
      wrong(fmt::format("{}.{}", field, key), *value, "true or false");
    }
    return result;
  }
  std::string_view type(dom::object object, std::string_view field) const {
    const auto value = find(object, "type");
    return value ? string(*value, fmt::format("{}.type", field)) : std::string_view();
  }

 private:
  std::string origin_;
};

void read_vocabulary(const Reader& in, dom::element value, TokenizerSpec& spec) {
  const dom::object object = in.object(value, "model.vocab");
  size_t bytes = 0;
  for (const auto& field : object) bytes += field.key.size();
  spec.vocabulary.reserve(object.size() >= 0xFFFFFF ? bytes / 4 : object.size(), bytes);
  for (const auto& field : object) {
    int64_t id = 0;
    if (field.value.get(id) != simdjson::SUCCESS) {
      in.wrong(fmt::format("model.vocab[\"{}\"]", field.key.substr(0, 60)), field.value, "an integer");
    }
    spec.vocabulary.add(field.key, id, in.origin());
  }
}

void read_merges(const Reader& in, dom::element value, TokenizerSpec& spec) {
  size_t index = 0;
  const dom::array list = in.array(value, "model.merges");
  spec.merges.reserve(list.size());
  for (const dom::element merge : list) {
    std::pair<std::string_view, std::string_view> halves;
    dom::array pair;
    if (merge.get(pair) == simdjson::SUCCESS) {
      if (pair.size() != 2) in.wrong(fmt::format("model.merges[{}]", index), merge, "two tokens");
      const std::string field = fmt::format("model.merges[{}]", index);
      halves = {in.string(pair.at(0).value(), field), in.string(pair.at(1).value(), field)};
    } else {
      std::string_view line;
      if (merge.get(line) != simdjson::SUCCESS) {
        in.wrong(fmt::format("model.merges[{}]", index), merge, "two tokens");
      }
      halves = split_merge(line, in.origin(), "model.merges", index);
    }
    spec.merges.push_back(
        find_merge(spec.vocabulary, halves.first, halves.second, in.origin(), "model.merges", index));
    ++index;
  }
}

void read_model(const Reader& in, dom::object root, TokenizerSpec& spec) {
  const auto value = in.find(root, "model");
  require(value.has_value(), ErrorCode::kFormat, "[{}] has no \"model\"", in.origin());
  const dom::object model = in.object(*value, "model");
  const std::string_view type = in.type(model, "model");
  require(type.empty() || type == "BPE", ErrorCode::kUnsupported,
          "[{}] model.type is \"{}\"; supported: \"BPE\"", in.origin(), type);
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const auto text = in.find(model, key);
    if (text && !in.string(*text, fmt::format("model.{}", key)).empty()) {
      in.unsupported(fmt::format("model.{}", key), *text, "none");
    }
  }
  const auto dropout = in.find(model, "dropout");
  double rate = 0;
  if (dropout && (dropout->get(rate) != simdjson::SUCCESS || rate != 0)) {
    in.unsupported("model.dropout", *dropout, "null (the same text gives the same ids)");
  }
  spec.ignore_merges = in.boolean(model, "ignore_merges", false, "model");
  const auto vocab = in.find(model, "vocab"), merges = in.find(model, "merges");
  require(vocab.has_value(), ErrorCode::kFormat, "[{}] has no \"model.vocab\"", in.origin());
  require(merges.has_value(), ErrorCode::kFormat, "[{}] has no \"model.merges\"", in.origin());
  read_vocabulary(in, *vocab, spec);
  read_merges(in, *merges, spec);
}

void read_normalizer(const Reader& in, dom::object root, TokenizerSpec& spec) {
  constexpr std::string_view kKnown = "null, {\"type\": \"NFC\"}, or a Sequence of it";
  spec.nfc = false;
  const auto value = in.find(root, "normalizer");
  if (!value) return;
  const dom::object object = in.object(*value, "normalizer");
  if (in.type(object, "normalizer") == "NFC") {
    spec.nfc = true;
    return;
  }
  const auto list = in.find(object, "normalizers");
  if (in.type(object, "normalizer") != "Sequence" || !list) in.unsupported("normalizer", *value, kKnown);
  for (const dom::element one : in.array(*list, "normalizer.normalizers")) {
    if (in.type(in.object(one, "normalizer.normalizers"), "normalizer.normalizers") != "NFC") {
      in.unsupported("normalizer", *value, kKnown);
    }
    spec.nfc = true;
  }
}

// A list of one or two steps: the split, then bytes; or bytes alone with a split of its own.
void read_pre_tokenizer(const Reader& in, dom::object root, TokenizerSpec& spec) {
  constexpr std::string_view kKnown =
      "a Sequence of Split (the regular expression of Qwen2, cl100k or GPT-2; Isolated, not inverted) and "
      "ByteLevel without a prefix space, or ByteLevel with use_regex";
  const auto value = in.find(root, "pre_tokenizer");
  require(value.has_value(), ErrorCode::kUnsupported, "[{}] pre_tokenizer is null; supported: {}",
          in.origin(), kKnown);
  const dom::object object = in.object(*value, "pre_tokenizer");
  std::vector<dom::element> steps;
  if (in.type(object, "pre_tokenizer") == "Sequence") {
    const auto list = in.find(object, "pretokenizers");
    if (!list) in.unsupported("pre_tokenizer", *value, kKnown);
    for (const dom::element step : in.array(*list, "pre_tokenizer.pretokenizers")) steps.push_back(step);
  } else {
    steps.push_back(*value);
  }
  if (steps.empty() || steps.size() > 2) in.unsupported("pre_tokenizer", *value, kKnown);

  const dom::object bytes = in.object(steps.back(), "pre_tokenizer");
  const bool alone = steps.size() == 1;
  if (in.type(bytes, "pre_tokenizer") != "ByteLevel" ||
      in.boolean(bytes, "add_prefix_space", true, "pre_tokenizer") ||
      in.boolean(bytes, "use_regex", true, "pre_tokenizer") != alone) {
    in.unsupported("pre_tokenizer", *value, kKnown);
  }
  spec.rule = SplitRule::kGpt2;
  if (alone) return;

  const dom::object split = in.object(steps.front(), "pre_tokenizer");
  const auto pattern = in.find(split, "pattern"), behavior = in.find(split, "behavior");
  if (in.type(split, "pre_tokenizer") != "Split" || !pattern || !behavior ||
      in.string(*behavior, "pre_tokenizer: behavior") != "Isolated" ||
      in.boolean(split, "invert", false, "pre_tokenizer")) {
    in.unsupported("pre_tokenizer", *value, kKnown);
  }
  const auto regex = in.find(in.object(*pattern, "pre_tokenizer: pattern"), "Regex");
  const auto rule = regex ? split_rule_of(in.string(*regex, "pre_tokenizer: pattern.Regex")) : std::nullopt;
  if (!rule) in.unsupported("pre_tokenizer: pattern", *pattern, kKnown);
  spec.rule = *rule;
}

// Anything here that would add or change tokens.
void check_rest(const Reader& in, dom::object root) {
  const auto is_byte_level = [&](std::string_view key) {
    const auto value = in.find(root, key);
    if (!value || in.type(in.object(*value, key), key) == "ByteLevel") return;
    in.unsupported(key, *value, "null, {\"type\": \"ByteLevel\"}");
  };
  is_byte_level("decoder");
  is_byte_level("post_processor");
}

void read_added_tokens(const Reader& in, dom::object root, TokenizerSpec& spec) {
  const auto value = in.find(root, "added_tokens");
  if (!value) return;
  size_t index = 0;
  for (const dom::element one : in.array(*value, "added_tokens")) {
    const std::string field = fmt::format("added_tokens[{}]", index++);
    const dom::object object = in.object(one, field);
    const auto id = in.find(object, "id"), content = in.find(object, "content");
    require(id && content, ErrorCode::kFormat, "[{}] {} has no \"{}\"", in.origin(), field,
            id ? "content" : "id");
    AddedToken token;
    token.id = in.integer(*id, field + ".id");
    token.content = in.string(*content, field + ".content");
    token.special = in.boolean(object, "special", false, field);
    token.normalized = in.boolean(object, "normalized", !token.special, field);
    token.lstrip = in.boolean(object, "lstrip", false, field);
    token.rstrip = in.boolean(object, "rstrip", false, field);
    token.single_word = in.boolean(object, "single_word", false, field);
    spec.added.push_back(std::move(token));
  }
}

}  // namespace

void load_tokenizer_json(const std::filesystem::path& path, TokenizerSpec& spec) {
  const Reader in(path.string());
  const std::string text = read_text(resolve_link_stub(path), kMaxTokenizerBytes);
  dom::parser parser;
  dom::element document;
  const auto error = parser.parse(text).get(document);
  require(error == simdjson::SUCCESS, ErrorCode::kFormat, "[{}] is not valid JSON ({} bytes): {}",
          in.origin(), text.size(), simdjson::error_message(error));
  const dom::object root = in.object(document, "the file");
  spec.origin = in.origin();
  read_model(in, root, spec);
  read_normalizer(in, root, spec);
  read_pre_tokenizer(in, root, spec);
  check_rest(in, root);
  read_added_tokens(in, root, spec);
}

}  // namespace vl3
