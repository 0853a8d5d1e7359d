#include "bench/logit_change.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <type_traits>

#include "base/check.h"
#include "bench/compute_scope.h"
#include "bench/product_change.h"
#include "model/forward.h"
#include "model/model_parts.h"
#include "ops/rows.h"
#include "vl3/thread_pool.h"

namespace vl3 {
namespace {

constexpr int64_t kRowsAtOnce = 512;                 // of the layers
constexpr int64_t kLogitsAtOnce = int64_t{4} << 20;  // 16 MiB of each model

// One model on its way through one prompt.
class Reader {
 public:
  Reader(Context& context, const ComparedModel& compared, const ForwardInput& input)
      : context_(context), compared_(compared) {
    const ComputeScope scope(context, compared.compute);
    batch_ = embed_batch(context, compared.model.model(), weights_of(compared.model), input);
    cache_ = new_cache(compared.model, context);
    if (compared.cache) cache_ = KvCache(cache_.shape(), *compared.cache);
  }

  const std::vector<int64_t>& ids() const { return batch_.packed.ids; }
  const Tensor& pictures() const { return batch_.image_features; }
  const Tensor& clips() const { return batch_.video_features; }
  CacheType cache() const { return cache_.type(); }

  // Tokens [from, to), which follow those read before → hidden states after the final norm [to - from, H].
  Tensor read(int64_t from, int64_t to, const Probe& probe) {
    const ComputeScope scope(context_, compared_.compute);
    PackedSequences piece;
    for (int64_t i = from; i < to; ++i) piece.positions.push_back(i);
    piece.cu_seqlens_q = piece.cu_seqlens_k = {0, to - from};
    piece.caches = {&cache_};
    return run_language_model(context_, weights_of(compared_.model).text, compared_.model.config().text,
                              batch_.embeds.rows(from, to), piece, &probe);
  }

  Tensor logits(const Tensor& hidden) {  // [rows, H] → [rows, vocabulary]
    const ComputeScope scope(context_, compared_.compute);
    return run_head(context_, weights_of(compared_.model).text, hidden);
  }

 private:
  Context& context_;
  const ComparedModel& compared_;
  EmbeddedBatch batch_;
  KvCache cache_;
};

struct RowChange {
  double kl = 0, loss = 0, changed_loss = 0;
  bool same = false, finite = true;
};

// Σ exp(x - highest), and the logarithm of the sum of exponentials.
struct Partition {
  double highest = 0, sum = 0;
  double log() const { return highest + std::log(sum); }
};

Partition partition_of(std::span<const float> row) {
  Partition result{*std::max_element(row.begin(), row.end()), 0};
  for (const float x : row) result.sum += std::exp(x - result.highest);
  return result;
}

RowChange compare_row(std::span<const float> p, std::span<const float> q, int64_t target) {
  const Partition whole = partition_of(q);
  RowChange change;
  Partition own{*std::max_element(p.begin(), p.end()), 0};
  double difference = 0;  // Σ exp(p) (p - q)
  for (size_t i = 0; i < p.size(); ++i) {
    const double share = std::exp(p[i] - own.highest);
    own.sum += share;
    difference += share * (static_cast<double>(p[i]) - q[i]);
  }
  change.kl = std::max(difference / own.sum - own.log() + whole.log(), 0.0);
  change.finite = std::isfinite(own.sum) && std::isfinite(whole.sum) && std::isfinite(difference);
  change.same =
      std::max_element(p.begin(), p.end()) - p.begin() == std::max_element(q.begin(), q.end()) - q.begin();
  if (target >= 0) {
    change.loss = own.log() - p[static_cast<size_t>(target)];
    change.changed_loss = whole.log() - q[static_cast<size_t>(target)];
  }
  return change;
}

// ‖x − y‖ / ‖x‖ of rows, summed. A norm of a whole tensor would show its few giant rows alone, which the
// first token of a prompt often is.
struct StageSum {
  double errors = 0;
  int64_t rows = 0;
  size_t place = 0;
};

class Stages {
 public:
  void add(const std::string& name, const Tensor& before, const Tensor& after) {
    if (before.shape() != after.shape()) return;
    StageSum& sum = sums_.try_emplace(name, StageSum{0, 0, sums_.size()}).first->second;
    const int64_t width = before.dim(1);
    for (int64_t i = 0; i < before.dim(0); ++i, ++sum.rows) {
      const float *x = before.data<float>() + i * width, *y = after.data<float>() + i * width;
      double size = 0, error = 0;
      for (int64_t k = 0; k < width; ++k) {
        size += static_cast<double>(x[k]) * x[k];
        error += (static_cast<double>(x[k]) - y[k]) * (static_cast<double>(x[k]) - y[k]);
      }
      if (error > 0) sum.errors += std::sqrt(error / size);
    }
  }
  std::vector<StageChange> means() const {
    std::vector<StageChange> result(sums_.size());
    for (const auto& [name, sum] : sums_) {
      result[sum.place] = {name, sum.rows > 0 ? sum.errors / static_cast<double>(sum.rows) : 0};
    }
    // Where text came before the first picture, so did its stages.
    std::stable_partition(result.begin(), result.end(),
                          [](const StageChange& stage) { return !stage.name.starts_with("text."); });
    return result;
  }

 private:
  std::map<std::string, StageSum> sums_;
};

class Comparison {
 public:
  Comparison(Context& context, const ComparedModel& model, const ComparedModel& changed)
      : context_(context), model_(model), changed_(changed), products_(model, changed) {}

  // progress counts tokens.
  void add(int64_t prompt, const ForwardInput& input, const CompareProgress& progress) {
    const bool one = input.input_ids.defined() ? input.input_ids.numel() > 0 && input.input_ids.dim(0) == 1
                                               : input.ids.size() == 1 && !input.ids[0].empty();
    require(one, ErrorCode::kInvalidArgument, "[compare] prompt {} should be one sequence of ids", prompt);
    Reader before = watched([&] { return Reader(context_, model_, input); });
    Reader after(context_, changed_, input);
    change_.cache = before.cache();
    change_.changed_cache = after.cache();
    for (auto part : {&Reader::pictures, &Reader::clips}) {
      if ((before.*part)().defined()) stages_.add("projector.out", (before.*part)(), (after.*part)());
    }
    const int64_t length = static_cast<int64_t>(before.ids().size());
    require(length > 0, ErrorCode::kInvalidArgument, "[compare] prompt {} has no ids", prompt);
    for (int64_t from = 0; from < length; from += kRowsAtOnce) {
      const int64_t to = std::min(from + kRowsAtOnce, length);
      std::map<std::string, Tensor> shown;
      const Probe keep{[&](const std::string& name, const Tensor& x) { shown[name] = x.clone(); }, {}, false};
      const Tensor left = watched([&] { return before.read(from, to, keep); });
      const Tensor right = after.read(from, to,
                                      {[&](const std::string& name, const Tensor& x) {
                                         if (shown.contains(name)) stages_.add(name, shown.at(name), x);
                                       },
                                       {},
                                       false});
      compare_hidden(prompt, before, after, left, right, from);
      if (progress) progress(to, length);
    }
  }

  LogitChange result() const {
    LogitChange result = change_;
    const double predictions = static_cast<double>(change_.predictions);
    result.mean_kl /= predictions;
    result.top1_agreement /= predictions;
    result.stages = stages_.means();
    result.products = products_.means();
    if (change_.targets == 0) return result;
    result.perplexity = std::exp(loss_ / static_cast<double>(change_.targets));
    result.changed_perplexity = std::exp(changed_loss_ / static_cast<double>(change_.targets));
    return result;
  }

 private:
  // What run() gives; its products are the first model's.
  template <typename Run>
  std::invoke_result_t<Run> watched(const Run& run) {
    const ProductSums::Watch watch(context_, products_);
    return run();
  }

  bool is_text(int64_t id) const {
    return id != model_.model.config().image_token_id && id != model_.model.config().video_token_id;
  }

  // Hidden states of the tokens from `first` on.
  void compare_hidden(int64_t prompt, Reader& before, Reader& after, const Tensor& left, const Tensor& right,
                      int64_t first) {
    const std::vector<int64_t>& ids = before.ids();
    std::vector<int64_t> rows, targets;
    for (int64_t i = 0; i < left.dim(0); ++i) {
      const size_t next = static_cast<size_t>(first + i) + 1;
      if (next < ids.size() && !is_text(ids[next])) continue;
      rows.push_back(i);
      targets.push_back(next < ids.size() ? ids[next] : -1);
    }
    const int64_t vocabulary = model_.model.config().text.vocab_size;
    const size_t slice = static_cast<size_t>(std::max<int64_t>(kLogitsAtOnce / vocabulary, 1));
    for (size_t begin = 0; begin < rows.size(); begin += slice) {
      context_.check_cancelled();
      const size_t count = std::min(slice, rows.size() - begin);
      const auto some = std::span<const int64_t>(rows).subspan(begin, count);
      const Tensor kept = ops::gather_rows(context_, left, some);
      const Tensor p = watched([&] { return before.logits(kept); });  // [count, vocabulary]
      const Tensor q = after.logits(ops::gather_rows(context_, right, some));
      std::vector<RowChange> changes(count);
      context_.threads().parallel_for(static_cast<int64_t>(count), 1, [&](int64_t row, int64_t end, int) {
        for (; row < end; ++row) {
          const size_t i = static_cast<size_t>(row);
          changes[i] = compare_row(p.rows(row, row + 1).span<float>(), q.rows(row, row + 1).span<float>(),
                                   targets[begin + i]);
        }
      });
      for (size_t i = 0; i < count; ++i) {
        require(changes[i].finite, ErrorCode::kInvalidArgument,
                "[compare] prompt {}: the logits of token {} are not finite", prompt, first + some[i]);
        add_row(changes[i], targets[begin + i] >= 0);
      }
    }
  }

  void add_row(const RowChange& row, bool has_target) {
    ++change_.predictions;
    change_.targets += has_target ? 1 : 0;
    change_.mean_kl += row.kl;
    change_.largest_kl = std::max(change_.largest_kl, row.kl);
    change_.top1_agreement += row.same ? 1 : 0;
    loss_ += row.loss;
    changed_loss_ += row.changed_loss;
  }

  Context& context_;
  const ComparedModel &model_, &changed_;
  LogitChange change_;  // sums until the end
  double loss_ = 0, changed_loss_ = 0;
  Stages stages_;
  ProductSums products_;
};

}  // namespace

LogitChange compare_logits(Context& context, const ComparedModel& model, const ComparedModel& changed,
                           const ComparedPrompts& prompts, const CompareProgress& progress) {
  const Config &config = model.model.config(), &other = changed.model.config();
  require(prompts.count > 0, ErrorCode::kInvalidArgument, "[compare] there are no prompts");
  require(config.text.vocab_size == other.text.vocab_size, ErrorCode::kInvalidArgument,
          "[compare] vocabularies of {} and {} tokens cannot be compared", config.text.vocab_size,
          other.text.vocab_size);
  require(config.image_token_id == other.image_token_id && config.video_token_id == other.video_token_id,
          ErrorCode::kInvalidArgument,
          "[compare] pictures and clips are the tokens {} and {} of one model, {} and {} of the other",
          config.image_token_id, config.video_token_id, other.image_token_id, other.video_token_id);
  constexpr int64_t kHundredths = 100;
  Comparison comparison(context, model, changed);
  for (int64_t i = 0; i < prompts.count; ++i) {
    context.check_cancelled();
    comparison.add(i, prompts.input(i), [&](int64_t done, int64_t total) {
      if (progress) progress(i * kHundredths + done * kHundredths / total, prompts.count * kHundredths);
    });
  }
  return comparison.result();
}

}  // namespace vl3
