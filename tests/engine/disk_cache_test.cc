// What lies on disk must not show in the answers either, whatever happens to the files.

#include <chrono>
#include <filesystem>
#include <fstream>

#include "base/json.h"
#include "support/support.h"
#include "vl3/engine.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;

std::string media(const char* name) { return test::data_path("../../examples/media").string() + "/" + name; }

Json ask(const char* kind, const char* file) {
  return Json::array({{{"role", "user"},
                       {"content", Json::array({{{"type", kind}, {kind, media(file)}},
                                                {{"type", "text"}, {"text", "What is it?"}}})}}});
}
Json picture() { return ask("image", "shapes.png"); }
Json clip() { return ask("video", "moving.mp4"); }

class DiskCache : public ::testing::Test {
 protected:
  Engine open(int64_t bytes = int64_t{1} << 30) const { return open(model_, bytes); }
  Engine open(const fs::path& model, int64_t bytes = int64_t{1} << 30) const {
    EngineOptions options;
    options.disk_cache = folder();
    options.disk_cache_bytes = bytes;
    return Engine::open(model, options);
  }
  std::vector<int64_t> answer(const Engine& engine, const Json& messages, Compute compute = Compute::kF32) {
    log_.clear();
    Context context(ContextOptions{.compute = compute, .log = [&](LogLevel level, std::string_view text) {
                                     if (level == LogLevel::kWarning) log_ += std::string(text) + "\n";
                                   }});
    GenerationConfig settings = engine.default_settings();
    settings.max_new_tokens = 8;
    return engine.answer(context, engine.processor().request_for(messages), settings).results[0].new_ids;
  }
  fs::path folder() const { return temporary_.path() / "cache"; }
  std::vector<fs::path> files() const {
    std::vector<fs::path> all;
    for (const auto& entry : fs::directory_iterator(folder())) all.push_back(entry.path());
    return all;
  }

  test::TemporaryFolder temporary_;
  const fs::path model_ = test::data_path("../../models/tiny");
  std::string log_;
};

TEST_F(DiskCache, AnotherRunFindsWhatWasEncoded) {
  const Engine plain = Engine::open(model_), first = open();
  for (const Json& request : {picture(), clip()}) {
    const std::vector<int64_t> expected = answer(plain, request);
    EXPECT_EQ(answer(first, request), expected);
    const Engine second = open();
    EXPECT_EQ(answer(second, request), expected);
    EXPECT_EQ(second.cache_stats().pictures, 1);
  }
  EXPECT_EQ(first.cache_stats().pictures, 0);
  EXPECT_EQ(files().size(), 2U);
  EXPECT_EQ(log_, "");
}

TEST_F(DiskCache, WhatAPromptSaysOfAClipIsFoundWithItsRows) {
  const auto inputs = [&](const Engine& engine) {
    Context context(ContextOptions{.compute = Compute::kF32});
    GenerationConfig settings = engine.default_settings();
    settings.max_new_tokens = 1;
    return engine.answer(context, engine.processor().request_for(clip()), settings).inputs;
  };
  const ProcessorOutput made = inputs(open());
  const Engine second = open();
  const ProcessorOutput found = inputs(second);
  EXPECT_EQ(second.cache_stats().pictures, 1);
  EXPECT_EQ(found.ids, made.ids);
  EXPECT_EQ(to_json(found.videos.clips), to_json(made.videos.clips));
  EXPECT_EQ(found.videos.clips[0].info.format, made.videos.clips[0].info.format);
  EXPECT_EQ(found.videos.clips[0].info.duration_s, made.videos.clips[0].info.duration_s);
}

TEST_F(DiskCache, AnotherArithmeticOrCheckpointFindsNothing) {
  answer(open(), picture());
  const Engine rounding = open();
  answer(rounding, picture(), Compute::kAuto);
  EXPECT_EQ(rounding.cache_stats().pictures, 0);
  const fs::path copy = temporary_.path() / "copy";
  fs::copy(model_, copy);
  fs::last_write_time(copy / "model.safetensors", fs::file_time_type::clock::now() + std::chrono::hours(1));
  const Engine changed = open(copy);
  answer(changed, picture());
  EXPECT_EQ(changed.cache_stats().pictures, 0);
  EXPECT_EQ(files().size(), 3U);
}

TEST_F(DiskCache, DamageIsNoticedAndMended) {
  const std::vector<int64_t> expected = answer(open(), picture());
  const fs::path file = files().at(0);
  const auto size = static_cast<std::streamoff>(fs::file_size(file));
  const auto flip = [&](std::streamoff at) {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(at);
    const char byte = static_cast<char>(stream.get() ^ 1);
    stream.seekp(at);
    stream.put(byte);
  };
  for (int i = 0; i < 40; ++i) {
    const std::streamoff at = size * i / 40;
    flip(at);
    const Engine engine = open();
    EXPECT_EQ(answer(engine, picture()), expected) << at;
    EXPECT_EQ(engine.cache_stats().pictures, 0) << at;  // encoded anew, and written over what was damaged
    const Engine again = open();
    EXPECT_EQ(answer(again, picture()), expected) << at;
    EXPECT_EQ(again.cache_stats().pictures, 1) << at;
  }
  for (const std::streamoff length : {std::streamoff{0}, std::streamoff{7}, size / 2, size - 1}) {
    fs::resize_file(file, static_cast<uintmax_t>(length));
    const Engine engine = open();
    EXPECT_EQ(answer(engine, picture()), expected) << length;
    EXPECT_EQ(engine.cache_stats().pictures, 0) << length;
    EXPECT_NE(log_.find("disk cache: "), std::string::npos) << length;
  }
}

TEST_F(DiskCache, StaysWithinItsSizeAndForgetsTheOldest) {
  answer(open(), picture());
  const fs::path old = files().at(0);
  const auto bytes = static_cast<int64_t>(fs::file_size(old));
  const auto hour = std::chrono::hours(2);
  fs::last_write_time(old, fs::file_time_type::clock::now() - hour);
  const fs::path abandoned = folder() / "0123.safetensors.AbCdEf";
  std::ofstream(abandoned) << "half";
  fs::last_write_time(abandoned, fs::file_time_type::clock::now() - hour);
  answer(open(), clip());
  EXPECT_EQ(files().size(), 2U);
  EXPECT_FALSE(fs::exists(abandoned));
  fs::last_write_time(old, fs::file_time_type::clock::now() - hour);
  answer(open(), picture());  // used: no longer the oldest
  EXPECT_GT(fs::last_write_time(old), fs::file_time_type::clock::now() - hour / 2);
  answer(open(bytes + 4096), picture(), Compute::kAuto);
  EXPECT_EQ(files().size(), 1U);
  EXPECT_FALSE(fs::exists(old));
}

TEST_F(DiskCache, AFolderThatIsGoneCostsNothingButTheSaving) {
  const Engine engine = open();
  fs::remove_all(folder());
  EXPECT_EQ(answer(engine, picture()), answer(Engine::open(model_), picture()));
  answer(engine, clip());
  EXPECT_NE(log_.find("disk cache: "), std::string::npos);
  std::ofstream(folder()) << "a file";
  try {
    open();
    ADD_FAILURE() << "a file was taken for a folder";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kIo);
    EXPECT_NE(std::string(error.what()).find(folder().string()), std::string::npos);
  }
}

}  // namespace
}  // namespace vl3
