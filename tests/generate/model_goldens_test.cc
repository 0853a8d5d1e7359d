// generate() on real checkpoints against ../shared/goldens/generate.jsonl, and against recomputation without
// a cache.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "base/json.h"
#include "generate/brute_force.h"
#include "model/model_parts.h"
#include "model/parameters.h"
#include "support/support.h"
#include "vl3/context.h"
#include "vl3/generation.h"
#include "vl3/model.h"
#include "vl3/safetensors.h"

namespace vl3 {
namespace {

constexpr int64_t kImageToken = 600, kVideoToken = 601;

struct Row {
  std::string model, name, text;
  Json settings;
  bool reference_failed = false;
  std::vector<std::vector<int64_t>> new_ids;
};

std::vector<Row> golden_rows(const std::filesystem::path& path) {
  std::vector<Row> rows;
  std::istringstream lines(test::read_text(path));
  for (std::string line; std::getline(lines, line);) {
    const Json json = parse_json(line, "generate.jsonl");
    Row row{
        json.at("model"), json.at("case"), line, json.at("settings"), json.contains("reference_error"), {}};
    if (!row.reference_failed) row.new_ids = json.at("new_ids");
    rows.push_back(std::move(row));
  }
  return rows;
}

ForwardInput inputs_of(const SafetensorsFile& file, const std::string& prefix) {
  const auto get = [&](const char* name) {
    const std::string key = prefix + name;
    return file.contains(key) ? file.get(key) : Tensor();
  };
  ForwardInput input;
  input.input_ids = get("input_ids");
  input.attention_mask = get("attention_mask");
  input.pixel_values = get("pixel_values");
  input.image_grid_thw = get("image_grid_thw");
  input.image_merge_sizes = get("image_merge_sizes");
  input.pixel_values_videos = get("pixel_values_videos");
  input.video_grid_thw = get("video_grid_thw");
  input.video_merge_sizes = get("video_merge_sizes");
  input.video_compression_mask = get("video_compression_mask");
  return input;
}

// The sequences of a batch by themselves: without padding, with the pixels that belong to them (in these
// cases only one sequence of a batch has pictures and only one has a clip).
std::vector<std::vector<int64_t>> sequences_of(const ForwardInput& batch) {
  std::vector<std::vector<int64_t>> sequences;
  const int64_t columns = batch.input_ids.dim(1);
  for (int64_t b = 0; b < batch.input_ids.dim(0); ++b) {
    std::vector<int64_t> ids;
    for (int64_t t = b * columns; t < (b + 1) * columns; ++t) {
      if (batch.attention_mask.data<int64_t>()[t] != 0) ids.push_back(batch.input_ids.data<int64_t>()[t]);
    }
    sequences.push_back(std::move(ids));
  }
  return sequences;
}

ForwardInput alone(const ForwardInput& batch, const std::vector<int64_t>& ids) {
  ForwardInput input = batch;
  const auto length = static_cast<int64_t>(ids.size());
  input.input_ids = Tensor::from<int64_t>({1, length}, ids);
  input.attention_mask = Tensor();
  if (std::find(ids.begin(), ids.end(), kImageToken) == ids.end()) input.pixel_values = Tensor();
  if (std::find(ids.begin(), ids.end(), kVideoToken) == ids.end()) input.pixel_values_videos = Tensor();
  if (!input.pixel_values.defined()) input.image_grid_thw = input.image_merge_sizes = Tensor();
  if (!input.pixel_values_videos.defined()) {
    input.video_grid_thw = input.video_merge_sizes = input.video_compression_mask = Tensor();
  }
  return input;
}

class ModelGoldens : public testing::Test {
 protected:
  const ForConditionalGeneration& model(const std::string& name) {
    auto found = models_.find(name);
    if (found == models_.end()) {
      const auto folder = test::shared_path("goldens/models/" + name);
      found = models_.emplace(name, ForConditionalGeneration::from_pretrained(folder)).first;
    }
    return found->second;
  }
  GenerationConfig settings(const Row& row) {
    return GenerationConfig::from_json(
        row.settings, GenerationConfig::from_pretrained(test::shared_path("goldens/models/" + row.model)));
  }
  // The rows that go into the language model for a prompt: visual features in place of its placeholders.
  std::vector<float> prompt_rows(const std::string& name, const ForwardInput& batch,
                                 const std::vector<int64_t>& ids) {
    const ForwardInput input = alone(batch, ids);
    const Model& core = model(name).model();
    Tensor pictures, clips;
    if (input.pixel_values.defined()) {
      pictures = core.get_image_features(context_, input.pixel_values, input.image_grid_thw,
                                         input.image_merge_sizes);
    }
    if (input.pixel_values_videos.defined()) {
      clips = core.get_image_features(context_, input.pixel_values_videos, input.video_grid_thw,
                                      input.video_merge_sizes, input.video_compression_mask);
    }
    std::vector<float> rows;
    int64_t picture = 0, clip = 0;
    for (const int64_t id : ids) {
      Tensor source = weights_of(model(name)).text.embed_tokens.rows(id, id + 1);
      if (id == kImageToken) source = pictures.rows(picture, picture + 1), ++picture;
      if (id == kVideoToken) source = clips.rows(clip, clip + 1), ++clip;
      rows.insert(rows.end(), source.data<float>(), source.data<float>() + source.numel());
    }
    return rows;
  }
  // Logits after a whole sequence, nothing cached. A placeholder in the answer is a token like any other.
  test::FullLogits recomputation(const std::string& name, const ForwardInput& batch,
                                 const std::vector<int64_t>& prompt) {
    return [this, name, prompt, rows = prompt_rows(name, batch, prompt)](const std::vector<int64_t>& ids) {
      std::vector<float> embeds = rows;
      for (size_t i = prompt.size(); i < ids.size(); ++i) {
        const Tensor row = weights_of(model(name)).text.embed_tokens.rows(ids[i], ids[i] + 1);
        embeds.insert(embeds.end(), row.data<float>(), row.data<float>() + row.numel());
      }
      const auto length = static_cast<int64_t>(ids.size());
      ForwardInput input;
      input.inputs_embeds =
          Tensor::from<float>({1, length, static_cast<int64_t>(embeds.size()) / length}, embeds);
      input.logits_to_keep = 1;
      const Tensor logits = model(name).forward(context_, input).logits;
      return std::vector<float>(logits.data<float>(), logits.data<float>() + logits.numel());
    };
  }

  static ContextOptions exact() {
    ContextOptions options;
    options.compute = Compute::kF32;
    return options;
  }
  Context context_{exact()};
  std::map<std::string, ForConditionalGeneration> models_;
};

TEST_F(ModelGoldens, EqualTheReference) {
  VL3_NEED_SHARED(path, "goldens/generate.jsonl");
  const SafetensorsFile file =
      SafetensorsFile::open(test::shared_path("goldens/generate_inputs.safetensors"));
  int equal = 0, failed = 0;
  for (const Row& row : golden_rows(path)) {
    if (row.reference_failed) {
      ++failed;
      continue;
    }
    const ForwardInput input = inputs_of(file, row.model + "." + row.name + ".");
    const GenerationConfig config = settings(row);
    const auto results = model(row.model).generate(context_, input, config);
    EXPECT_EQ(pad_new_ids(results, config), row.new_ids) << row.text;
    ++equal;
  }
  std::printf("%d rows compared, %d that the reference cannot do\n", equal, failed);
}

TEST_F(ModelGoldens, BeamsEqualRecomputationWithoutACache) {
  VL3_NEED_SHARED(path, "goldens/generate.jsonl");
  const SafetensorsFile file =
      SafetensorsFile::open(test::shared_path("goldens/generate_inputs.safetensors"));
  int searches = 0, clips = 0;
  for (const Row& row : golden_rows(path)) {
    const GenerationConfig config = settings(row);
    // Every row the reference cannot do; of the others, those of one model.
    if (config.num_beams == 1 || (!row.reference_failed && row.model != "tied")) continue;
    const ForwardInput batch = inputs_of(file, row.model + "." + row.name + ".");
    const auto results = model(row.model).generate(context_, batch, config);
    const auto sequences = sequences_of(batch);
    const auto wanted_each = static_cast<size_t>(config.num_return_sequences);
    ASSERT_EQ(results.size(), sequences.size() * wanted_each);
    for (size_t s = 0; s < sequences.size(); ++s) {
      const auto logits = recomputation(row.model, batch, sequences[s]);
      const auto wanted = test::plain_beam_search(logits, sequences[s], config);
      for (size_t i = 0; i < wanted_each; ++i) {
        EXPECT_EQ(results[s * wanted_each + i].new_ids, wanted[i].ids) << row.text << " sequence " << s;
        EXPECT_NEAR(*results[s * wanted_each + i].sequence_score, wanted[i].score, 1e-3);
      }
      ++searches;
      clips += std::find(sequences[s].begin(), sequences[s].end(), kVideoToken) != sequences[s].end() ? 1 : 0;
    }
  }
  std::printf("%d searches equal, %d of them with a clip\n", searches, clips);
}

TEST_F(ModelGoldens, BatchesLookupAndRecomputationAgree) {
  VL3_NEED_SHARED(path, "goldens/generate_inputs.safetensors");
  const SafetensorsFile file = SafetensorsFile::open(path);
  int64_t sequences_equal = 0, accepted = 0;
  for (const char* name : {"tied", "untied_gqa", "real_heads"}) {
    for (const bool sample : {false, true}) {
      const ForwardInput batch = inputs_of(file, std::string(name) + ".mixed_batch.");
      GenerationConfig config;
      config.max_new_tokens = 40;
      config.do_sample = sample;
      config.temperature = 0.5;
      config.seed = 4;
      const auto together = model(name).generate(context_, batch, config);
      config.prompt_lookup_num_tokens = 5;
      const auto looked = model(name).generate(context_, batch, config);
      config.prompt_lookup_num_tokens = 0;
      const auto sequences = sequences_of(batch);
      for (size_t s = 0; s < sequences.size(); ++s) {
        const auto single = model(name).generate(context_, alone(batch, sequences[s]), config);
        EXPECT_EQ(single[0].new_ids, together[s].new_ids) << name << " sequence " << s;
        EXPECT_EQ(looked[s].new_ids, together[s].new_ids) << name << " sequence " << s;
        if (!sample) {
          const auto logits = recomputation(name, batch, sequences[s]);
          EXPECT_EQ(test::plain_greedy(logits, sequences[s], 40, -1), together[s].new_ids) << name;
        }
        accepted += looked[s].stats.accepted_tokens;
        ++sequences_equal;
      }
    }
  }
  std::printf("%ld sequences equal alone, in a batch and with prompt lookup (%ld tokens accepted)\n",
              sequences_equal, accepted);
}

}  // namespace
}  // namespace vl3
