#pragma once
// What tests of training share: settings on the small model of tests/data/train, runs, and gradients.

#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "autograd/tape.h"
#include "base/json.h"
#include "runtime/context_parts.h"
#include "support/support.h"
#include "train/trainable.h"
#include "vl3/safetensors.h"
#include "vl3/train.h"

namespace vl3::test {

inline std::string small_model() { return data_path("train/model").string(); }

// Twelve steps over three ready batches, a checkpoint every third.
inline Json small_settings(const std::filesystem::path& output) {
  Json data = Json::array();
  for (const char* name : {"pictures", "mixed", "clips"})
    data.push_back(
        {{"tensors", data_path("train/" + std::string(name) + ".safetensors").string()}, {"prefix", "in."}});
  return {{"model", small_model()},
          {"output", output.string()},
          {"data", data},
          {"rates", {{"vision_encoder", 1e-3}, {"projector", 2e-3}, {"llm", 1e-3}}},
          {"weight_decay", 0.05},
          {"steps", 12},
          {"warmup", 2},
          {"save_every", 3}};
}

inline TrainConfig config_of(const Json& settings) { return TrainConfig::from_json(settings, "test"); }

// One thread: a run is as fast, and many of them pass by.
inline ContextOptions one_thread(const std::string& cpu = "") {
  return {.num_threads = 1, .compute = Compute::kF32, .cpu = cpu};
}

// Runs the settings to their end; what it had to say is added to notes.
inline TrainReport run(const Json& settings, std::string* notes = nullptr, const std::string& cpu = "") {
  Context context(one_thread(cpu));
  TrainHooks hooks;
  hooks.note = [&](std::string_view note) {
    if (notes != nullptr) *notes += std::string(note) + "\n";
  };
  return train(context, config_of(settings), hooks);
}

inline std::vector<Json> log_of(const std::filesystem::path& output) {
  std::vector<Json> rows;
  std::istringstream lines(read_text(output / "log.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    rows.push_back(parse_json(line, "log"));
    for (const char* key : {"seconds", "tokens_per_s", "gflops", "share"}) rows.back().erase(key);
  }
  return rows;
}

// The message of the Error that f throws; empty where it throws none.
template <class F>
std::string message_of(F&& f, ErrorCode* code = nullptr) {
  try {
    f();
  } catch (const Error& error) {
    if (code != nullptr) *code = error.code();
    return error.what();
  }
  return {};
}

// A model that trains as the settings say, and the way back through it.
class Differentiated {
 public:
  explicit Differentiated(const Json& settings, const std::string& cpu = "")
      : context_(one_thread(cpu)),
        config_(config_of(settings)),
        trainable_(context_, config_),
        model_(trainable_.model()) {
    tape_.set_recompute(config_.recompute);
    trainable_.watch(tape_);
  }

  double loss(const ForwardInput& input) {
    return static_cast<double>(model_.forward(context_, input).loss.data<float>()[0]);
  }
  // Adds to what gradients() returns.
  double go_back(const ForwardInput& input) {
    set_tape(context_, &tape_);
    const Tensor loss = model_.forward(context_, input).loss;
    tape_.backward(context_, loss);
    set_tape(context_, nullptr);
    return static_cast<double>(loss.data<float>()[0]);
  }
  std::map<std::string, Tensor> gradients() const {
    std::map<std::string, Tensor> result;
    for (const TrainedTensor& t : trainable_.tensors()) result[t.name] = tape_.gradient(t.value);
    return result;
  }
  void forget() { tape_.clear_gradients(); }
  std::vector<TrainedTensor>& tensors() { return trainable_.tensors(); }

 private:
  Context context_;
  TrainConfig config_;
  Trainable trainable_;
  ForConditionalGeneration model_;  // outlives what the tape recorded of it
  Tape tape_;
};

inline double largest(const Tensor& x) {
  double result = 0;
  for (const float v : x.span<float>()) result = std::max(result, std::abs(static_cast<double>(v)));
  return result;
}

// Largest |a - b|.
inline double distance(const Tensor& a, const Tensor& b) {
  EXPECT_EQ(a.shape(), b.shape());
  double result = 0;
  for (int64_t i = 0; i < std::min(a.numel(), b.numel()); ++i)
    result = std::max(result, std::abs(static_cast<double>(a.data<float>()[i]) - b.data<float>()[i]));
  return result;
}

}  // namespace vl3::test
