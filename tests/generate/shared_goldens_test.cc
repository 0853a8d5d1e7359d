// Logits processors against ../shared/goldens/processors.safetensors.

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <utility>

#include "base/json.h"
#include "generate/processors.h"
#include "support/support.h"
#include "vl3/safetensors.h"

namespace vl3 {
namespace {

using Step = std::function<void(Ids, Scores)>;

TEST(SharedGoldens, Processors) {
  VL3_NEED_SHARED(path, "goldens/processors.safetensors");
  const SafetensorsFile file = SafetensorsFile::open(path);
  const Tensor scores = file.get("scores"), ids = file.get("ids");
  const auto chained = [](const char* text) -> Step {
    return [settings = GenerationConfig::from_json(parse_json(text, "test"))](Ids history, Scores row) {
      ProcessorChain(settings, settings.eos_token_id, static_cast<int64_t>(row.size()))
          .apply(history, 30, row);
    };
  };
  const std::vector<std::pair<const char*, Step>> steps = {
      {"temperature_0.7", [](Ids, Scores row) { divide_by_temperature(0.7f, row); }},
      {"top_k_20", [](Ids, Scores row) { keep_top_k(20, row); }},
      {"top_p_0.8", [](Ids, Scores row) { keep_top_p(0.8, 1, row); }},
      {"min_p_0.05", [](Ids, Scores row) { keep_min_p(0.05, 1, row); }},
      {"typical_p_0.6", [](Ids, Scores row) { keep_typical(0.6, 1, row); }},
      {"epsilon_0.003", [](Ids, Scores row) { keep_above_epsilon(0.003, 1, row); }},
      {"eta_0.003", [](Ids, Scores row) { keep_above_eta(0.003, 1, row); }},
      {"repetition_1.05", chained(R"({"repetition_penalty": 1.05})")},
      {"repetition_1.3", chained(R"({"repetition_penalty": 1.3})")},
      {"no_repeat_ngram_3", chained(R"({"no_repeat_ngram_size": 3})")},
      {"min_new_tokens", chained(R"({"min_new_tokens": 5, "eos_token_id": 2})")},
      {"bad_words", chained(R"({"bad_words_ids": [[5], [6, 7]], "eos_token_id": 2})")},
      {"chain_qwen",
       chained(R"({"repetition_penalty": 1.05, "do_sample": true, "temperature": 0.7, "top_k": 20,
                                 "top_p": 0.8})")},
  };
  int rows = 0;
  for (const auto& [name, step] : steps) {
    const Tensor wanted = file.get(name);
    for (int64_t i = 0; i < scores.dim(0); ++i) {
      const Tensor line = scores.rows(i, i + 1);
      std::vector<float> row(line.data<float>(), line.data<float>() + line.numel());
      step(ids.rows(i, i + 1).span<int64_t>(), row);
      const float* target = wanted.rows(i, i + 1).data<float>();
      for (size_t v = 0; v < row.size(); ++v) {
        if (std::isinf(row[v]) || std::isinf(target[v])) {
          ASSERT_EQ(row[v], target[v]) << name << " row " << i << " token " << v;
        } else {
          ASSERT_NEAR(row[v], target[v], 1e-6 * std::max(1.0f, std::abs(target[v])))
              << name << " row " << i << " token " << v;
        }
      }
      ++rows;
    }
  }
  EXPECT_EQ(file.tensors().size(), steps.size() + 2);  // nothing in the file is left out
  std::printf("%d rows of %zu processors equal\n", rows, steps.size());
}

}  // namespace
}  // namespace vl3
