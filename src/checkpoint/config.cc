#include "vl3/config.h"

#include <algorithm>
#include <cmath>

#include "base/file.h"
#include "base/model_folder.h"
#include "checkpoint/config_fields.h"
#include "checkpoint/packed_config.h"

namespace vl3 {

double number_between(const JsonView& view, std::string_view key, double fallback, double low, double high) {
  const double value = view.number(key, fallback);
  require(std::isfinite(value) && value >= low && value <= high, ErrorCode::kFormat,
          "[{}] \"{}\" should be a number from {} to {}, not {}", view.origin(), key, low, high, value);
  return value;
}

std::string one_of(const JsonView& view, std::string_view key, std::string_view fallback,
                   std::initializer_list<std::string_view> allowed) {
  std::string value = view.string(key, std::string(fallback));
  require(std::find(allowed.begin(), allowed.end(), value) != allowed.end(), ErrorCode::kUnsupported,
          "[{}] \"{}\" is {}, which the engine does not support; it supports {}", view.origin(), key,
          shown(Json(value)), fmt::join(allowed, ", "));
  return value;
}

std::optional<int64_t> token_id(const JsonView& view, std::string_view key, int64_t vocab_size) {
  if (!view.has(key)) return std::nullopt;
  const int64_t id = view.integer(key, 0, INT32_MIN, vocab_size - 1);
  return id < 0 ? std::nullopt : std::optional(id);
}

void refuse_unless(const JsonView& view, std::string_view key, bool assumed, std::string_view why) {
  require(view.boolean(key, assumed) == assumed, ErrorCode::kUnsupported, "[{}] \"{}\" is {}: {}",
          view.origin(), key, !assumed, why);
}
namespace {

namespace fs = std::filesystem;
constexpr uint64_t kMaxConfigBytes = 16 << 20;

int64_t extent(const JsonView& view, std::string_view key, int64_t fallback, int64_t most) {
  return view.integer(key, fallback, 1, most);
}

// Layers that see only a window of the tokens before them are not supported; a window that no layer uses is
// nothing.
void refuse_sliding_window(const JsonView& view, int64_t num_layers) {
  if (const Json* types = view.find("layer_types")) {
    require(types->is_array() && types->size() == static_cast<size_t>(num_layers), ErrorCode::kFormat,
            "[{}] \"layer_types\" should be a list of {} types, one a layer, not {}", view.origin(),
            num_layers, shown(*types));
    for (const Json& type : *types) {
      require(type.is_string() && type == "full_attention", ErrorCode::kUnsupported,
              "[{}] \"layer_types\" holds {}, which the engine does not support; it supports full_attention",
              view.origin(), shown(type));
    }
    return;
  }
  if (!view.boolean("use_sliding_window", false)) return;
  const bool no_window = view.json().contains("sliding_window") && !view.has("sliding_window");
  const int64_t first = view.integer("max_window_layers", 28, 0, INT32_MAX);
  require(no_window || first >= num_layers, ErrorCode::kUnsupported,
          "[{}] \"use_sliding_window\" is true and layers {} to {} would use it: sliding windows are not "
          "supported",
          view.origin(), first, num_layers - 1);
}

std::vector<int64_t> read_eos(const JsonView& view, int64_t vocab_size) {
  const Json* value = view.find("eos_token_id");
  if (value == nullptr) return {};
  if (!value->is_array()) {
    const auto id = token_id(view, "eos_token_id", vocab_size);
    return id ? std::vector{*id} : std::vector<int64_t>{};
  }
  std::vector<int64_t> ids;
  for (const Json& item : *value) {
    require(item.is_number_integer() && item >= 0 && item < vocab_size, ErrorCode::kFormat,
            "[{}] \"eos_token_id\" should hold integers from 0 to {}, not {}", view.origin(), vocab_size - 1,
            shown(item));
    ids.push_back(item.get<int64_t>());
  }
  return ids;
}

// "head_dim" where it is given, else the share of a head.
int64_t read_head_dim(const JsonView& view, int64_t hidden_size, int64_t num_heads, int64_t multiple) {
  require(view.has("head_dim") || hidden_size % num_heads == 0, ErrorCode::kFormat,
          "[{}] \"hidden_size\" {} should be divisible by \"num_attention_heads\" {}", view.origin(),
          hidden_size, num_heads);
  const int64_t head_dim = view.integer("head_dim", hidden_size / num_heads, 1, kMaxWidth);
  require(head_dim % multiple == 0, ErrorCode::kFormat,
          "[{}] heads are {} wide (\"hidden_size\" {}, \"num_attention_heads\" {}): rotary embedding needs a "
          "multiple of {}",
          view.origin(), head_dim, hidden_size, num_heads, multiple);
  require(head_dim * num_heads <= kMaxWidth, ErrorCode::kFormat,
          "[{}] \"num_attention_heads\" {} x \"head_dim\" {} is more than {}", view.origin(), num_heads,
          head_dim, kMaxWidth);
  return head_dim;
}

std::optional<DType> read_dtype(const JsonView& view) {
  const char* key = view.has("dtype") ? "dtype" : "torch_dtype";
  if (!view.has(key)) return std::nullopt;
  std::string name = view.string(key, "");
  if (name.starts_with("torch.")) name.erase(0, 6);
  for (const auto& [known, dtype] : {std::pair{"float32", DType::kF32}, std::pair{"bfloat16", DType::kBF16},
                                     std::pair{"float16", DType::kF16}}) {
    if (name == known) return dtype;
  }
  fail(ErrorCode::kUnsupported,
       "[{}] \"{}\" is {}, which the engine does not support; it supports float32, bfloat16, float16",
       view.origin(), key, shown(Json(name)));
}

void read_hugging_face(const JsonView& view, Config& config) {
  const Json empty = Json::object();
  const auto part = [&](const char* key) {
    return view.has(key) ? view.child(key) : JsonView(empty, fmt::format("{}: {}", view.origin(), key));
  };
  const JsonView text = part("text_config"), vision = part("vision_config");
  one_of(text, "model_type", "qwen2", {"qwen2"});
  one_of(vision, "model_type", "video_llama_3_vision",
         {"video_llama_3_vision", "videollama3_vision_encoder"});
  config.text = read_text_config(text);
  config.vision = read_vision_config(vision);
  const int64_t last = config.text.vocab_size - 1;
  config.image_token_id = view.integer("image_token_id", 151655, 0, last);
  config.video_token_id = view.integer("video_token_id", 151656, 0, last);
  require(std::max(config.image_token_id, config.video_token_id) <= last, ErrorCode::kFormat,
          "[{}] has no \"{}\", and what it is by default, {}, lies beyond the vocabulary of {}",
          view.origin(), config.image_token_id > last ? "image_token_id" : "video_token_id",
          config.image_token_id > last ? config.image_token_id : config.video_token_id, last + 1);
  // Said in either place it holds, as in the reference.
  config.tie_word_embeddings = view.boolean("tie_word_embeddings", false) || config.text.tie_word_embeddings;
  config.dtype = view.has("dtype") || view.has("torch_dtype") ? read_dtype(view) : read_dtype(text);
}

void read_original(const JsonView& view, Config& config) {
  one_of(view, "mm_projector_type", "mlp2x_gelu", {"mlp2x_gelu"});
  require(view.has("vision_encoder_config"), ErrorCode::kFormat,
          "[{}] has no \"vision_encoder_config\": the vision encoder's shape is unknown", view.origin());
  const JsonView vision = view.child("vision_encoder_config");
  one_of(vision, "model_type", "videollama3_vision_encoder",
         {"videollama3_vision_encoder", "video_llama_3_vision"});
  config.text = read_text_config(view);
  config.vision = read_vision_config(vision);
  require(view.has("image_token_index"), ErrorCode::kFormat, "[{}] has no \"image_token_index\"",
          view.origin());
  config.image_token_id = view.integer("image_token_index", -1, 0, config.text.vocab_size - 1);
  config.video_token_id = config.image_token_id;
  config.tie_word_embeddings = config.text.tie_word_embeddings;
  config.dtype = read_dtype(view);
  if (view.has("use_token_compression"))
    config.use_token_compression = view.boolean("use_token_compression", true);
}

}  // namespace

const char* to_string(Layout layout) noexcept {
  return layout == Layout::kHuggingFace ? "video_llama_3" : "videollama3_qwen2";
}

TextConfig read_text_config(const JsonView& view) {
  TextConfig text;
  text.vocab_size = extent(view, "vocab_size", text.vocab_size, kMaxVocabulary);
  text.hidden_size = extent(view, "hidden_size", text.hidden_size, kMaxWidth);
  text.intermediate_size = extent(view, "intermediate_size", text.intermediate_size, kMaxWidth);
  text.num_hidden_layers = extent(view, "num_hidden_layers", text.num_hidden_layers, kMaxLayers);
  text.num_attention_heads = extent(view, "num_attention_heads", text.num_attention_heads, kMaxWidth);
  // Absent and null differ: the class's default is 32, and null means one for each head.
  const bool null_kv = view.json().contains("num_key_value_heads") && !view.has("num_key_value_heads");
  text.num_key_value_heads = null_kv
                                 ? text.num_attention_heads
                                 : extent(view, "num_key_value_heads", text.num_key_value_heads, kMaxWidth);
  require(text.num_attention_heads % text.num_key_value_heads == 0, ErrorCode::kFormat,
          "[{}] \"num_attention_heads\" {} should be divisible by \"num_key_value_heads\" {}", view.origin(),
          text.num_attention_heads, text.num_key_value_heads);
  text.head_dim = read_head_dim(view, text.hidden_size, text.num_attention_heads, 2);
  text.max_position_embeddings =
      extent(view, "max_position_embeddings", text.max_position_embeddings, kMaxPositions);
  text.rms_norm_eps = number_between(view, "rms_norm_eps", text.rms_norm_eps, 0.0, 1.0);
  one_of(view, "hidden_act", "silu", {"silu", "swish"});
  text.initializer_range = number_between(view, "initializer_range", text.initializer_range, 0.0, 10.0);
  text.rope = read_rope(view, text.max_position_embeddings);
  require(text.rope.type != "dynamic" || text.head_dim > 2, ErrorCode::kFormat,
          "[{}] heads are {} wide: rope type \"dynamic\" needs more than 2", view.origin(), text.head_dim);
  text.tie_word_embeddings = view.boolean("tie_word_embeddings", false);
  text.bos_token_id = token_id(view, "bos_token_id", text.vocab_size);
  text.pad_token_id = token_id(view, "pad_token_id", text.vocab_size);
  text.eos_token_ids = read_eos(view, text.vocab_size);
  refuse_sliding_window(view, text.num_hidden_layers);
  refuse_unless(view, "attention_bias", true, "queries, keys and values of a Qwen2 have a bias");
  refuse_unless(view, "mlp_bias", false, "the gated MLP of a Qwen2 has no bias");
  return text;
}

VisionConfig read_vision_config(const JsonView& view) {
  VisionConfig vision;
  vision.hidden_size = extent(view, "hidden_size", vision.hidden_size, kMaxWidth);
  vision.intermediate_size = extent(view, "intermediate_size", vision.intermediate_size, kMaxWidth);
  vision.num_hidden_layers = extent(view, "num_hidden_layers", vision.num_hidden_layers, kMaxLayers);
  vision.num_attention_heads = extent(view, "num_attention_heads", vision.num_attention_heads, kMaxWidth);
  vision.num_channels = extent(view, "num_channels", vision.num_channels, 1024);
  if (const Json* patch = view.find("patch_size")) {
    require(!patch->is_array(), ErrorCode::kUnsupported,
            "[{}] \"patch_size\" is the list {}: only one number, for square patches, is supported",
            view.origin(), shown(*patch));
  }
  vision.patch_size = extent(view, "patch_size", vision.patch_size, 1024);
  const std::string act =
      one_of(view, "hidden_act", vision.hidden_act,
             {"gelu_pytorch_tanh", "gelu_python_tanh", "gelu", "gelu_python", "silu", "swish"});
  // Two spellings of one function each.
  vision.hidden_act = act == "gelu_python_tanh" ? "gelu_pytorch_tanh"
                      : act == "gelu_python"    ? "gelu"
                      : act == "swish"          ? "silu"
                                                : act;
  vision.layer_norm_eps = number_between(view, "layer_norm_eps", vision.layer_norm_eps, 0.0, 1.0);
  vision.initializer_range = number_between(view, "initializer_range", vision.initializer_range, 0.0, 10.0);
  vision.rope_theta = read_vision_rope_theta(view);
  const int64_t head_dim = read_head_dim(view, vision.hidden_size, vision.num_attention_heads, 4);
  require(head_dim * vision.num_attention_heads == vision.hidden_size, ErrorCode::kUnsupported,
          "[{}] \"head_dim\" {} x \"num_attention_heads\" {} is not \"hidden_size\" {}", view.origin(),
          head_dim, vision.num_attention_heads, vision.hidden_size);
  return vision;
}

Config Config::from_json(const Json& json, std::string_view origin) {
  const JsonView view(json, std::string(origin));
  require(view.has("model_type"), ErrorCode::kFormat, "[{}] has no \"model_type\"", origin);
  const std::string type = one_of(view, "model_type", "", {"video_llama_3", "videollama3_qwen2"});
  read_packed_format(view);  // refuses what is not read
  Config config;
  config.layout = type == "video_llama_3" ? Layout::kHuggingFace : Layout::kOriginal;
  if (config.layout == Layout::kHuggingFace) {
    read_hugging_face(view, config);
  } else {
    read_original(view, config);
  }
  return config;
}

Config Config::from_pretrained(const fs::path& folder) {
  // A file of another name than config.json means the one beside it, where there is one.
  std::error_code ignored;
  const fs::path beside = model_folder(folder) / "config.json";
  const fs::path path =
      resolve_link_stub(fs::exists(beside, ignored) || fs::is_directory(folder, ignored) ? beside : folder);
  return from_json(parse_json(read_file(path, kMaxConfigBytes), path.string()), path.string());
}

std::optional<Json> read_generation_config(const fs::path& folder) {
  const fs::path path = resolve_link_stub(folder / "generation_config.json");
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return std::nullopt;
  Json json = parse_json(read_file(path, kMaxConfigBytes), path.string());
  JsonView check(json, path.string());  // throws unless it is an object
  return json;
}

}  // namespace vl3
