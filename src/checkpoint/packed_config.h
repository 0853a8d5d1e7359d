#pragma once
// Checkpoints quantised by other programs: what config.json says of how their weights are packed.

#include <cstdint>
#include <optional>

#include "base/json.h"

namespace vl3 {

enum class PackedMethod { kAwq, kGptq, kBitsAndBytes };

struct PackedFormat {
  PackedMethod method = PackedMethod::kGptq;
  int64_t bits = 4;
  int64_t group_size = 128;     // inputs that share a scale; -1: all of them
  bool zeros_less_one = false;  // GPTQ of the first format stores zero points less one
  bool zeros_borrowed =
      false;  // and GPTQModel took the one from whole words, with borrows between zero points
};

// The "quantization_config" of config.json; nothing where there is none, or where it is this project's own.
// Throws kUnsupported, by name, for every method and layout that is not read (docs/checkpoints.md lists those
// that are), kFormat for values of a wrong type.
std::optional<PackedFormat> read_packed_format(const JsonView& config);

}  // namespace vl3
