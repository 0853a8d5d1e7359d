#include "serve/embeddings.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstring>

#include "engine/hidden_work.h"
#include "serve/chat_request.h"
#include "serve/completion_request.h"
#include "serve/conversation.h"

namespace vl3::serve {
namespace {

constexpr size_t kMostInputs = 2048;

std::string base64_of(const std::vector<float>& numbers) {
  static_assert(std::endian::native == std::endian::little);
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::vector<uint8_t> bytes(numbers.size() * sizeof(float));
  std::memcpy(bytes.data(), numbers.data(), bytes.size());
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t j = 0; j < 3; ++j) group = group << 8 | (i + j < bytes.size() ? bytes[i + j] : 0u);
    for (size_t j = 0; j < 4; ++j) text += i + j > bytes.size() ? '=' : kDigits[group >> (18 - 6 * j) & 63];
  }
  return text;
}

void make_unit_length(std::vector<float>& vector) {
  double square = 0;
  for (const float x : vector) square += static_cast<double>(x) * x;
  if (square <= 0) return;
  const double scale = 1 / std::sqrt(square);
  for (float& x : vector) x = static_cast<float>(x * scale);
}

// How vectors are given back.
class Listing {
 public:
  Listing(const FieldReader& fields, int64_t width) {
    const std::string format = fields.text("encoding_format").value_or("float");
    if (format != "float" && format != "base64") fields.wrong("encoding_format", "float or base64");
    as_base64_ = format == "base64";
    normalize_ = fields.boolean("normalize").value_or(true);
    const auto dimensions = fields.integer("dimensions", 1, width);
    if (dimensions && *dimensions != width)
      refuse("dimensions",
             fmt::format("\"dimensions\" is {}; this model's vectors have {} and are not made to be "
                         "cut.",
                         *dimensions, width));
  }

  Json& add(std::vector<float> vector) {
    if (normalize_) make_unit_length(vector);
    Json entry = {{"object", "embedding"}, {"index", data_.size()}};
    if (as_base64_)
      entry["embedding"] = base64_of(vector);
    else
      entry["embedding"] = vector;
    data_.push_back(std::move(entry));
    return data_.back();
  }

  Json finish(const std::string& model, int64_t tokens) {
    return {{"object", "list"},
            {"data", std::move(data_)},
            {"model", model},
            {"usage", {{"prompt_tokens", tokens}, {"total_tokens", tokens}}}};
  }

 private:
  bool as_base64_ = false, normalize_ = true;
  Json data_ = Json::array();
};

bool has_text(const Conversation& conversation) {
  for (const Json& message : conversation.read.messages) {
    const Json& content = message["content"];
    if (content.is_string() && !content.get_ref<const std::string&>().empty()) return true;
    if (!content.is_array()) continue;
    for (const Json& part : content) {
      if (part.is_object() && !part["text"].get_ref<const std::string&>().empty()) return true;
    }
  }
  return false;
}

// Media alone: the mean of each one's visual tokens.
int64_t add_media(Service& service, const Conversation& conversation, ProcessorRequest request,
                  bool per_frame, const Cancelled& cancelled, Listing& listing) {
  VisualVectors vectors = visual_vectors(service.thread, std::move(request), per_frame, cancelled);
  size_t picture = 0, clip = 0;
  int64_t tokens = 0;
  for (size_t i = 0; i < conversation.read.media.size(); ++i) {
    const bool video = conversation.read.media[i].kind == MediaKind::kVideo;
    for (VisualVector& vector : video ? vectors.clips[clip++] : vectors.pictures[picture++]) {
      tokens += vector.tokens;
      Json& entry = listing.add(std::move(vector.mean));
      entry["media"] = i;
      entry["tokens"] = vector.tokens;
      if (!per_frame || !video) continue;
      entry["frame"] = vector.frame;
      entry["timestamp"] = vector.timestamp;
    }
  }
  return tokens;
}

int64_t add_messages(Service& service, const FieldReader& fields, const std::string& client,
                     const Cancelled& cancelled, Listing& listing) {
  const Processor& processor = service.engine.processor();
  const Conversation conversation =
      read_conversation(fields, *fields.find("messages"), "messages", processor);
  const bool per_frame = fields.boolean("per_frame").value_or(false);
  const bool text = has_text(conversation), media = !conversation.read.media.empty();
  if (!text && !media) refuse("messages", "\"messages\" holds neither text nor media.");
  if (per_frame && (text || !media))
    refuse("per_frame", "\"per_frame\" is for pictures and clips without text beside them.");
  ProcessorRequest request = fetch_media(conversation, processor, service.engine.options().limits,
                                         service.intake, {client, cancelled});
  if (media && !text)
    return add_media(service, conversation, std::move(request), per_frame, cancelled, listing);
  int64_t tokens = 0;
  listing.add(last_hidden_state(service.thread, std::move(request), cancelled, &tokens));
  return tokens;
}

}  // namespace

Json embeddings(Service& service, const Json& body, const std::string& client,
                const std::function<bool()>& cancelled) {
  const FieldReader fields(body);
  const auto model = service.options.models.find(fields.text("model"));
  if (model.adapter >= 0)
    refuse("model", "Embeddings are made by the model itself, not by its adapters.", "unsupported");
  refuse_unsupported(fields);
  Listing listing(fields, service.engine.model().config().text.hidden_size);
  if (fields.has("messages")) {
    if (fields.has("input")) refuse("input", "There are both \"input\" and \"messages\".");
    const int64_t tokens = add_messages(service, fields, client, cancelled, listing);
    return listing.finish(model.name, tokens);
  }
  if (fields.boolean("per_frame").value_or(false))
    refuse("per_frame", "\"per_frame\" goes with \"messages\" of pictures and clips, not with \"input\".");
  int64_t tokens = 0;
  for (const std::vector<int64_t>& ids : read_prompts(service, fields, "input", kMostInputs)) {
    tokens += static_cast<int64_t>(ids.size());
    listing.add(last_hidden_state(service.thread, ids, cancelled));
  }
  return listing.finish(model.name, tokens);
}

}  // namespace vl3::serve
