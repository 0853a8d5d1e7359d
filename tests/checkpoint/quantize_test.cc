#include "vl3/quantize.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/file.h"
#include "base/json.h"
#include "checkpoint/checkpoint_files.h"
#include "checkpoint/column_scales.h"
#include "support/support.h"
#include "tensor/quantized.h"
#include "vl3/checkpoint.h"
#include "vl3/error.h"
#include "vl3/thread_pool.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;
using test::expect_error;
using test::TemporaryFolder;

fs::path tiny() { return test::data_path("../../models/tiny"); }

QuantizeReport quantize(const fs::path& out, DType to, std::set<std::string> keep = {}) {
  ThreadPool threads(2);
  return quantize_checkpoint(threads, tiny(), out, {.to = to, .keep = std::move(keep)});
}

TEST(Quantize, EveryMatrixIsReadAsItWasWritten) {
  const Checkpoint source = Checkpoint::open(tiny());
  for (const DType to : {DType::kInt8, DType::kInt4}) {
    const TemporaryFolder folder;
    const QuantizeReport report = quantize(folder.path() / "out", to);
    const Checkpoint made = Checkpoint::open(folder.path() / "out");
    ThreadPool threads(1);
    const auto exponents = column_exponents(threads, source, {});
    int64_t quantised = 0;
    for (const ExpectedTensor& expected : source.tensors()) {
      const Tensor before = source.get(expected.name), after = made.get(expected.name);
      ASSERT_EQ(after.shape(), before.shape()) << expected.name;
      ASSERT_EQ(is_quantized(after.dtype()), expected.shape.size() == 2) << expected.name;
      QuantizedOptions options;
      if (const auto found = exponents.find(expected.name); found != exponents.end())
        options.exponents = *found->second;
      // int4 leaves values and outputs of attention bits to be int8.
      const bool attention = expected.name.find("v_proj") != std::string::npos ||
                             expected.name.find("o_proj") != std::string::npos;
      ASSERT_TRUE(after.dtype() == to || !is_quantized(after.dtype()) || attention) << expected.name;
      const Tensor wanted =
          is_quantized(after.dtype()) ? quantized(threads, before, after.dtype(), options) : before;
      ASSERT_EQ(std::memcmp(after.raw(), wanted.raw(), wanted.bytes()), 0) << expected.name;
      ASSERT_EQ(reinterpret_cast<uintptr_t>(after.raw()) % (is_quantized(after.dtype()) ? 64 : 2), 0u);
      quantised += is_quantized(after.dtype()) ? 1 : 0;
    }
    EXPECT_EQ(report.quantized, quantised);
    EXPECT_EQ(report.tensors, static_cast<int64_t>(source.tensors().size()));
    EXPECT_LT(report.bytes_after, report.bytes_before);
    EXPECT_TRUE(fs::exists(folder.path() / "out" / "tokenizer_config.json"));
    const Json inspected = inspect(folder.path() / "out");
    EXPECT_TRUE(inspected["problems"].empty()) << inspected["problems"].dump();
    std::printf("%lld tensors equal\n", static_cast<long long>(report.tensors));
  }
}

TEST(Quantize, PartsThatAreKeptStay) {
  const TemporaryFolder folder;
  quantize(folder.path() / "out", DType::kInt4, {"vision", "head"});
  const Checkpoint made = Checkpoint::open(folder.path() / "out");
  EXPECT_FALSE(is_quantized(made.get("lm_head.weight").dtype()));
  EXPECT_FALSE(is_quantized(made.get("model.vision_model.encoder.layers.0.mlp.fc1.weight").dtype()));
  EXPECT_EQ(made.get("model.projector.readout.0.weight").dtype(), DType::kInt4);
  EXPECT_EQ(made.get("model.language_model.layers.0.mlp.up_proj.weight").dtype(), DType::kInt4);
}

TEST(Quantize, RefusesAndLeavesNothingBehind) {
  const TemporaryFolder folder;
  const fs::path out = folder.path() / "out";
  const auto only = [&](size_t count) {
    return static_cast<size_t>(
               std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator())) == count;
  };
  expect_error([&] { quantize(out, DType::kF16); }, ErrorCode::kInvalidArgument, {"int8 and int4"});
  expect_error([&] { quantize(out, DType::kInt8, {"eyes"}); }, ErrorCode::kInvalidArgument, {"\"eyes\""});
  ThreadPool threads(1);
  int asked = 0;
  const QuantizeOptions cancelled{.to = DType::kInt8, .cancelled = [&] { return ++asked == 5; }};
  expect_error([&] { quantize_checkpoint(threads, tiny(), out, cancelled); }, ErrorCode::kCancelled,
               {"cancelled"});
  expect_error([&] { quantize_checkpoint(threads, "nothing_here", out, {.to = DType::kInt8}); },
               ErrorCode::kNotFound, {"nothing_here"});
  EXPECT_TRUE(only(0));
  quantize(out, DType::kInt8);
  EXPECT_TRUE(only(1));
  expect_error([&] { quantize(out, DType::kInt8); }, ErrorCode::kInvalidArgument, {"is there already"});
  expect_error([&] { quantize_checkpoint(threads, out, folder.path() / "again", {.to = DType::kInt4}); },
               ErrorCode::kUnsupported, {"is quantised already"});
  EXPECT_TRUE(only(1));
}

// A file of an earlier version is refused with what to do.
TEST(Quantize, AnEarlierVersionIsRefused) {
  const TemporaryFolder folder;
  quantize(folder.path() / "out", DType::kInt8);
  const fs::path path = folder.path() / "out" / "model.safetensors";
  std::string file = read_file(path, 1 << 24);
  const std::string version = "\"videollama3.quantized\":\"2\"";
  file.replace(file.find(version), version.size(), "\"videollama3.quantized\":\"1\"");
  AtomicFile old(path);
  old.write(file);
  old.commit();
  expect_error([&] { Checkpoint::open(folder.path() / "out"); }, ErrorCode::kUnsupported,
               {"version \"1\"", "videollama3 quantize"});
}

// A language model of int4 takes no more bits than it was given, and int8 where they are enough.
TEST(Quantize, BitsAreSpentAsFarAsTheyGo) {
  int64_t last = -1;
  for (const double bits : {4.0, 5.0, 16.0}) {
    const TemporaryFolder folder;
    ThreadPool threads(1);
    quantize_checkpoint(threads, tiny(), folder.path() / "out", {.to = DType::kInt4, .bits = bits});
    const Checkpoint made = Checkpoint::open(folder.path() / "out");
    int64_t int8 = 0;
    for (const ExpectedTensor& tensor : made.tensors()) int8 += made.get(tensor.name).dtype() == DType::kInt8;
    EXPECT_GE(int8, last);
    last = int8;
    if (bits == 4.0) {
      EXPECT_EQ(int8, 0);
    }
    if (bits == 16.0) {
      EXPECT_EQ(int8, 2 * made.config().text.num_hidden_layers);
    }
  }
}

// What the metadata says must fit the bytes.
TEST(Quantize, BrokenFilesAreRefused) {
  const TemporaryFolder folder;
  quantize(folder.path() / "out", DType::kInt8);
  const fs::path path = folder.path() / "out" / "model.safetensors";
  const std::string file = read_file(path, 1 << 24);
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = file;
    const size_t at = changed.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    ASSERT_EQ(from.size(), to.size());
    changed.replace(at, from.size(), to);
    AtomicFile broken(path);
    broken.write(changed);
    broken.commit();
    EXPECT_THROW(Checkpoint::open(folder.path() / "out"), Error) << from << " as " << to;
  };
  with("\"int8 ", "\"int4 ");
  with("\"int8 ", "\"int9 ");
  with("\"int8 ", "\"int8x");
  with("\"videollama3.quantized\":\"2\"", "\"videollama3.quantized\":\"1\"");
  with("\"videollama3.quantized\":\"2\"", "\"videollama3.quantizeb\":\"2\"");
  with("\"dtype\":\"U8\"", "\"dtype\":\"I8\"");
  AtomicFile cut(path);
  cut.write(file.substr(0, file.size() - 1));
  cut.commit();
  EXPECT_THROW(Checkpoint::open(folder.path() / "out"), Error);
}

}  // namespace
}  // namespace vl3
