#pragma once
// The operations of the published 2B model by size: what tests/ops checks and benchmark_ops times.

#include <cstdint>

namespace vl3::test {

struct LinearShape {
  const char* where;
  int64_t n, k;  // of W
};
inline constexpr LinearShape kLinearShapes[] = {
    {"vision q, k, v, out", 1152, 1152}, {"vision fc1", 4304, 1152},  {"vision fc2", 1152, 4304},
    {"projector in", 1536, 1152},        {"text q, out", 1536, 1536}, {"text k, v", 256, 1536},
    {"text gate, up", 8960, 1536},       {"text down", 1536, 8960},
};

struct AttentionShape {
  const char* where;
  int64_t rows, keys, heads, kv_heads, width;
  bool causal;
};
inline constexpr AttentionShape kAttentionShapes[] = {
    {"vision, a picture of 448 x 448", 1024, 1024, 16, 16, 72, false},
    {"prefill of 1,024 tokens", 1024, 1024, 12, 2, 128, true},
    {"8 tokens to verify after 2,048", 8, 2056, 12, 2, 128, true},
    {"decode after 2,048 tokens", 1, 2049, 12, 2, 128, true},
};

inline constexpr int64_t kVisionWidth = 1152, kVisionMlp = 4304, kTextWidth = 1536, kTextMlp = 8960;

}  // namespace vl3::test
