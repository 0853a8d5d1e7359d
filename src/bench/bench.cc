#include "bench/bench.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "base/check.h"
#include "base/clock.h"
#include "generate/model_decoder.h"
#include "model/cost.h"
#include "model/model_parts.h"
#include "model/parameters.h"

namespace vl3 {
namespace {

std::vector<double> timed(int repeats, const std::function<void()>& work) {
  std::vector<double> seconds;
  for (int i = 0; i < repeats; ++i) {
    const double start = now_s();
    work();
    seconds.push_back(now_s() - start);
  }
  return seconds;
}

void set_times(BenchResult& result, std::vector<double> seconds) {
  std::sort(seconds.begin(), seconds.end());
  const size_t n = seconds.size();
  result.seconds = (seconds[(n - 1) / 2] + seconds[n / 2]) / 2;
  result.fastest_s = seconds.front();
  result.slowest_s = seconds.back();
  result.peak_rss_bytes = peak_rss_bytes();
}

// The peak of the products that weights of this type take part in.
double products_peak(const Context& context, const MachinePeaks& peaks, DType weights) {
  if (context.compute() == Compute::kF32) return peaks.f32_gflops;
  if (is_quantized(weights) && peaks.int8_gflops) return *peaks.int8_gflops;
  if (weights == DType::kBF16 && peaks.bf16_gflops) return *peaks.bf16_gflops;
  return peaks.f32_gflops;
}

// One picture or clip as the encoder takes it.
struct EncoderInput {
  Tensor pixels, grid, merge;
  int64_t patches_a_frame, tokens;
};

EncoderInput encoder_input(const ForConditionalGeneration& model, const BenchClip& clip, bool repeated) {
  const int64_t patch = model.config().vision.patch_size, merge = clip.frames > 1 ? 2 : 1;
  const int64_t h = clip.height / (patch * merge) * merge, w = clip.width / (patch * merge) * merge;
  require(clip.frames > 0 && h > 0 && w > 0, ErrorCode::kInvalidArgument,
          "[bench] {} frames of {} x {} pixels hold no patch of {} x {}", clip.frames, clip.width,
          clip.height, patch * merge, patch * merge);
  EncoderInput input;
  input.patches_a_frame = h * w;
  input.tokens = clip.frames * h * w / (merge * merge);
  input.pixels = Tensor::empty({clip.frames * h * w, model.config().vision.patch_width()}, DType::kF32);
  std::minstd_rand random(1);
  const size_t frame = static_cast<size_t>(input.pixels.numel() / clip.frames);
  const std::span<float> values = input.pixels.mutable_span<float>();
  for (size_t i = 0; i < values.size(); ++i) {
    const bool again = repeated && i / frame % 2 == 1;
    values[i] = again ? values[i - frame] : static_cast<float>(random() % 4096) / 2048.0f - 1.0f;
  }
  input.grid = Tensor::from<int64_t>({1, 3}, std::vector<int64_t>{clip.frames, h, w});
  input.merge = Tensor::from<int64_t>({1}, std::vector<int64_t>{merge});
  return input;
}

// The ids of a prompt: any that stand for no picture or clip.
std::vector<int64_t> some_ids(const Config& config, int64_t count) {
  require(count > 0, ErrorCode::kInvalidArgument, "[bench] {} tokens are none", count);
  std::vector<int64_t> ids;
  for (int64_t i = 0; ids.size() < static_cast<size_t>(count); ++i) {
    const int64_t id = i % config.text.vocab_size;
    if (id != config.image_token_id && id != config.video_token_id) ids.push_back(id);
  }
  return ids;
}

class Bench {
 public:
  Bench(Context& context, const ForConditionalGeneration& model, const MachinePeaks& peaks,
        const BenchOptions& options)
      : context_(context), model_(model), peaks_(peaks), options_(options), decoder_(model) {}

  BenchResult load(const std::filesystem::path& folder) {
    BenchResult result = begin("load", model_.weights_dtype());
    set_times(result, timed(options_.repeats, [&] {
                const auto loaded = ForConditionalGeneration::from_pretrained(folder);
                ModelWeights weights = weights_of(loaded);
                volatile unsigned sum = 0;  // one byte of every page
                visit(weights, loaded.config(), [&](const std::string&, const Tensor& tensor, Part) {
                  for (size_t i = 0; i < tensor.bytes(); i += 4096)
                    sum = sum + static_cast<unsigned>(tensor.raw()[i]);
                });
              }));
    result.gbs = static_cast<double>(model_.weight_bytes()) / result.seconds * 1e-9;
    return result;
  }

  BenchResult encode(const BenchClip& clip, bool repeated) {
    const EncoderInput input = encoder_input(model_, clip, repeated);
    const DType dtype = vision_dtype(model_);
    BenchResult result = begin(repeated ? "encode_repeated" : "encode", dtype);
    result.frames = clip.frames;
    result.patches = clip.frames * input.patches_a_frame;
    result.tokens = input.tokens;
    set_times(result, timed(options_.repeats, [&] {
                model_.model().get_image_features(context_, input.pixels, input.grid, input.merge);
              }));
    if (repeated) return result;
    set_gflops(result, encode_flops(model_, {{clip.frames, input.patches_a_frame, input.tokens}}), dtype);
    return result;
  }

  BenchResult prefill(int64_t tokens) {
    const std::vector<int64_t> ids = some_ids(model_.config(), tokens);
    BenchResult result = begin("prefill", model_.weights_dtype());
    result.tokens = tokens;
    set_times(result, timed(options_.repeats, [&] {
                ForwardInput input;
                input.input_ids = Tensor::from<int64_t>({1, tokens}, ids);
                vl3::prefill(context_, decoder_, make_prompts(context_, model_, input)[0]);
              }));
    result.tokens_per_s = static_cast<double>(tokens) / result.seconds;
    set_gflops(result, prefill_flops(model_, {tokens}), model_.weights_dtype());
    return result;
  }

  // A picture of 448 × 448 and text: pixels and ids in, logits of the first token out.
  BenchResult first_token(int64_t tokens) {
    const EncoderInput picture = encoder_input(model_, {1, 448, 448}, false);
    std::vector<int64_t> ids(static_cast<size_t>(picture.tokens), model_.config().image_token_id);
    for (const int64_t id : some_ids(model_.config(), tokens)) ids.push_back(id);
    const int64_t columns = static_cast<int64_t>(ids.size());
    BenchResult result = begin("first_token", model_.weights_dtype());
    result.patches = picture.patches_a_frame;
    result.tokens = columns;
    set_times(result, timed(options_.repeats, [&] {
                ForwardInput input;
                input.input_ids = Tensor::from<int64_t>({1, columns}, ids);
                input.pixel_values = picture.pixels;
                input.image_grid_thw = picture.grid;
                input.image_merge_sizes = picture.merge;
                vl3::prefill(context_, decoder_, make_prompts(context_, model_, input)[0]);
              }));
    return result;
  }

  // Every step is one measurement.
  BenchResult decode(int64_t length, int64_t batch) {
    require(batch > 0, ErrorCode::kInvalidArgument, "[bench] a batch of {} sequences", batch);
    const std::vector<int64_t> ids = some_ids(model_.config(), length);
    ForwardInput input;
    input.input_ids = Tensor::from<int64_t>({1, length}, ids);
    const KvCache prompt = vl3::prefill(context_, decoder_, make_prompts(context_, model_, input)[0]).cache;
    std::vector<KvCache> caches;
    for (int64_t i = 0; i < batch; ++i) {
      caches.push_back(new_cache(model_, context_));
      caches.back() = prompt.fork();
    }
    BenchResult result = begin("decode", model_.weights_dtype());
    result.context = length;
    result.batch = batch;
    const std::span<const int64_t> next(ids.data(), 1);
    const auto step = [&] {
      std::vector<CausalDecoder::Feed> feeds;
      for (KvCache& cache : caches) feeds.push_back({&cache, next});
      decoder_.decode(context_, feeds);
    };
    step();  // the blocks that were shared become each sequence's own
    set_times(result, timed(static_cast<int>(options_.steps), step));
    result.tokens_per_s = static_cast<double>(batch) / result.seconds;
    result.gbs = decode_bytes(model_, prompt.type(), length, batch) / result.seconds * 1e-9;
    set_share(result, *result.gbs, [](const MachinePeaks& peaks) { return peaks.read_gbs; });
    return result;
  }

 private:
  BenchResult begin(const std::string& name, DType dtype) {
    context_.release_unused();
    reset_peak_rss();
    BenchResult result;
    result.name = name;
    result.dtype = to_string(dtype);
    return result;
  }
  void set_gflops(BenchResult& result, double flops, DType dtype) {
    result.gflops = flops / result.seconds * 1e-9;
    set_share(result, *result.gflops,
              [&](const MachinePeaks& peaks) { return products_peak(context_, peaks, dtype); });
  }
  // Of what the machine could do before the stage or after it, whichever is more: other work there comes and
  // goes.
  template <class Peak>
  void set_share(BenchResult& result, double rate, Peak&& peak) {
    const MachinePeaks after = measure_peaks(context_);
    result.peak = std::max(peak(peaks_), peak(after));
    result.share = rate / *result.peak;
    peaks_ = after;
  }

  Context& context_;
  const ForConditionalGeneration& model_;
  MachinePeaks peaks_;  // the latest
  const BenchOptions& options_;
  ModelDecoder decoder_;
};

}  // namespace

ForConditionalGeneration in_memory(const ForConditionalGeneration& model) {
  auto weights = std::make_shared<ModelWeights>(weights_of(model));
  visit(*weights, model.config(), [](const std::string&, Tensor& tensor, Part) { tensor = tensor.clone(); });
  return model_of(model.config(), std::move(weights));
}

std::vector<BenchResult> run_bench(Context& context, const ForConditionalGeneration& model,
                                   const MachinePeaks& peaks, const BenchOptions& options,
                                   const std::filesystem::path& folder,
                                   const std::function<void(const BenchResult&)>& report) {
  require(options.repeats > 0 && options.steps > 0, ErrorCode::kInvalidArgument,
          "[bench] {} repeats and {} steps should both be at least 1", options.repeats, options.steps);
  Bench bench(context, model, peaks, options);
  std::vector<BenchResult> results;
  const auto add = [&](const BenchResult& result) {
    results.push_back(result);
    if (report) report(result);
  };
  if (options.load) add(bench.load(folder));
  for (const BenchClip& clip : options.encode) add(bench.encode(clip, false));
  for (const BenchClip& clip : options.encode) {
    if (options.repeated && clip.frames > 1) add(bench.encode(clip, true));
  }
  for (const int64_t tokens : options.prefill) add(bench.prefill(tokens));
  for (const int64_t tokens : options.first_token) add(bench.first_token(tokens));
  for (const int64_t length : options.decode) {
    for (const int64_t batch : options.batch) add(bench.decode(length, batch));
  }
  return results;
}

Json to_json(const MachinePeaks& peaks, const std::vector<BenchResult>& results) {
  Json gflops = {{"f32", peaks.f32_gflops}};
  if (peaks.bf16_gflops) gflops["bf16"] = *peaks.bf16_gflops;
  if (peaks.int8_gflops) gflops["int8"] = *peaks.int8_gflops;
  Json list = Json::array();
  for (const BenchResult& result : results) {
    Json row = {{"name", result.name}};
    const auto put = [&row](const char* key, const auto& value) {
      if (value) row[key] = *value;
    };
    put("frames", result.frames);
    put("patches", result.patches);
    put("tokens", result.tokens);
    put("context", result.context);
    put("batch", result.batch);
    row["dtype"] = result.dtype;
    row["seconds"] = result.seconds;
    row["fastest_s"] = result.fastest_s;
    row["slowest_s"] = result.slowest_s;
    put("tokens_per_s", result.tokens_per_s);
    put("gflops", result.gflops);
    put("gbs", result.gbs);
    put("peak", result.peak);
    put("share", result.share);
    row["peak_rss_bytes"] = result.peak_rss_bytes;
    list.push_back(row);
  }
  const Json machine = {{"cpu", peaks.cpu},
                        {"path", peaks.path},
                        {"threads", peaks.threads},
                        {"peak_gflops", gflops},
                        {"read_gbs", peaks.read_gbs}};
  return {{"machine", machine}, {"results", list}};
}

}  // namespace vl3
