#include "generate.h"

#include <nanobind/ndarray.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "gil.h"
#include "tensors.h"
#include "vl3/error.h"

namespace nb = nanobind;

namespace vl3::python {
namespace {

// A callable that hooks copy without the interpreter's lock, and that is let go with it.
using Callable = std::shared_ptr<const nb::object>;

Callable callable(nb::handle function) {
  return {new nb::object(nb::borrow(function)), [](const nb::object* held) {
            if (!nb::is_alive()) return;
            const WithGil acquire;
            delete held;
          }};
}

std::vector<int64_t> listed(std::span<const int64_t> ids) { return {ids.begin(), ids.end()}; }

void bend(const nb::object& function, const ConstraintQuery& query, std::span<float> scores) {
  // The callable may keep what it gets: the row itself lives no longer than this call.
  const Tensor given = Tensor::from<float>({1, static_cast<int64_t>(scores.size())}, scores);
  const WithGil acquire;
  const nb::object answer = function(query.prompt, listed(query.ids), to_python(given));
  const Tensor bent = from_python(answer, "logits_processor", DType::kF32);
  if (bent.shape() != given.shape()) {
    throw Error(ErrorCode::kInvalidArgument, "[logits_processor] gave scores of the shape " +
                                                 to_string(bent.shape()) + " for " +
                                                 to_string(given.shape()));
  }
  std::copy_n(bent.data<float>(), scores.size(), scores.data());
}

bool allow(const nb::object& function, const ConstraintQuery& query, TokenMask mask) {
  const WithGil acquire;
  const nb::object answer = function(query.prompt, listed(query.ids));
  if (answer.is_none()) return false;
  for (const int64_t id : nb::cast<std::vector<int64_t>>(answer)) {
    if (id < 0 || static_cast<size_t>(id / 32) >= mask.size()) {
      throw Error(ErrorCode::kInvalidArgument, "[prefix_allowed_tokens_fn] gave the id " +
                                                   std::to_string(id) + ", which the vocabulary lacks");
    }
    mask[static_cast<size_t>(id / 32)] |= uint32_t{1} << (id % 32);
  }
  return true;
}

}  // namespace

GenerationHooks hooks_of(GenerationHooks hooks, const Callables& callables) {
  if (!callables.on_token.is_none()) {
    hooks.on_token = [function = callable(callables.on_token)](const StreamEvent& event) {
      const WithGil acquire;
      return nb::cast<bool>((*function)(event.prompt, event.sequence, event.token));
    };
  }
  if (!callables.bend_scores.is_none()) {
    hooks.bend_scores = [function = callable(callables.bend_scores)](const ConstraintQuery& query,
                                                                     std::span<float> scores) {
      bend(*function, query, scores);
    };
  }
  if (!callables.allowed.is_none()) {
    hooks.allowed = [function = callable(callables.allowed)](const ConstraintQuery& query, TokenMask mask) {
      return allow(*function, query, mask);
    };
  }
  if (!callables.ends.is_none()) {
    hooks.ends = [function = callable(callables.ends)](const ConstraintQuery& query) {
      const WithGil acquire;
      return nb::cast<bool>((*function)(query.prompt, listed(query.new_ids)));
    };
  }
  return hooks;
}

StepScores::StepScores(int64_t prompts, int64_t answers, bool logits, bool scores)
    : prompts_(prompts), answers_(answers), with_logits_(logits), with_scores_(scores) {}

GenerationHooks StepScores::watched_by(GenerationHooks hooks) {
  if (!with_logits_ && !with_scores_) return hooks;
  hooks.on_scores = [this](const ConstraintQuery& query, std::span<const float> logits,
                           std::span<const float> scores) {
    if (with_logits_) put(logits_, query, logits);
    if (with_scores_) put(scores_, query, scores);
  };
  return hooks;
}

void StepScores::put(std::vector<Tensor>& steps, const ConstraintQuery& query,
                     std::span<const float> row) const {
  const auto vocabulary = static_cast<int64_t>(row.size());
  while (steps.size() <= query.new_ids.size())
    steps.push_back(Tensor::zeros({prompts_ * answers_, vocabulary}, DType::kF32));
  const int64_t place = (query.prompt * answers_ + query.sequence) * vocabulary;
  std::copy(row.begin(), row.end(), steps[query.new_ids.size()].mutable_data<float>() + place);
}

void StepScores::cut(std::span<const GenerationResult> results) {
  size_t longest = 0;
  for (const GenerationResult& result : results) longest = std::max(longest, result.new_ids.size());
  for (std::vector<Tensor>* steps : {&logits_, &scores_}) {
    if (steps->size() > longest) steps->resize(longest);
    for (const GenerationResult& result : results) {
      for (size_t step = result.new_ids.size(); step < steps->size(); ++step) {
        const int64_t vocabulary = (*steps)[step].dim(1);
        const int64_t place = (result.prompt * answers_ + result.sequence) * vocabulary;
        std::fill_n((*steps)[step].mutable_data<float>() + place, vocabulary, 0.0f);
      }
    }
  }
}

}  // namespace vl3::python
