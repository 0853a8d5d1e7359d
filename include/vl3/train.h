#pragma once
// Training: the four stages of the paper, or any other mix of parts, rates and data, on the one definition
// of the network. docs/training.md lists every key of the configuration.

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "vl3/context.h"
#include "vl3/export.h"
#include "vl3/json.h"
#include "vl3/video.h"

namespace vl3 {

// Learning rates of the parts; a part without one is frozen. The head trains with llm, also where it has
// weights of its own (the reference's trainer leaves such a head out of its optimizer; docs/training.md).
struct TrainRates {
  std::optional<double> vision_encoder, projector, llm;
};

// Where samples come from: rows of text files, or batches that are ready.
struct TrainSource {
  std::filesystem::path rows;     // JSON or JSON lines, in the original release's format or as "messages"
  std::filesystem::path media;    // what their relative paths begin at; empty: the folder of the file
  double weight = 1;              // of rows: how many times they come by in an epoch
  std::filesystem::path tensors;  // safetensors: inputs of the model and labels
  std::string prefix;             // of their names
};

// How media of rows become tokens, over what the model's processor files say.
struct TrainMedia {
  std::optional<int64_t> image_merge_size, video_merge_size;
  std::optional<bool> use_token_compression;
  std::optional<double> fps;
  std::optional<int64_t> max_frames;
  std::optional<ClipTimes> times;  // this and the next three as in VideoOptions; a row's own words come first
  std::optional<bool> rotate, skip_broken_frames;
  std::optional<double> pictures_rate;
  int64_t max_visual_tokens = 10240;  // of a sample: more than that, and all its media shrink alike
};

// An adapter (docs/lora.md) in place of changing weights: the layers it is on stay as they are, and so does
// all else of their parts, whose rates are the adapter's.
struct TrainLora {
  int64_t rank = 64;
  double alpha = 16;
  double dropout = 0.05;                       // of the adapted layers' inputs
  std::vector<std::string> targets = {"llm"};  // as targeted_layers takes them
  std::filesystem::path adapter;  // one to go on from, which then decides rank, alpha and targets
};

struct VL3_API TrainConfig {
  std::filesystem::path model, output;
  std::string stage;  // the preset that the other settings began as, or empty
  std::vector<TrainSource> data;
  TrainMedia media;
  TrainRates rates;
  std::optional<TrainLora> lora;
  std::set<std::string> fresh;  // parts whose weights are drawn anew
  double weight_decay = 0;      // of matrices only
  std::array<double, 2> betas = {0.9, 0.999};
  double eps = 1e-8;
  double clip_norm = 1.0;  // of all gradients together; 0: no clipping
  int64_t steps = 0;       // 0: as many as `epochs` takes
  double epochs = 1;       // over rows
  int64_t batch = 1;       // samples of a step; of tensors: files
  int64_t batch_tokens =
      16384;  // that go through the network at once; a step takes as many passes as that needs
  int64_t max_length = 16384;       // tokens of a sample: longer ones are quarantined
  std::string schedule = "cosine";  // or "constant"; both after a linear warm-up
  int64_t warmup = -1;              // steps; -1: what warmup_ratio says
  double warmup_ratio = 0.03;
  std::string dtype = "f32";      // "bf16": products of bf16, sums f32
  std::string masters = "f32";    // what steps are added to; "bf16", with dtype bf16, keeps no f32 beside it
  bool recompute = false;         // layers keep their inputs only and run again on the way back
  std::string stream = "decide";  // what follows frames of a stream trains too; "original": it does not
  uint64_t seed = 42;
  int64_t save_every = 1000;  // steps; 0: only the last one
  int64_t keep = 2;           // checkpoints
  int64_t workers = 1;        // threads that read and process media ahead
  std::filesystem::path log;  // JSON lines; empty: output/log.jsonl

  // Throws kFormat for unknown keys, wrong types and values out of range, naming origin, key, value and
  // limit.
  static TrainConfig from_json(const Json& json, std::string_view origin);
  Json to_json() const;
};

// One row for every key of the configuration.
struct TrainKey {
  const char* name;
  const char* type;
  const char* help;
};
VL3_API std::vector<TrainKey> train_keys();
// The presets: "vision_encoder_adaptation", … with the published settings.
VL3_API Json stage_preset(std::string_view stage);
VL3_API std::vector<std::string> stage_names();

struct TrainStep {
  int64_t step = 0, steps = 0;  // the first one is 1
  double loss = 0, grad_norm = 0;
  TrainRates rates;  // of this step
  int64_t samples = 0, tokens = 0, targets = 0;
  double seconds = 0;
  double flops = 0;        // what the step is worth: forward and back, nothing that ran a second time
  double peak_gflops = 0;  // what this machine's products could reach in the training's dtype, measured once
  double gflops() const { return seconds > 0 ? flops / seconds * 1e-9 : 0; }
  double share() const { return peak_gflops > 0 ? gflops() / peak_gflops : 0; }
};

struct TrainHooks {
  std::function<void(const TrainStep&)> step;
  std::function<void(std::string_view message)> note;  // what a person should know: resumed, saved, …
};

struct TrainReport {
  int64_t steps = 0;      // done in all
  int64_t resumed = 0;    // of them, by an earlier run
  bool finished = false;  // false: stopped by cancellation, after saving
  double loss = 0;
};

// What would happen, without training: {"settings", "parts", "steps", "steps_per_epoch", "warmup_steps",
// "schedule", "first_step", "memory_bytes", with lora "adapter"}. Reads and checks all rows, and makes the
// data of the first step, whose passes the memory is for: activations are an estimate (src/train/memory.h),
// the rest is exact. hooks.note is told of rows that are left out.
VL3_API Json plan_training(const TrainConfig& config, const TrainHooks& hooks = {});

// Trains config.model into the model folder config.output, or with lora into an adapter's. Checkpoints lie
// under output/checkpoints, each such a folder with what it takes to go on; the latest one that is whole is
// where a run begins, and the result has the same bits as an unbroken run's. Cancelling the context saves and
// returns. Throws what reading model and data throws; kInvalidArgument where output holds another training;
// kIo (a full disk), after which the checkpoints before are still good.
VL3_API TrainReport train(Context& context, const TrainConfig& config, const TrainHooks& hooks = {});

}  // namespace vl3
