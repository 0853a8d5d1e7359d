#pragma once
// What a checkpoint's config.json says, in one form for both layouts. docs/checkpoints.md lists every key
// that is read. Reference classes: VideoLlama3Config, VideoLlama3VisionConfig, Qwen2Config,
// RotaryEmbeddingConfigMixin.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vl3/export.h"
#include "vl3/json.h"
#include "vl3/tensor.h"

namespace vl3 {

// kHuggingFace: model_type "video_llama_3", with text_config and vision_config.
// kOriginal: model_type "videollama3_qwen2", flat, with vision_encoder_config.
enum class Layout { kHuggingFace, kOriginal };
VL3_API const char* to_string(Layout layout) noexcept;  // the model_type

// Rotary position embedding of the language model.
struct RopeConfig {
  std::string type = "default";  // "default", "linear", "dynamic" or "yarn"
  double theta = 10000.0;
  double factor = 1.0;  // > 0; of every type but "default"

  // Of "yarn" only.
  int64_t original_max_position_embeddings = 0;  // context length before scaling
  std::optional<double> attention_factor;        // absent: follows from factor and the two below
  double beta_fast = 32.0, beta_slow = 1.0;
  double mscale = 0.0, mscale_all_dim = 0.0;  // 0: not given
  bool truncate = true;

  bool operator==(const RopeConfig&) const = default;
};

// The language model, a Qwen2. Defaults are those of the reference's class.
struct TextConfig {
  int64_t vocab_size = 151936;
  int64_t hidden_size = 4096;
  int64_t intermediate_size = 22016;
  int64_t num_hidden_layers = 32;
  int64_t num_attention_heads = 32;
  int64_t num_key_value_heads = 32;  // divides num_attention_heads
  int64_t head_dim = 128;            // even; hidden_size / num_attention_heads where the file does not say
  int64_t max_position_embeddings = 32768;
  double rms_norm_eps = 1e-6;
  std::string hidden_act = "silu";  // of the gated MLP; nothing else is supported
  double initializer_range = 0.02;  // deviation of weights that training draws anew
  RopeConfig rope;
  bool tie_word_embeddings =
      false;  // as the file's text_config says; Config::tie_word_embeddings is what holds
  std::optional<int64_t> bos_token_id, pad_token_id;
  std::vector<int64_t> eos_token_ids;

  bool operator==(const TextConfig&) const = default;
};

// The vision encoder. Defaults are those of the reference's class.
struct VisionConfig {
  int64_t hidden_size = 768;
  int64_t intermediate_size = 3072;
  int64_t num_hidden_layers = 12;
  int64_t num_attention_heads = 12;  // divides hidden_size, into heads of a multiple of 4
  int64_t num_channels = 3;
  int64_t patch_size = 16;                       // pixels, square
  std::string hidden_act = "gelu_pytorch_tanh";  // or "gelu", "silu"
  double layer_norm_eps = 1e-6;
  double rope_theta = 10000.0;  // of the two-dimensional ("axial") rotary embedding
  double initializer_range = 0.02;

  int64_t head_dim() const noexcept { return hidden_size / num_attention_heads; }
  int64_t patch_width() const noexcept { return num_channels * patch_size * patch_size; }
  bool operator==(const VisionConfig&) const = default;
};

struct VL3_API Config {
  TextConfig text;
  VisionConfig vision;
  int64_t image_token_id = 151655;
  int64_t video_token_id =
      151656;  // the same as image_token_id in the original layout, which has one for both
  bool tie_word_embeddings = false;  // the head is the embedding: said at the top level or in text_config
  Layout layout = Layout::kHuggingFace;
  std::optional<DType> dtype;  // what the file claims; each weight's own type is what counts
  std::optional<bool>
      use_token_compression;  // original layout only; elsewhere the video processor's file says

  // Reads config.json of a checkpoint folder (or that file itself). Throws kNotFound, kFormat (a value of the
  // wrong type or out of its range) and kUnsupported (a model the engine cannot run right), naming file,
  // field, value and limit.
  static Config from_pretrained(const std::filesystem::path& folder);
  // The same from parsed JSON; origin begins the error messages.
  static Config from_json(const Json& json, std::string_view origin);

  // config.json in the given layout; from_json of it gives back an equal Config, and so does the reference
  // (its release 5 keys, and those of release 4 for the original layout). Throws kInvalidArgument where the
  // layout cannot say it.
  Json to_json(Layout layout) const;
  void save(const std::filesystem::path& folder) const;  // config.json, in this->layout, whole or not at all

  bool operator==(const Config&) const = default;
};

// generation_config.json of a checkpoint folder, an object; nothing where there is no such file.
VL3_API std::optional<Json> read_generation_config(const std::filesystem::path& folder);

}  // namespace vl3
