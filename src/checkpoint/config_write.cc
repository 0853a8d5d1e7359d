// Config back to config.json, in the keys the reference's releases write.

#include "base/file.h"
#include "checkpoint/config_fields.h"

namespace vl3 {
namespace {

const char* long_name(DType dtype) {
  return dtype == DType::kF32 ? "float32" : dtype == DType::kBF16 ? "bfloat16" : "float16";
}

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}

Json eos_to_json(const std::vector<int64_t>& ids) {
  if (ids.empty()) return {};
  return ids.size() == 1 ? Json(ids[0]) : Json(ids);
}

Json vision_to_json(const VisionConfig& vision, const char* model_type) {
  return {{"model_type", model_type},
          {"hidden_size", vision.hidden_size},
          {"intermediate_size", vision.intermediate_size},
          {"num_hidden_layers", vision.num_hidden_layers},
          {"num_attention_heads", vision.num_attention_heads},
          {"num_channels", vision.num_channels},
          {"patch_size", vision.patch_size},
          {"hidden_act", vision.hidden_act},
          {"layer_norm_eps", vision.layer_norm_eps},
          {"initializer_range", vision.initializer_range}};
}

// The fields both layouts share under the same names.
Json text_to_json(const TextConfig& text) {
  Json json{{"vocab_size", text.vocab_size},
            {"hidden_size", text.hidden_size},
            {"intermediate_size", text.intermediate_size},
            {"num_hidden_layers", text.num_hidden_layers},
            {"num_attention_heads", text.num_attention_heads},
            {"num_key_value_heads", text.num_key_value_heads},
            {"hidden_act", text.hidden_act},
            {"max_position_embeddings", text.max_position_embeddings},
            {"rms_norm_eps", text.rms_norm_eps},
            {"initializer_range", text.initializer_range},
            {"bos_token_id", or_null(text.bos_token_id)},
            {"eos_token_id", eos_to_json(text.eos_token_ids)},
            {"pad_token_id", or_null(text.pad_token_id)},
            {"use_sliding_window", false}};
  if (text.head_dim * text.num_attention_heads != text.hidden_size) json["head_dim"] = text.head_dim;
  return json;
}

Json hugging_face(const Config& config) {
  Json text{{"model_type", "qwen2"}};
  text.update(text_to_json(config.text));
  text["tie_word_embeddings"] = config.text.tie_word_embeddings;
  text["rope_parameters"] = rope_to_json(config.text.rope);
  text["layer_types"] = Json::array();
  for (int64_t i = 0; i < config.text.num_hidden_layers; ++i) text["layer_types"].push_back("full_attention");
  Json vision = vision_to_json(config.vision, "video_llama_3_vision");
  vision["rope_parameters"] = {{"rope_type", "axial"}, {"rope_theta", config.vision.rope_theta}};
  Json json{{"architectures", Json::array({"VideoLlama3ForConditionalGeneration"})},
            {"model_type", "video_llama_3"}};
  if (config.dtype) json["dtype"] = long_name(*config.dtype);
  json["image_token_id"] = config.image_token_id;
  json["video_token_id"] = config.video_token_id;
  json["tie_word_embeddings"] = config.tie_word_embeddings;
  json["text_config"] = std::move(text);
  json["vision_config"] = std::move(vision);
  return json;
}

Json original(const Config& config) {
  require(config.image_token_id == config.video_token_id, ErrorCode::kInvalidArgument,
          "[config] layout videollama3_qwen2 has one image token for pictures and frames, not {} and {}",
          config.image_token_id, config.video_token_id);
  require(config.vision.rope_theta == 10000.0, ErrorCode::kInvalidArgument,
          "[config] layout videollama3_qwen2 has 10000 for the vision encoder's rope theta, not {}",
          config.vision.rope_theta);
  Json json{{"architectures", Json::array({"Videollama3Qwen2ForCausalLM"})},
            {"model_type", "videollama3_qwen2"}};
  json.update(text_to_json(config.text));
  json["tie_word_embeddings"] = config.tie_word_embeddings;
  Json rope = rope_to_json(config.text.rope);
  json["rope_theta"] = config.text.rope.theta;
  rope.erase("rope_theta");
  json["rope_scaling"] = config.text.rope.type == "default" ? Json() : rope;
  if (config.dtype) json["torch_dtype"] = long_name(*config.dtype);
  json["mm_projector_type"] = "mlp2x_gelu";
  if (config.use_token_compression) json["use_token_compression"] = *config.use_token_compression;
  json["image_token_index"] = config.image_token_id;
  json["vision_encoder"] = nullptr;
  json["vision_encoder_config"] = vision_to_json(config.vision, "videollama3_vision_encoder");
  return json;
}

}  // namespace

Json Config::to_json(Layout wanted) const {
  return wanted == Layout::kHuggingFace ? hugging_face(*this) : original(*this);
}

void Config::save(const std::filesystem::path& folder) const {
  AtomicFile file(folder / "config.json");
  file.write(to_json(layout).dump(2) + "\n");
  file.commit();
}

}  // namespace vl3
