#pragma once
// How fast a model runs here, and how fast this machine could: every figure with the share of the machine's
// own peak, measured in the same run.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "vl3/context.h"
#include "vl3/model.h"

namespace vl3 {

// What the context's threads reach together with the instructions of its kernels. GFLOP/s count two
// operations a multiply-add; absent where there is no such instruction. GB/s (10^9) of reading memory far
// larger than the caches.
struct MachinePeaks {
  std::string cpu;
  std::string path;  // of the kernels: "avx512", …
  int threads = 0;
  double f32_gflops = 0;
  std::optional<double> bf16_gflops, int8_gflops;
  double read_gbs = 0;
};
MachinePeaks measure_peaks(Context& context);

// Most memory of this process in RAM since the last reset, and that reset (Linux; 0 and nothing elsewhere).
int64_t peak_rss_bytes();
void reset_peak_rss();

// frames of height × width pixels: one is a picture (no merging), more are a clip (merged 2 × 2). Sides are
// rounded down to whole patches (times two for clips).
struct BenchClip {
  int64_t frames = 1, height = 0, width = 0;
};

struct BenchOptions {
  bool load = false;                 // open the folder again and read every page of its weights
  std::vector<BenchClip> encode;     // vision encoder and projector
  bool repeated = false;             // clips again, every second frame equal to the one before it
  std::vector<int64_t> prefill;      // tokens
  std::vector<int64_t> first_token;  // tokens beside a picture of 448 × 448: encode, prefill, first logits
  std::vector<int64_t> decode;       // tokens already there
  std::vector<int64_t> batch = {1};  // sequences decoded together
  int64_t steps = 16;                // of decoding
  int repeats = 3;                   // of the rest
};

// One line of the report. Fields that do not apply are absent.
struct BenchResult {
  std::string name;  // load, encode, encode_repeated, prefill, first_token, decode
  std::optional<int64_t> frames, patches, tokens, context, batch;
  std::string dtype;   // of the weights that matter: the encoder's or the language model's
  double seconds = 0;  // median; of one step when decoding
  double fastest_s = 0, slowest_s = 0;
  std::optional<double> tokens_per_s;
  std::optional<double> gflops, gbs;
  std::optional<double> peak;   // that binds, measured around the stage: GFLOP/s of products, GB/s of reading
  std::optional<double> share;  // of it
  int64_t peak_rss_bytes = 0;
};

// The same weights in memory of this process, so that no page is read from a disk while the clock runs.
ForConditionalGeneration in_memory(const ForConditionalGeneration& model);

// Runs what the options name, one after the other; report is called with each result as soon as it is there.
// Inputs are random numbers and any ids: speed does not depend on them. folder is for `load`.
// Throws kInvalidArgument for sizes that hold no patch or token.
std::vector<BenchResult> run_bench(Context& context, const ForConditionalGeneration& model,
                                   const MachinePeaks& peaks, const BenchOptions& options,
                                   const std::filesystem::path& folder,
                                   const std::function<void(const BenchResult&)>& report = {});

// {"machine": {…}, "results": [{…}]}, the format of docs/benchmarks.md.
Json to_json(const MachinePeaks& peaks, const std::vector<BenchResult>& results);

}  // namespace vl3
