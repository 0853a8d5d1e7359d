// tokenizer.json, the file of Hugging Face tokenizers.
#include "base/check.h"
#include "base/file.h"
#include "base/text_file.h"
#include "text/tokenizer_files.h"
#include "text/tokenizer_reader.h"

namespace vl3 {
namespace {

namespace dom = simdjson::dom;

void read_vocabulary(const TokenizerReader& in, dom::element value, TokenizerSpec& spec) {
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

void read_merges(const TokenizerReader& in, dom::element value, TokenizerSpec& spec) {
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

// What stands for bytes that are no tokens. byte_fallback spells them "<0x0A>", which SentencePiece
// vocabularies do: with a token for every byte it does nothing, and without it is another tokenizer.
void read_unknown(const TokenizerReader& in, dom::object model, TokenizerSpec& spec) {
  const auto missing = [&] {
    for (int byte = 0; byte < 256; ++byte) {
      const char c = static_cast<char>(byte);
      if (spec.vocabulary.find_bytes({&c, 1}) < 0) return true;
    }
    return false;
  }();
  if (!missing) return;
  require(!in.boolean(model, "byte_fallback", false, "model"), ErrorCode::kUnsupported,
          "[{}] model.byte_fallback is true and not every byte has a token: a SentencePiece tokenizer; "
          "supported: vocabularies of bytes",
          in.origin());
  spec.fuse_unknown = in.boolean(model, "fuse_unk", false, "model");
  const auto unknown = in.find(model, "unk_token");
  if (!unknown) return;
  const std::string_view token = in.string(*unknown, "model.unk_token");
  const auto id = spec.vocabulary.find_spelling(token);
  require(id.has_value(), ErrorCode::kFormat, "[{}] model.unk_token is \"{}\", which is not in model.vocab",
          in.origin(), token.substr(0, 60));
  spec.unknown_id = *id;
}

void read_model(const TokenizerReader& in, dom::object root, TokenizerSpec& spec) {
  const auto value = in.find(root, "model");
  require(value.has_value(), ErrorCode::kFormat, "[{}] has no \"model\"", in.origin());
  const dom::object model = in.object(*value, "model");
  const std::string_view type = in.type(model, "model");
  require(type.empty() || type == "BPE", ErrorCode::kUnsupported,
          "[{}] model.type is \"{}\"{}; supported: \"BPE\" over bytes", in.origin(), type,
          type == "Unigram" ? ", a SentencePiece tokenizer" : "");
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
  read_unknown(in, model, spec);
  read_merges(in, *merges, spec);
}

void read_added_tokens(const TokenizerReader& in, dom::object root, TokenizerSpec& spec) {
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
  const TokenizerReader in(path.string());
  const std::string text = read_text(resolve_link_stub(path), kMaxTokenizerBytes);
  dom::parser parser;
  dom::element document;
  const auto error = parser.parse(text).get(document);
  require(error == simdjson::SUCCESS, ErrorCode::kFormat, "[{}] is not valid JSON ({} bytes): {}",
          in.origin(), text.size(), simdjson::error_message(error));
  const dom::object root = in.object(document, "the file");
  spec.origin = in.origin();
  read_model(in, root, spec);
  read_pipeline(in, root, spec);
  read_added_tokens(in, root, spec);
}

}  // namespace vl3
