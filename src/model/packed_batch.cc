#include "model/packed_batch.h"

#include "base/check.h"
#include "model/model_parts.h"
#include "ops/rows.h"

namespace vl3 {
namespace {

// An optional [B, T] tensor of small integers as a function of the cell.
class Cells {
 public:
  Cells(const Tensor& tensor, const char* name, int64_t batch, int64_t columns) : tensor_(tensor) {
    if (!tensor.defined()) return;
    require(tensor.shape() == Shape{batch, columns}, ErrorCode::kInvalidArgument,
            "[forward] {} is {}, not [{}, {}]", name, to_string(tensor.shape()), batch, columns);
    const DType type = tensor.dtype();
    require(type == DType::kI64 || type == DType::kI32 || type == DType::kU8 || type == DType::kBool,
            ErrorCode::kInvalidArgument, "[forward] {} is {}, not integers", name, to_string(type));
  }
  bool given() const { return tensor_.defined(); }
  int64_t operator[](int64_t cell) const {
    switch (tensor_.dtype()) {
      case DType::kI64:
        return tensor_.data<int64_t>()[cell];
      case DType::kI32:
        return tensor_.data<int32_t>()[cell];
      default:
        return static_cast<int64_t>(tensor_.raw()[cell]);
    }
  }

 private:
  const Tensor& tensor_;
};

// Of the batches before this one.
int64_t past_columns(const ForwardInput& input, int64_t sequence) {
  return input.past == nullptr ? 0 : input.past->columns(static_cast<size_t>(sequence));
}

}  // namespace

namespace {

// Lists of ids: nothing of a rectangle is there to be looked at.
PackedBatch pack_ragged(const ForwardInput& input) {
  require(
      !input.input_ids.defined() && !input.inputs_embeds.defined() && !input.attention_mask.defined() &&
          !input.position_ids.defined() && !input.labels.defined(),
      ErrorCode::kInvalidArgument,
      "[forward] with ids there are no input_ids, inputs_embeds, attention_mask, position_ids and labels");
  PackedBatch packed;
  packed.batch = static_cast<int64_t>(input.ids.size());
  require(input.past == nullptr || input.past->size() == input.ids.size(), ErrorCode::kInvalidArgument,
          "[forward] {} caches for {} sequences", input.past == nullptr ? 0 : input.past->size(),
          input.ids.size());
  for (const auto& ids : input.ids)
    packed.columns = std::max(packed.columns, static_cast<int64_t>(ids.size()));
  PackedSequences& sequences = packed.sequences;
  sequences.cu_seqlens_q = sequences.cu_seqlens_k = {0};
  for (int64_t b = 0; b < packed.batch; ++b) {
    const auto& ids = input.ids[static_cast<size_t>(b)];
    const int64_t past = past_columns(input, b);
    for (int64_t t = 0; t < static_cast<int64_t>(ids.size()); ++t) {
      packed.cells.push_back(b * packed.columns + t);
      sequences.positions.push_back(past + t);
    }
    packed.ids.insert(packed.ids.end(), ids.begin(), ids.end());
    sequences.cu_seqlens_q.push_back(packed.rows());
    sequences.cu_seqlens_k.push_back(packed.rows());
    if (input.past != nullptr)
      sequences.caches.push_back(&caches_of(*input.past).rows[static_cast<size_t>(b)]);
  }
  return packed;
}

}  // namespace

PackedBatch pack(const ForwardInput& input) {
  if (!input.ids.empty()) return pack_ragged(input);
  const bool has_ids = input.input_ids.defined();
  require(has_ids != input.inputs_embeds.defined(), ErrorCode::kInvalidArgument,
          "[forward] give ids, input_ids or inputs_embeds, one of them");
  const Tensor& main = has_ids ? input.input_ids : input.inputs_embeds;
  require(main.rank() == (has_ids ? 2 : 3), ErrorCode::kInvalidArgument, "[forward] {} is {}",
          has_ids ? "input_ids" : "inputs_embeds", to_string(main.shape()));
  PackedBatch packed;
  packed.batch = main.dim(0);
  packed.columns = main.dim(1);
  require(input.past == nullptr || static_cast<int64_t>(input.past->size()) == packed.batch,
          ErrorCode::kInvalidArgument, "[forward] {} caches for {} sequences",
          input.past == nullptr ? 0 : input.past->size(), packed.batch);
  const Cells mask(input.attention_mask, "attention_mask", packed.batch, packed.columns);
  const Cells positions(input.position_ids, "position_ids", packed.batch, packed.columns);
  const Cells labels(input.labels, "labels", packed.batch, packed.columns);
  const Cells ids(input.input_ids, "input_ids", packed.batch, packed.columns);

  PackedSequences& sequences = packed.sequences;
  sequences.cu_seqlens_q = sequences.cu_seqlens_k = {0};
  const auto target = [&](int64_t b, int64_t t) {
    return t + 1 < packed.columns ? labels[b * packed.columns + t + 1] : kIgnoredLabel;
  };
  const auto add = [&](int64_t b, int64_t t) {
    const int64_t cell = b * packed.columns + t;
    packed.cells.push_back(cell);
    if (has_ids) packed.ids.push_back(ids[cell]);
    if (labels.given()) packed.targets.push_back(target(b, t));
    sequences.positions.push_back(positions.given() ? positions[cell] : past_columns(input, b) + t);
  };
  std::vector<std::pair<int64_t, int64_t>> before_first;  // cells of padding that the loss looks at
  for (int64_t b = 0; b < packed.batch; ++b) {
    for (int64_t t = 0; t < packed.columns; ++t) {
      if (!mask.given() || mask[b * packed.columns + t] != 0) {
        add(b, t);
      } else if (labels.given() && target(b, t) != kIgnoredLabel) {
        const bool first = sequences.cu_seqlens_q.back() == packed.rows() && input.past == nullptr;
        require(first, ErrorCode::kUnsupported,
                "[forward] the label of row {}, column {} is predicted from a masked cell behind real tokens",
                b, t + 1);
        before_first.emplace_back(b, t);
      }
    }
    sequences.cu_seqlens_q.push_back(packed.rows());
    sequences.cu_seqlens_k.push_back(packed.rows());
    if (input.past != nullptr)
      sequences.caches.push_back(&caches_of(*input.past).rows[static_cast<size_t>(b)]);
  }
  for (const auto& [b, t] : before_first) {
    add(b, t);
    sequences.cu_seqlens_q.push_back(packed.rows());
    sequences.cu_seqlens_k.push_back(sequences.cu_seqlens_k.back());
  }
  return packed;
}

void note_columns(const ForwardInput& input, const PackedBatch& batch) {
  if (input.past == nullptr) return;
  auto& columns = caches_of(*input.past).columns;
  const std::vector<int64_t>& begins = batch.sequences.cu_seqlens_q;
  for (size_t b = 0; b < columns.size(); ++b) {
    auto& [held, count] = columns[b];
    for (int64_t row = begins[b]; row < begins[b + 1]; ++row)
      held.push_back(count + batch.cells[static_cast<size_t>(row)] % batch.columns);
    count += input.ids.empty() ? batch.columns : static_cast<int64_t>(input.ids[b].size());
  }
}

Tensor unpack(Context& context, const PackedBatch& batch, const Tensor& rows) {
  const Tensor cells = ops::place_rows(context, rows, batch.cells, batch.batch * batch.columns);
  return cells.reshape({batch.batch, batch.columns, rows.dim(1)});
}

}  // namespace vl3
