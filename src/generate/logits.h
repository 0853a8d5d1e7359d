#pragma once
// The logits of a step. What reads them says how much it needs, so that a device need not send a vocabulary
// for every sequence.

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "vl3/tensor.h"

namespace vl3 {

// A cheap value. Reading is thread-safe.
class Logits {
 public:
  Logits() = default;
  explicit Logits(Tensor rows) : rows_(std::move(rows)) {}  // [rows, vocabulary] f32

  int64_t rows() const { return rows_.defined() ? rows_.dim(0) : 0; }
  int64_t vocab_size() const { return rows_.defined() ? rows_.dim(1) : 0; }

  // Index of the largest logit, the first of equals. Throws as most_likely (sampler.h).
  int64_t argmax(int64_t row) const;
  // The count largest, largest first, the smaller id first among equals.
  std::vector<std::pair<int64_t, float>> top_k(int64_t row, int64_t count) const;
  // The whole row in host memory, valid as long as this value or a copy of it.
  std::span<const float> row(int64_t index) const;

 private:
  Tensor rows_;
};

// Where the rows of one task begin; its feeds' rows lie one behind the other.
struct LogitRows {
  Logits logits;
  int64_t first = 0;

  int64_t argmax(int64_t index) const { return logits.argmax(first + index); }
  std::span<const float> row(int64_t index) const { return logits.row(first + index); }
};

}  // namespace vl3
