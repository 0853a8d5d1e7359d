#pragma once
// Reading config.json: values that are range-checked, names that are known, and the parts of the file, each
// its own function.

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "vl3/config.h"

namespace vl3 {

// Far above any model there is, low enough that no product of two extents of a tensor overflows.
inline constexpr int64_t kMaxWidth = 1 << 20;
inline constexpr int64_t kMaxLayers = 4096;
inline constexpr int64_t kMaxVocabulary = 1 << 26;
inline constexpr int64_t kMaxPositions = int64_t{1} << 40;

// A finite number in [low, high]; throws kFormat naming field, value and limits.
double number_between(const JsonView& view, std::string_view key, double fallback, double low, double high);

// One of the values allowed; throws kUnsupported naming field, value and what there is.
std::string one_of(const JsonView& view, std::string_view key, std::string_view fallback,
                   std::initializer_list<std::string_view> allowed);

// An id below vocab_size; nothing where it is absent, null or negative (files say "none" with -1).
std::optional<int64_t> token_id(const JsonView& view, std::string_view key, int64_t vocab_size);

// Throws kUnsupported where key holds anything but what the engine assumes.
void refuse_unless(const JsonView& view, std::string_view key, bool assumed, std::string_view why);

// rope_parameters or rope_scaling, and rope_theta, of the object that holds the language model's fields.
RopeConfig read_rope(const JsonView& text, int64_t max_position_embeddings);
// The theta of the vision encoder's axial embedding.
double read_vision_rope_theta(const JsonView& vision);

TextConfig read_text_config(const JsonView& view);
VisionConfig read_vision_config(const JsonView& view);

Json rope_to_json(const RopeConfig& rope);

}  // namespace vl3
