// make_random_checkpoint OUT [--preset 2b|7b|tiny] [flags]: a checkpoint of random weights, of any shape and
// dtype, for tests and benchmarks. Weights are drawn as lively as a trained model's (no two logits tie, every
// layer counts), go to disk as they are drawn, and depend on the seed, the names and the shapes only, not on
// the number of threads.

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/file.h"
#include "vl3/checkpoint.h"
#include "vl3/thread_pool.h"

namespace {

namespace fs = std::filesystem;
using namespace vl3;

struct Options {
  std::string out, preset = "tiny", dtype = "bf16", layout = "hf", tokenizer;
  uint64_t seed = 0;
  double gain = 1.0;
  bool force = false;
};

// xoshiro256++, by David Blackman and Sebastiano Vigna (public domain algorithm), seeded by splitmix64.
class Random {
 public:
  explicit Random(uint64_t seed) {
    for (uint64_t& word : state_) {
      seed += 0x9e3779b97f4a7c15;
      uint64_t z = seed;
      z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
      z = (z ^ z >> 27) * 0x94d049bb133111eb;
      word = z ^ z >> 31;
    }
  }
  uint64_t next() {
    const uint64_t result = std::rotl(state_[0] + state_[3], 23) + state_[0];
    const uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

 private:
  std::array<uint64_t, 4> state_{};
};

// Normal numbers out of 32 random bits: the quantile function, straight between 4096 points. Nothing
// beyond 3.7 deviations comes, which is as good for weights and many times faster than the exact way.
class NormalTable {
 public:
  NormalTable() {
    for (int i = 0; i <= kCells; ++i) {
      const double p = std::clamp(static_cast<double>(i) / kCells, 0.5 / kCells, 1 - 0.5 / kCells);
      double low = -8, high = 8;
      for (int step = 0; step < 60; ++step) {
        const double middle = (low + high) / 2;
        (0.5 * std::erfc(-middle / std::sqrt(2.0)) < p ? low : high) = middle;
      }
      points_[static_cast<size_t>(i)] = static_cast<float>(low);
    }
  }
  float operator()(uint32_t bits) const {
    const uint32_t cell = bits >> 20;
    const float fraction = static_cast<float>(bits & 0xfffff) * 0x1p-20f;
    return points_[cell] + fraction * (points_[cell + 1] - points_[cell]);
  }

 private:
  static constexpr int kCells = 4096;
  std::array<float, kCells + 1> points_{};
};

uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// To the nearest, ties to even. Weights are far below f16's largest number.
uint16_t to_f16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = bits >> 16 & 0x8000;
  const float magnitude = std::fabs(value);
  if (magnitude < 0x1p-14f) {  // subnormal: a whole number of 2^-24
    return static_cast<uint16_t>(sign | static_cast<uint32_t>(std::nearbyint(magnitude * 0x1p24f)));
  }
  const uint32_t rounded = (bits & 0x7fffffff) + 0xfff + (bits >> 13 & 1);
  return static_cast<uint16_t>(sign | ((rounded - (112u << 23)) >> 13));
}

struct Distribution {
  float mean = 0, deviation = 0;
};

Distribution distribution(const std::string& canonical, const Shape& shape, double gain) {
  if (shape.size() == 1 && canonical.ends_with("weight")) return {1.0f, 0.1f};  // norms
  if (shape.size() == 1) return {0.0f, 0.1f};                                   // biases
  if (canonical.find("embed_tokens") != std::string::npos || canonical.starts_with("lm_head")) {
    return {0.0f, static_cast<float>(gain * 0.15)};
  }
  int64_t fan_in = 1;
  for (size_t i = 1; i < shape.size(); ++i) fan_in *= shape[i];
  return {0.0f, static_cast<float>(1.5 * gain / std::sqrt(static_cast<double>(fan_in)))};
}

// A hash that is the same everywhere, unlike std::hash (FNV-1a).
uint64_t hash(std::string_view text) {
  uint64_t value = 0xcbf29ce484222325;
  for (const unsigned char c : text) value = (value ^ c) * 0x100000001b3;
  return value;
}

constexpr int64_t kBlock = 1 << 16;  // elements drawn from one seed
constexpr int64_t kPiece = 64 * kBlock;

// Elements [begin, end) of a tensor, one block.
void draw(const NormalTable& normal, const Distribution& d, uint64_t seed, int64_t count, DType dtype,
          std::byte* out) {
  Random random(seed);
  uint64_t bits = 0;
  for (int64_t i = 0; i < count; ++i) {
    bits = i % 2 == 0 ? random.next() : bits >> 32;
    const float value = d.mean + d.deviation * normal(static_cast<uint32_t>(bits));
    if (dtype == DType::kF32) {
      std::memcpy(out + i * 4, &value, 4);
    } else {
      const uint16_t half = dtype == DType::kBF16 ? to_bf16(value) : to_f16(value);
      std::memcpy(out + i * 2, &half, 2);
    }
  }
}

class Progress {
 public:
  explicit Progress(uint64_t total) : total_(total), shown_(isatty(STDERR_FILENO) != 0) {}
  void add(uint64_t bytes) {
    done_ += bytes;
    const auto now = std::chrono::steady_clock::now();
    if (!shown_ || now - last_ < std::chrono::milliseconds(200)) return;
    last_ = now;
    std::fprintf(stderr, "\r%3.0f %% of %.2f GiB",
                 100.0 * static_cast<double>(done_) / static_cast<double>(total_),
                 static_cast<double>(total_) / 0x1p30);
  }
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }
  void clear() const {
    if (shown_) std::fprintf(stderr, "\r%40s\r", "");
  }

 private:
  uint64_t total_, done_ = 0;
  bool shown_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now(), last_ = start_;
};

void write_weights(const fs::path& path, const Config& config, const Options& options) {
  const DType dtype = *config.dtype;
  std::vector<TensorInfo> infos;
  uint64_t total = 0, parameters = 0;
  for (const ExpectedTensor& tensor : expected_tensors(config)) {
    infos.push_back({layout_name(tensor.name, config.layout), dtype, tensor.shape});
    parameters += static_cast<uint64_t>(num_elements(tensor.shape));
  }
  total = parameters * size_of(dtype);
  const uint64_t free = fs::space(path.parent_path()).available;
  require(total < free, ErrorCode::kIo, "[{}] needs {} bytes, but the disk has {} left", path.string(), total,
          free);
  const NormalTable normal;
  ThreadPool threads(0);
  std::vector<std::byte> piece(static_cast<size_t>(kPiece) * size_of(dtype));
  SafetensorsWriter writer(path, infos);
  Progress progress(total);
  for (const TensorInfo& info : writer.order()) {
    const std::string name = canonical_name(info.name);
    const Distribution d = distribution(name, info.shape, options.gain);
    const int64_t count = num_elements(info.shape);
    for (int64_t begin = 0; begin < count; begin += kPiece) {
      const int64_t size = std::min(kPiece, count - begin);
      threads.parallel_for((size + kBlock - 1) / kBlock, 1, [&](int64_t first, int64_t last, int) {
        for (int64_t block = first; block < last; ++block) {
          const int64_t at = block * kBlock;
          const uint64_t seed =
              hash(name) ^ options.seed * 0x9e3779b97f4a7c15 ^ static_cast<uint64_t>(begin + at) << 20;
          draw(normal, d, seed, std::min(kBlock, size - at), dtype,
               piece.data() + static_cast<size_t>(at) * size_of(dtype));
        }
      });
      const std::span bytes(piece.data(), static_cast<size_t>(size) * size_of(dtype));
      writer.write(bytes);
      progress.add(bytes.size());
    }
  }
  writer.commit();
  progress.clear();
  std::fprintf(stderr, "%s: %llu parameters, %.2f GiB in %.1f s\n", path.c_str(),
               static_cast<unsigned long long>(parameters), static_cast<double>(total) / 0x1p30,
               progress.seconds());
}

// The published sizes: a SigLIP-NaViT of 27 layers before Qwen2.5 1.5B or 7B. "tiny" has the same
// architecture.
Config preset(const std::string& name) {
  Config config;
  config.text.rope.theta = 1000000.0;
  config.vision = {.hidden_size = 1152,
                   .intermediate_size = 4304,
                   .num_hidden_layers = 27,
                   .num_attention_heads = 16,
                   .patch_size = 14};
  TextConfig& t = config.text;
  const auto text = [&](int64_t hidden, int64_t layers, int64_t heads, int64_t kv, int64_t mlp,
                        int64_t vocab) {
    t.hidden_size = hidden;
    t.num_hidden_layers = layers;
    t.num_attention_heads = heads;
    t.num_key_value_heads = kv;
    t.intermediate_size = mlp;
    t.vocab_size = vocab;
  };
  t.tie_word_embeddings = name != "7b";
  if (name == "2b") {
    text(1536, 28, 12, 2, 8960, 151936);
  } else if (name == "7b") {
    text(3584, 28, 28, 4, 18944, 152064);
  } else {
    text(64, 2, 4, 2, 160, 151936);
    config.vision.hidden_size = 72;
    config.vision.intermediate_size = 144;
    config.vision.num_hidden_layers = config.vision.num_attention_heads = 2;
  }
  t.head_dim = 0;  // from hidden_size, unless a flag says otherwise
  return config;
}

// Token ids of the published vocabulary where it fits, else some at the end of the small one.
void settle_tokens(Config& config, const Options& options) {
  TextConfig& t = config.text;
  const bool published = t.vocab_size > 151656;
  if (config.image_token_id < 0) config.image_token_id = published ? 151655 : t.vocab_size - 2;
  if (config.video_token_id < 0) config.video_token_id = published ? 151656 : t.vocab_size - 1;
  if (options.layout == "original") config.video_token_id = config.image_token_id;
  t.bos_token_id = t.pad_token_id = published ? 151643 : 1;
  t.eos_token_ids = {published ? 151645 : 2};
}

// Tokenizer, template and processor settings, whatever the folder has of them.
void copy_companions(const fs::path& from, const fs::path& to) {
  constexpr uint64_t kMaxBytes = 256 << 20;
  int copied = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(from)) {
    const std::string name = entry.path().filename().string();
    const bool weights = name.find("safetensors") != std::string::npos;
    const std::string extension = entry.path().extension().string();
    if (!entry.is_regular_file() || weights || name == "config.json" || name == "generation_config.json")
      continue;
    if (extension != ".json" && extension != ".txt" && extension != ".jinja") continue;
    AtomicFile file(to / name);
    file.write(read_file(resolve_link_stub(entry.path()), kMaxBytes));
    file.commit();
    ++copied;
  }
  require(copied > 0, ErrorCode::kNotFound, "[{}] has no files of a tokenizer", from.string());
}

void make(const Options& options, Config config) {
  const fs::path out = options.out;
  config.dtype = dtype_from_string(options.dtype);
  config.layout = options.layout == "original" ? Layout::kOriginal : Layout::kHuggingFace;
  config.tie_word_embeddings = config.text.tie_word_embeddings;
  TextConfig& t = config.text;
  if (t.head_dim == 0) t.head_dim = t.num_attention_heads > 0 ? t.hidden_size / t.num_attention_heads : 0;
  settle_tokens(config, options);
  config = Config::from_json(config.to_json(config.layout),
                             "flags");  // every number is checked as a file's would be
  require(options.force || !fs::exists(out / "model.safetensors"), ErrorCode::kInvalidArgument,
          "[{}] has a model.safetensors already; --force writes over it", out.string());
  const bool fresh = fs::create_directories(out);
  try {
    write_weights(out / "model.safetensors", config, options);
    if (!options.tokenizer.empty()) copy_companions(options.tokenizer, out);
    AtomicFile generation(out / "generation_config.json");
    generation.write(Json{{"do_sample", false},
                          {"bos_token_id", *config.text.bos_token_id},
                          {"eos_token_id", config.text.eos_token_ids.front()},
                          {"pad_token_id", *config.text.pad_token_id}}
                         .dump(2) +
                     "\n");
    generation.commit();
    config.save(out);
  } catch (...) {
    std::error_code ignored;
    if (fresh) fs::remove_all(out, ignored);
    throw;
  }
}

// Flags are read twice: the preset first, so that the others can change what it set.
std::string find_preset(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--preset" && i + 1 < argc) return argv[i + 1];
    if (argument.starts_with("--preset=")) return std::string(argument.substr(9));
  }
  return "tiny";
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Makes a checkpoint of random weights.");
  Options options;
  Config config = preset(find_preset(argc, argv));
  config.image_token_id = config.video_token_id = -1;
  app.add_option("out", options.out, "folder to make")->required();
  app.add_option("--preset", options.preset, "shape to start from")
      ->check(CLI::IsMember({"2b", "7b", "tiny"}))
      ->capture_default_str();
  app.add_option("--dtype", options.dtype, "type of all weights")
      ->check(CLI::IsMember({"f32", "bf16", "f16"}))
      ->capture_default_str();
  app.add_option("--layout", options.layout,
                 "names and config.json: hf (video_llama_3) or original (videollama3_qwen2)")
      ->check(CLI::IsMember({"hf", "original"}))
      ->capture_default_str();
  app.add_option("--seed", options.seed, "of the weights")->capture_default_str();
  app.add_option("--gain", options.gain, "factor on all matrices")->capture_default_str();
  app.add_option("--tokenizer", options.tokenizer,
                 "folder whose tokenizer, template and processor files are copied");
  app.add_flag("--force", options.force, "write over a checkpoint that is there");
  TextConfig& t = config.text;
  VisionConfig& v = config.vision;
  app.add_option("--text-hidden", t.hidden_size);
  app.add_option("--text-layers", t.num_hidden_layers);
  app.add_option("--text-heads", t.num_attention_heads);
  app.add_option("--text-kv-heads", t.num_key_value_heads);
  app.add_option("--text-head-dim", t.head_dim, "0: --text-hidden / --text-heads");
  app.add_option("--text-mlp", t.intermediate_size);
  app.add_option("--vocab", t.vocab_size);
  app.add_option("--max-positions", t.max_position_embeddings);
  app.add_option("--rope-theta", t.rope.theta);
  app.add_flag("--tied,!--untied", t.tie_word_embeddings, "the head is the embedding");
  app.add_option("--vision-hidden", v.hidden_size);
  app.add_option("--vision-layers", v.num_hidden_layers);
  app.add_option("--vision-heads", v.num_attention_heads);
  app.add_option("--vision-mlp", v.intermediate_size);
  app.add_option("--patch-size", v.patch_size);
  app.add_option("--image-token", config.image_token_id);
  app.add_option("--video-token", config.video_token_id);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  try {
    make(options, config);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "make_random_checkpoint: %s\n", error.what());
    return 1;
  }
  return 0;
}
