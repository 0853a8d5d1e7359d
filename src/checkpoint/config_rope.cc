// Rotary embeddings as config.json tells them: release 5 has rope_parameters, release 4 rope_theta beside
// rope_scaling, and older files "type" for "rope_type". What wins is as in the reference's
// RotaryEmbeddingConfigMixin.

#include "checkpoint/config_fields.h"

namespace vl3 {
namespace {

constexpr double kLargestTheta = 1e15;
constexpr double kLargestFactor = 1e6;

// Where the parameters are: rope_scaling if it says anything, else rope_parameters, else nothing.
std::optional<JsonView> find_parameters(const JsonView& holder) {
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (!holder.has(key)) continue;
    JsonView parameters = holder.child(key);
    if (parameters.json().empty()) continue;
    for (const auto& [name, value] : parameters.json().items()) {
      require(!value.is_object(), ErrorCode::kUnsupported,
              "[{}] has parameters of its own for \"{}\": one rotary embedding for all layers is supported",
              parameters.origin(), name);
    }
    return parameters;
  }
  return std::nullopt;
}

std::string type_of(const JsonView& parameters) {
  return parameters.string("rope_type", parameters.string("type", "default"));
}

double read_theta(const JsonView& holder, const std::optional<JsonView>& parameters) {
  const double theta = number_between(holder, "rope_theta", 10000.0, 1e-3, kLargestTheta);
  return parameters ? number_between(*parameters, "rope_theta", theta, 1e-3, kLargestTheta) : theta;
}

void refuse_partial_rotation(const JsonView& view) {
  const double part = view.number("partial_rotary_factor", 1.0);
  require(part == 1.0, ErrorCode::kUnsupported,
          "[{}] \"partial_rotary_factor\" is {}: only whole heads are rotated", view.origin(), part);
}

double read_factor(const JsonView& parameters, std::string_view type) {
  require(parameters.has("factor"), ErrorCode::kFormat,
          "[{}] has no \"factor\", which rope type \"{}\" needs", parameters.origin(), type);
  return number_between(parameters, "factor", 1.0, 1e-6, kLargestFactor);
}

// A number for which the reference takes 0 and null as not given.
double number_or(const JsonView& parameters, std::string_view key, double fallback, double high) {
  const double value = number_between(parameters, key, 0.0, 0.0, high);
  return value == 0 ? fallback : value;
}

void read_yarn(const JsonView& holder, const JsonView& parameters, int64_t max_positions, RopeConfig& rope) {
  const int64_t original =
      parameters.integer("original_max_position_embeddings", max_positions, 1, kMaxPositions);
  rope.original_max_position_embeddings =
      holder.integer("original_max_position_embeddings", original, 1, kMaxPositions);
  // A null factor (but not an absent one) means the ratio of the two context lengths.
  if (parameters.json().contains("factor") && !parameters.has("factor")) {
    rope.factor =
        static_cast<double>(max_positions) / static_cast<double>(rope.original_max_position_embeddings);
  } else {
    rope.factor = read_factor(parameters, rope.type);
  }
  if (parameters.has("attention_factor")) {
    rope.attention_factor = number_between(parameters, "attention_factor", 1.0, 0.0, kLargestFactor);
  }
  rope.beta_fast = number_or(parameters, "beta_fast", 32.0, 1e9);
  rope.beta_slow = number_or(parameters, "beta_slow", 1.0, 1e9);
  require(rope.beta_fast >= rope.beta_slow, ErrorCode::kFormat,
          "[{}] \"beta_fast\" {} should be at least \"beta_slow\" {}", parameters.origin(), rope.beta_fast,
          rope.beta_slow);
  rope.mscale = number_between(parameters, "mscale", 0.0, 0.0, kLargestFactor);
  rope.mscale_all_dim = number_between(parameters, "mscale_all_dim", 0.0, 0.0, kLargestFactor);
  const bool is_null = parameters.json().contains("truncate") && !parameters.has("truncate");
  rope.truncate = !is_null && parameters.boolean("truncate", true);
  require(rope.theta > 1.0, ErrorCode::kFormat,
          "[{}] \"rope_theta\" should be above 1 for rope type \"yarn\", not {}", parameters.origin(),
          rope.theta);
}

}  // namespace

RopeConfig read_rope(const JsonView& text, int64_t max_position_embeddings) {
  RopeConfig rope;
  const std::optional<JsonView> parameters = find_parameters(text);
  rope.theta = read_theta(text, parameters);
  refuse_partial_rotation(text);
  if (!parameters) return rope;
  refuse_partial_rotation(*parameters);
  rope.type = type_of(*parameters);
  if (rope.type == "default") return rope;
  if (rope.type == "linear" || rope.type == "dynamic") {
    rope.factor = read_factor(*parameters, rope.type);
  } else if (rope.type == "yarn") {
    read_yarn(text, *parameters, max_position_embeddings, rope);
  } else {
    fail(ErrorCode::kUnsupported,
         "[{}] \"rope_type\" is {}, which the engine does not support; it supports {}", parameters->origin(),
         shown(Json(rope.type)), "default, linear, dynamic, yarn");
  }
  return rope;
}

double read_vision_rope_theta(const JsonView& vision) {
  const std::optional<JsonView> parameters = find_parameters(vision);
  refuse_partial_rotation(vision);
  if (parameters) {
    refuse_partial_rotation(*parameters);
    const std::string type = type_of(*parameters);
    // The reference takes "default" for "axial" here: old files say so.
    require(type == "axial" || type == "default", ErrorCode::kUnsupported,
            "[{}] \"rope_type\" is {}, which the vision encoder does not support; it supports axial",
            parameters->origin(), shown(Json(type)));
  }
  return read_theta(vision, parameters);
}

Json rope_to_json(const RopeConfig& rope) {
  Json json{{"rope_type", rope.type}, {"rope_theta", rope.theta}};
  if (rope.type != "default") json["factor"] = rope.factor;
  if (rope.type != "yarn") return json;
  json["original_max_position_embeddings"] = rope.original_max_position_embeddings;
  if (rope.attention_factor) json["attention_factor"] = *rope.attention_factor;
  const RopeConfig unsaid;
  if (rope.beta_fast != unsaid.beta_fast) json["beta_fast"] = rope.beta_fast;
  if (rope.beta_slow != unsaid.beta_slow) json["beta_slow"] = rope.beta_slow;
  if (rope.mscale != 0) json["mscale"] = rope.mscale;
  if (rope.mscale_all_dim != 0) json["mscale_all_dim"] = rope.mscale_all_dim;
  if (!rope.truncate) json["truncate"] = false;
  return json;
}

}  // namespace vl3
