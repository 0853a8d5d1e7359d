#pragma once
// Ragged inside, whether sequences come as lists or padded: which cells of a padded [B, T] batch are
// computed, and how results go back to their places.

#include <cstdint>
#include <span>
#include <vector>

#include "model/language_model.h"
#include "vl3/model.h"

namespace vl3 {

inline constexpr int64_t kIgnoredLabel = -100;

struct PackedBatch {
  int64_t batch = 0, columns = 0;
  std::vector<int64_t> cells;  // [R] cell b·T + t that each computed row stands for
  std::vector<int64_t> ids;    // [R]; empty where the input brought embeddings
  std::vector<int64_t>
      targets;  // [R] the label of the next column, kIgnoredLabel where none counts; empty without labels
  PackedSequences sequences;  // the first B are the sequences of the batch

  int64_t rows() const { return static_cast<int64_t>(cells.size()); }
};

// Throws kInvalidArgument, naming the tensor, its shape and what it should be, where the inputs do not fit
// together.
//
// A cell of padding is not computed, with one exception: the reference's loss lets the cell left of a
// sequence's first token predict that token. Such a cell attends to nothing; it is packed behind the batch as
// a sequence without keys.
PackedBatch pack(const ForwardInput& input);

// The pass has appended its rows to the caches of its input: they stand in the columns behind those before.
void note_columns(const ForwardInput& input, const PackedBatch& batch);

// rows [R, D] back into [B, T, D], zero where nothing was computed.
Tensor unpack(Context& context, const PackedBatch& batch, const Tensor& rows);

}  // namespace vl3
