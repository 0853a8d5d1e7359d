#include "model/language_model.h"

#include <cmath>

#include "autograd/tape.h"
#include "base/check.h"
#include "model/rotary.h"
#include "ops/ops.h"
#include "runtime/context_parts.h"

namespace vl3 {
namespace {

// The rows of a step that have an adapter.
struct AdapterRows {
  const std::vector<TextLayerWeights>* layers;
  std::vector<int64_t> rows;
};

struct Step {
  Context& context;
  const TextConfig& config;
  const PackedSequences& sequences;
  RotaryTable rotary;
  const Probe* probe;
  std::vector<AdapterRows> adapters;
  std::vector<ops::RowRun> runs;
};

std::vector<AdapterRows> adapter_rows(const PackedSequences& s) {
  std::vector<AdapterRows> result;
  if (s.adapter_of.empty()) return result;
  require(s.adapters != nullptr && static_cast<int64_t>(s.adapter_of.size()) == s.num_sequences(),
          ErrorCode::kInvalidArgument, "[language_model] {} indices of adapters{} for {} sequences",
          s.adapter_of.size(), s.adapters == nullptr ? " without a set" : "", s.num_sequences());
  for (int64_t adapter = 0; adapter < s.adapters->size(); ++adapter) {
    AdapterRows of_adapter{&s.adapters->layers(adapter), {}};
    for (size_t i = 0; i < s.adapter_of.size(); ++i) {
      if (s.adapter_of[i] != adapter) continue;
      for (int64_t row = s.cu_seqlens_q[i]; row < s.cu_seqlens_q[i + 1]; ++row)
        of_adapter.rows.push_back(row);
    }
    if (!of_adapter.rows.empty()) result.push_back(std::move(of_adapter));
  }
  for (const int64_t adapter : s.adapter_of) {
    require(adapter >= -1 && adapter < s.adapters->size(), ErrorCode::kInvalidArgument,
            "[language_model] adapter {} of a set of {}", adapter, s.adapters->size());
  }
  return result;
}

// A linear layer with the adapters of the step's rows.
class StepLinear {
 public:
  StepLinear(const Step& step, int64_t layer, const TextLayerWeights& weights,
             LinearWeights TextLayerWeights::*which)
      : operand_(operand(weights.*which)) {
    for (const AdapterRows& adapter : step.adapters) {
      const LinearWeights& adapted = (*adapter.layers)[static_cast<size_t>(layer)].*which;
      if (adapted.low_rank) rows_.push_back({adapted.low_rank.get(), adapter.rows});
    }
    operand_.low_rank_rows = rows_;
    operand_.runs = step.runs;
  }
  StepLinear(const StepLinear&) = delete;
  StepLinear& operator=(const StepLinear&) = delete;
  const ops::LinearOperand& operator*() const { return operand_; }

 private:
  std::vector<ops::LowRankRows> rows_;
  ops::LinearOperand operand_;
};

// Keys and values of every sequence: what its cache holds and its own rows behind, or rows of this batch.
std::vector<ops::AttentionSequence> key_values(const Step& step, int64_t layer, const Tensor& k,
                                               const Tensor& v) {
  const PackedSequences& s = step.sequences;
  std::vector<ops::AttentionSequence> result;
  for (int64_t i = 0; i < s.num_sequences(); ++i) {
    const size_t n = static_cast<size_t>(i);
    const int64_t begin = s.cu_seqlens_q[n], end = s.cu_seqlens_q[n + 1];
    if (!s.caches.empty()) {
      const KvCache& cache = *s.caches[n];
      result.push_back({begin, end, cache.view(layer, cache.length() + end - begin)});
    } else {
      result.push_back({begin, end,
                        ops::dense_view(k.rows(s.cu_seqlens_k[n], s.cu_seqlens_k[n + 1]),
                                        v.rows(s.cu_seqlens_k[n], s.cu_seqlens_k[n + 1]))});
    }
  }
  if (!s.caches.empty()) ops::cache_append(step.context, k, v, result);
  return result;
}

Tensor attend(const Step& step, int64_t layer, const Tensor& q, const Tensor& k, const Tensor& v,
              ops::Precision precision) {
  const PackedSequences& s = step.sequences;
  const float scale = 1.0f / std::sqrt(static_cast<float>(step.config.head_dim));
  const bool shows = step.probe != nullptr && step.probe->attentions && step.probe->stage;
  if (tape_of(step.context) != nullptr && s.caches.empty()) {
    return ops::attention(step.context, q, k, v, s.cu_seqlens_q, s.cu_seqlens_k, scale, true, precision);
  }
  const auto views = key_values(step, layer, k, v);
  for (size_t i = 0; shows && i < views.size(); ++i) {
    step.probe->stage("text.attention" + std::to_string(layer) + "." + std::to_string(i),
                      ops::attention_weights(step.context, q, views[i], k.dim(1), scale, true));
  }
  return ops::attention(step.context, q, views, k.dim(1), scale, true, precision);
}

ops::Prologue rms_norm(const Tensor& weight, const TextConfig& config) {
  return {ops::Prologue::Norm::kRmsNorm, &weight, nullptr, static_cast<float>(config.rms_norm_eps)};
}

Tensor self_attention(const Step& step, int64_t layer, const TextLayerWeights& l, const Tensor& x) {
  Context& context = step.context;
  const TextConfig& config = step.config;
  const int64_t rows = x.dim(0), width = config.head_dim, heads = heads_of(l.q_proj, width);
  const StepLinear q(step, layer, l, &TextLayerWeights::q_proj), k(step, layer, l, &TextLayerWeights::k_proj),
      v(step, layer, l, &TextLayerWeights::v_proj), o(step, layer, l, &TextLayerWeights::o_proj);
  const ops::LinearOperand projections[] = {*q, *k, *v};
  const std::vector<Tensor> qkv =
      ops::linears(context, x, projections, rms_norm(l.input_layernorm, config));  // [T, heads · width] each
  const auto rotated = [&](const Tensor& t, int64_t h) {
    return ops::rope(context, t.reshape({rows, h, width}), step.rotary.cos, step.rotary.sin);
  };
  const int64_t kv_heads = heads_of(l.k_proj, width);
  const Tensor y = attend(step, layer, rotated(qkv[0], heads), rotated(qkv[1], kv_heads),
                          qkv[2].reshape({rows, kv_heads, width}), precision_for(l.q_proj.weight));
  return ops::row_parallel_linear(context, y.reshape({rows, heads * width}), *o, x);
}

Tensor decoder_layer(const Step& step, int64_t layer, const TextLayerWeights& l, const Tensor& x) {
  Context& context = step.context;
  const Tensor attended = self_attention(step, layer, l, x);
  const StepLinear gate(step, layer, l, &TextLayerWeights::gate_proj),
      up(step, layer, l, &TextLayerWeights::up_proj), down(step, layer, l, &TextLayerWeights::down_proj);
  const Tensor gated = ops::gated_linear(context, attended, *gate, *up,
                                         rms_norm(l.post_attention_layernorm, step.config));  // [T, F]
  return ops::row_parallel_linear(context, gated, *down, attended);
}

}  // namespace

int64_t num_kv_heads(const TextWeights& weights, const TextConfig& config) {
  return weights.layers.empty() ? config.num_key_value_heads
                                : heads_of(weights.layers[0].k_proj, config.head_dim);
}

Tensor run_language_model(Context& context, const TextWeights& weights, const TextConfig& config,
                          const Tensor& embeds, const PackedSequences& sequences, const Probe* probe) {
  require(embeds.rank() == 2 && embeds.dim(1) == config.hidden_size &&
              embeds.dim(0) == sequences.cu_seqlens_q.back() &&
              embeds.dim(0) == static_cast<int64_t>(sequences.positions.size()),
          ErrorCode::kInvalidArgument, "[language_model] embeddings {} for {} tokens of width {}",
          to_string(embeds.shape()), sequences.positions.size(), config.hidden_size);
  const auto show = [&](const std::string& name, const Tensor& value) {
    if (probe != nullptr && probe->stage) probe->stage(name, value);
  };
  std::vector<AdapterRows> adapters = adapter_rows(sequences);
  const auto length = [&](size_t i) { return sequences.cu_seqlens_q[i + 1] - sequences.cu_seqlens_q[i]; };
  std::vector<int64_t> lengths;
  for (size_t i = 0; i < sequences.caches.size(); ++i) lengths.push_back(length(i));
  reserve(sequences.caches, lengths);

  const RotaryTable rotary = text_rotary(context, config, sequences.positions, sequences.cu_seqlens_q);
  // On a tape layers may run again after this call: they hold what they need, and show nothing.
  const auto held =
      tape_of(context) == nullptr ? nullptr : std::make_shared<const PackedSequences>(sequences);
  auto runs = held ? std::vector<ops::RowRun>() : ops::runs_of_feeds(sequences.cu_seqlens_q);
  const Step step{
      context,        config, held ? *held : sequences, rotary, held ? nullptr : probe, std::move(adapters),
      std::move(runs)};
  Tensor x = embeds;
  for (size_t i = 0; i < weights.layers.size(); ++i) {
    context.check_cancelled();
    x = segment(context, x, [step, held, i, &layer = weights.layers[i]](const Tensor& input) {
      return decoder_layer(step, static_cast<int64_t>(i), layer, input);
    });
    show("text.layer" + std::to_string(i), x);
  }
  for (size_t i = 0; i < sequences.caches.size(); ++i) sequences.caches[i]->advance(lengths[i]);
  x = ops::rms_norm(context, x, weights.norm, static_cast<float>(config.rms_norm_eps));
  show("text.norm", x);
  return x;
}

Tensor run_head(Context& context, const TextWeights& weights, const Tensor& hidden,
                std::span<const int64_t> borders) {
  const Tensor none;
  ops::LinearOperand head{weights.lm_head, none};
  const std::vector<ops::RowRun> runs = ops::runs_of_feeds(borders);
  head.runs = runs;
  return ops::linear(context, hidden, head);
}

}  // namespace vl3
