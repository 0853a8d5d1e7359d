#include "vl3/safetensors.h"

#include <sys/resource.h>

#include <csignal>
#include <cstring>
#include <random>

#include "checkpoint/checkpoint_files.h"
#include "checkpoint/safetensors_header.h"

namespace vl3::test {
namespace {

namespace fs = std::filesystem;

TEST(Safetensors, WritesAndReadsEveryDtypeBackByteForByte) {
  TemporaryFolder folder;
  NamedTensors tensors;
  std::mt19937 random(1);
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16, DType::kF64, DType::kI64, DType::kI32,
                            DType::kU8, DType::kBool}) {
    for (const Shape& shape : {Shape{}, Shape{3}, Shape{2, 3, 5}, Shape{0, 4}}) {
      Tensor tensor = Tensor::empty(shape, dtype);
      for (size_t i = 0; i < tensor.bytes(); ++i)
        tensor.mutable_raw()[i] = static_cast<std::byte>(random() & 1);
      tensors.emplace_back(std::string(to_string(dtype)) + to_string(shape), tensor);
    }
  }
  write_safetensors(folder / "a.safetensors", tensors, {{"format", "pt"}, {"quote\"\n", "ü"}});
  const SafetensorsFile file = SafetensorsFile::open(folder / "a.safetensors");
  ASSERT_EQ(file.tensors().size(), tensors.size());
  EXPECT_EQ(file.metadata(), (Metadata{{"format", "pt"}, {"quote\"\n", "ü"}}));
  for (const auto& [name, tensor] : tensors) {
    const Tensor back = file.get(name);
    EXPECT_EQ(back.shape(), tensor.shape()) << name;
    EXPECT_EQ(back.dtype(), tensor.dtype()) << name;
    EXPECT_TRUE(back.storage()->read_only()) << name;
    EXPECT_EQ(std::memcmp(back.raw(), tensor.raw(), tensor.bytes()), 0) << name;
  }
  // Equal contents in another order give an equal file.
  std::reverse(tensors.begin(), tensors.end());
  write_safetensors(folder / "b.safetensors", tensors, {{"format", "pt"}, {"quote\"\n", "ü"}});
  EXPECT_EQ(read_text(folder / "a.safetensors"), read_text(folder / "b.safetensors"));
}

TEST(Safetensors, TensorsOutliveTheirFileAndMisalignedOnesAreCopied) {
  TemporaryFolder folder;
  // Two bytes, then a float at an odd multiple of two.
  float value = 1.5f;
  std::string data(2, '\1');
  data.append(reinterpret_cast<const char*>(&value), 4);
  const std::string tensors =
      R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}})";
  write_text(folder / "x.safetensors", raw_file(tensors, data));
  Tensor a, b;
  {
    const SafetensorsFile file = SafetensorsFile::open(folder / "x.safetensors");
    a = file.get("a");
    b = file.get("b");
  }
  EXPECT_EQ(reinterpret_cast<uintptr_t>(b.raw()) % 4, 0u);
  EXPECT_FLOAT_EQ(*b.data<float>(), 1.5f);
  EXPECT_EQ(a.data<uint8_t>()[1], 1);
}

TEST(Safetensors, ReadsAFileWithoutTensors) {
  TemporaryFolder folder;
  write_text(folder / "x.safetensors", raw_file("{}", ""));
  EXPECT_TRUE(SafetensorsFile::open(folder / "x.safetensors").tensors().empty());
}

struct BadFile {
  const char* what;
  std::string bytes;
  ErrorCode code;
  std::vector<std::string> words;
};

std::string one(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return "{\"w\":{\"dtype\":" + dtype + ",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}}";
}

std::vector<BadFile> bad_files() {
  const auto format = ErrorCode::kFormat;
  const std::string good = raw_file(one("\"F32\"", "[2]", "[0,8]"), std::string(8, 'x'));
  const auto file = [](const std::string& header, size_t data) {
    return raw_file(header, std::string(data, 'x'));
  };
  const std::string w = R"("w":{"dtype":"U8","shape":[2],"data_offsets":[0,2]})";
  std::string lie = good;
  lie[0] = static_cast<char>(lie[0] + 40);
  std::string huge = good;
  huge[7] = '\x7f';
  std::string deep = "{\"w\":";
  for (int i = 0; i < 100000; ++i) deep += "[";
  return {
      {"empty", "", format, {"0 bytes", "too few"}},
      {"seven bytes", "1234567", format, {"7 bytes"}},
      {"header longer than the file", lie, format, {"header length", "truncated"}},
      {"header length far too large", huge, ErrorCode::kLimitExceeded, {"header length", "100000000"}},
      {"truncated data", good.substr(0, good.size() - 1), format, {"\"w\"", "data_offsets", "truncated"}},
      {"truncated header", good.substr(0, 20), format, {"header length"}},
      {"trailing bytes", good + "yz", format, {"2 bytes after the last tensor"}},
      {"not JSON",
       file("{nonsense}", 0),
       format,
       {"] the header is not valid JSON at line 1, column 3 (byte 3 of ", "expected string literal"}},
      {"not an object", file("[1,2]", 0), format, {"begin with '{'"}},
      {"two values", file("{}{}", 0), format, {"not valid JSON at line 1, column 3"}},
      {"nested too deep", file(deep, 0), format, {"\"w\""}},
      {"tensor is a number", file("{\"w\":3}", 0), format, {"\"w\"", "the number 3"}},
      {"no dtype", file(R"({"w":{"shape":[2],"data_offsets":[0,8]}})", 8), format, {"\"w\"", "no \"dtype\""}},
      {"no shape",
       file(R"({"w":{"dtype":"F32","data_offsets":[0,8]}})", 8),
       format,
       {"\"w\"", "no \"shape\""}},
      {"no offsets",
       file(R"({"w":{"dtype":"F32","shape":[2]}})", 8),
       format,
       {"\"w\"", "no \"data_offsets\""}},
      {"unknown field", file(R"({"w":{"dtype":"F32","stride":[1]}})", 8), format, {"\"w\"", "\"stride\""}},
      {"unknown dtype",
       file(one("\"F33\"", "[2]", "[0,8]"), 8),
       format,
       {"\"w\"", "dtype", "F33", "unknown"}},
      {"lower-case dtype", file(one("\"f32\"", "[2]", "[0,8]"), 8), format, {"\"w\"", "dtype", "f32"}},
      {"unsupported dtype",
       file(one("\"F8_E4M3\"", "[8]", "[0,8]"), 8),
       ErrorCode::kUnsupported,
       {"\"w\"", "F8_E4M3"}},
      {"dtype is a number", file(one("7", "[2]", "[0,8]"), 8), format, {"\"w\"", "dtype"}},
      {"negative extent", file(one("\"F32\"", "[-2]", "[0,8]"), 8), format, {"\"w\"", "shape", "-2"}},
      {"fractional extent", file(one("\"F32\"", "[2.5]", "[0,8]"), 8), format, {"\"w\"", "shape", "2.5"}},
      {"overflowing shape",
       file(one("\"F32\"", "[4294967296,4294967296,4]", "[0,8]"), 8),
       ErrorCode::kLimitExceeded,
       {"\"w\"", "shape", "overflows"}},
      {"overflowing bytes",
       file(one("\"F64\"", "[4611686018427387904]", "[0,8]"), 8),
       ErrorCode::kLimitExceeded,
       {"\"w\"", "shape", "overflows"}},
      {"extent above 63 bits",
       file(one("\"F32\"", "[18446744073709551615]", "[0,8]"), 8),
       format,
       {"\"w\"", "shape"}},
      {"too many dimensions",
       file(one("\"F32\"", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "[0,4]"), 4),
       format,
       {"\"w\"", "shape", "more than 16"}},
      {"shape against bytes",
       file(one("\"F32\"", "[3]", "[0,8]"), 8),
       format,
       {"\"w\"", "12 bytes", "hold 8"}},
      {"offsets in the wrong order",
       file(one("\"F32\"", "[2]", "[8,0]"), 8),
       format,
       {"\"w\"", "data_offsets", "order"}},
      {"offsets past the end", file(one("\"F32\"", "[4]", "[0,16]"), 8), format, {"\"w\"", "past the end"}},
      {"gap at the start", file(one("\"F32\"", "[1]", "[4,8]"), 8), format, {"\"w\"", "gap"}},
      {"three offsets",
       file(one("\"F32\"", "[2]", "[0,4,8]"), 8),
       format,
       {"\"w\"", "data_offsets", "two numbers"}},
      {"overlap",
       file("{" + w + R"(,"v":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})", 3),
       format,
       {"\"v\"", "overlaps"}},
      {"gap between",
       file("{" + w + R"(,"v":{"dtype":"U8","shape":[2],"data_offsets":[3,5]}})", 5),
       format,
       {"\"v\"", "gap"}},
      {"the same name twice", file("{" + w + "," + w + "}", 2), format, {"\"w\"", "twice"}},
      {"dtype twice",
       file(R"({"w":{"dtype":"F32","dtype":"F32","shape":[0],"data_offsets":[0,0]}})", 0),
       format,
       {"\"w\"", "dtype", "twice"}},
      {"metadata that is no table", file(R"({"__metadata__":[]})", 0), format, {"__metadata__"}},
      {"metadata with a number",
       file(R"({"__metadata__":{"step":3}})", 0),
       format,
       {"__metadata__", "step", "3"}},
      {"pickle in a zip",
       std::string("PK\3\4") + std::string(60, 'p'),
       ErrorCode::kUnsupported,
       {"pickle", "convert"}},
      {"bare pickle",
       std::string("\x80\x02\x8a\x0a", 4) + std::string(60, 'p'),
       ErrorCode::kUnsupported,
       {"pickle"}},
      {"GGUF", "GGUF" + std::string(60, '\0'), ErrorCode::kUnsupported, {"GGUF"}},
      {"HTML page", "<!DOCTYPE html>\n<html>", ErrorCode::kUnsupported, {"HTML", "download"}},
      {"LFS pointer",
       "version https://git-lfs.github.com/spec/v1\noid sha256:12\n",
       ErrorCode::kUnsupported,
       {"LFS"}},
  };
}

TEST(Safetensors, RefusesBadFilesByName) {
  TemporaryFolder folder;
  const fs::path path = folder / "bad.safetensors";
  const std::vector<BadFile> cases = bad_files();
  for (BadFile bad : cases) {
    SCOPED_TRACE(bad.what);
    write_text(path, bad.bytes);
    bad.words.push_back("bad.safetensors");
    expect_error([&] { SafetensorsFile::open(path); }, bad.code, bad.words);
  }
  std::printf("%zu bad safetensors files refused\n", cases.size());
}

TEST(Safetensors, RefusesMissingFilesAndTensors) {
  TemporaryFolder folder;
  expect_error([&] { SafetensorsFile::open(folder / "none.safetensors"); }, ErrorCode::kNotFound,
               {"none.safetensors"});
  expect_error([&] { SafetensorsFile::open(folder.path()); }, ErrorCode::kIo, {"not a regular file"});
  write_text(folder / "x.safetensors", raw_file("{}", ""));
  expect_error([&] { SafetensorsFile::open(folder / "x.safetensors").get("w"); }, ErrorCode::kNotFound,
               {"x.safetensors", "\"w\""});
}

// Whatever a byte of the header becomes, the file is read within its bounds or refused with an Error.
TEST(Safetensors, SurvivesFlippedAndCutBytes) {
  TemporaryFolder folder;
  const Config config = small_config();
  write_safetensors(folder / "good.safetensors", small_weights(config));
  const std::string good = read_text(folder / "good.safetensors");
  const size_t header = 8 + static_cast<unsigned char>(good[0]) + 256u * static_cast<unsigned char>(good[1]);
  std::mt19937 random(20240607);
  int refused = 0, read = 0;
  double sum = 0;
  for (int round = 0; round < 4000; ++round) {
    std::string bytes = good;
    const int flips = 1 + static_cast<int>(random() % 3);
    for (int i = 0; i < flips; ++i) bytes[random() % header] = static_cast<char>(random());
    if (round % 10 == 0) bytes.resize(random() % bytes.size());
    try {
      const auto view = std::as_bytes(std::span(bytes));
      const SafetensorsHeader found = read_header(view, "flipped.safetensors");
      for (size_t i = 0; i < found.tensors.size(); ++i) {
        for (const std::byte byte : view.subspan(found.offsets[i], bytes_of(found.tensors[i]))) {
          sum += static_cast<double>(byte);
        }
      }
      ++read;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("flipped.safetensors"), std::string::npos) << error.what();
      ++refused;
    }
  }
  std::printf("%d altered headers refused, %d read (%g)\n", refused, read, sum);
  EXPECT_GT(refused, 500);
  EXPECT_GT(read, 50);
}

TEST(SafetensorsWriter, RefusesBadNamesAndWrongAmounts) {
  TemporaryFolder folder;
  const auto bad = ErrorCode::kInvalidArgument;
  const fs::path path = folder / "w.safetensors";
  const TensorInfo w{"w", DType::kU8, {4}};
  expect_error([&] { SafetensorsWriter(path, {w, w}); }, bad, {"two tensors", "\"w\""});
  expect_error([&] { SafetensorsWriter(path, {{"", DType::kU8, {1}}}); }, bad, {"named \"\""});
  expect_error([&] { SafetensorsWriter(path, {{"__metadata__", DType::kU8, {1}}}); }, bad, {"__metadata__"});
  expect_error([&] { SafetensorsWriter(path, {w}).commit(); }, bad, {"4 bytes", "not written"});
  const std::vector<std::byte> five(5);
  expect_error([&] { SafetensorsWriter(path, {w}).write(five); }, bad, {"1 bytes more"});
  expect_error([&] { write_safetensors(path, NamedTensors{{"w", Tensor()}}); }, bad, {"\"w\"", "undefined"});
  EXPECT_TRUE(fs::is_empty(folder.path())) << "nothing half-written may stay";
}

// A limit on the size of files stands in for a full disk: the same write fails.
TEST(SafetensorsWriter, LeavesNothingBehindOnAFullDisk) {
  TemporaryFolder folder;
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{1 << 16, before.rlim_max};
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const Tensor large = Tensor::zeros({1 << 18}, DType::kF32);
  expect_error(
      [&] {
        write_safetensors(folder / "w.safetensors", NamedTensors{{"w", large}});
      },
      ErrorCode::kIo, {"w.safetensors", "write"});
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

}  // namespace
}  // namespace vl3::test
