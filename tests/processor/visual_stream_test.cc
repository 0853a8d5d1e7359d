// A request's media group by group give what the whole request gives at once.

#include "vl3/visual_stream.h"

#include <cstring>
#include <filesystem>
#include <map>
#include <thread>

#include "base/json.h"
#include "processor/clip_patches.h"
#include "support/support.h"
#include "vl3/thread_pool.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;

fs::path media(const char* name) { return test::data_path("../../examples/media") / name; }
Json image(const std::string& name) { return {{"type", "image"}, {"image", name}}; }
Json video(const std::string& name, double fps) { return {{"type", "video"}, {"video", name}, {"fps", fps}}; }
Json user(const std::vector<Json>& parts) {
  Json content = Json::array();
  for (const Json& part : parts) content.push_back(part);
  return Json::array({{{"role", "user"}, {"content", content}}});
}

// What came of each item, group by group, put together.
struct Collected {
  std::vector<float> pixels;
  std::vector<uint8_t> keep;
  int64_t groups = 0, largest = 0;
};
std::map<size_t, Collected> drain(VisualStream& stream) {
  std::map<size_t, Collected> items;
  while (const std::optional<VisualGroup> group = stream.next()) {
    Collected& item = items[group->item];
    if (group->first == 0) item = {};
    EXPECT_EQ(group->patches.dim(0), group->t * group->h * group->w);
    const auto values = group->patches.span<float>();
    item.pixels.insert(item.pixels.end(), values.begin(), values.end());
    item.keep.insert(item.keep.end(), group->keep.begin(), group->keep.end());
    ++item.groups;
    item.largest = std::max(item.largest, group->patches.dim(0));
  }
  return items;
}

std::vector<float> floats(const Tensor& tensor) {
  if (!tensor.defined()) return {};
  const auto values = tensor.span<float>();
  return {values.begin(), values.end()};
}

void expect_same(const Tensor& a, const Tensor& b) {
  ASSERT_EQ(a.defined(), b.defined());
  if (!a.defined()) return;
  ASSERT_EQ(a.shape(), b.shape());
  EXPECT_EQ(std::memcmp(a.raw(), b.raw(), a.bytes()), 0);
}

class Stream : public ::testing::Test {
 protected:
  void compare(const ProcessorRequest& request) {
    const ProcessorOutput whole = processor_.process(threads_, request);
    const auto stream = processor_.stream(request);
    std::map<size_t, Collected> items = drain(*stream);
    const VisualStream::Prompts prompts = stream->finish();
    const ProcessorOutput& out = prompts.output;
    EXPECT_EQ(out.ids, whole.ids);
    EXPECT_EQ(out.labels, whole.labels);
    EXPECT_EQ(to_json(out.videos.clips), to_json(whole.videos.clips));
    expect_same(out.images.image_grid_thw, whole.images.image_grid_thw);
    expect_same(out.images.image_merge_sizes, whole.images.image_merge_sizes);
    expect_same(out.videos.video_grid_thw, whole.videos.video_grid_thw);
    expect_same(out.videos.video_merge_sizes, whole.videos.video_merge_sizes);
    expect_same(out.videos.video_compression_mask, whole.videos.video_compression_mask);
    EXPECT_FALSE(out.images.pixel_values.defined() || out.videos.pixel_values_videos.defined());
    std::vector<float> pictures, clips;
    for (const size_t item : prompts.pictures)
      pictures.insert(pictures.end(), items[item].pixels.begin(), items[item].pixels.end());
    for (const size_t item : prompts.clips)
      clips.insert(clips.end(), items[item].pixels.begin(), items[item].pixels.end());
    EXPECT_EQ(pictures, floats(whole.images.pixel_values));
    EXPECT_EQ(clips, floats(whole.videos.pixel_values_videos));
    for (size_t i = 0; i < stream->items().size(); ++i) {
      const VisualFacts& facts = stream->facts(i);
      EXPECT_EQ(facts.t * facts.h * facts.w, stream->items()[i].patches) << i;
      if (stream->items()[i].video) {
        EXPECT_EQ(facts.keep, items[i].keep) << i;
      }
    }
  }

  const Processor processor_ = Processor::from_pretrained(test::data_path("../../models/tiny"));
  ThreadPool threads_{2};
};

TEST_F(Stream, GroupsTogetherAreTheWhole) {
  const std::string picture = media("shapes.png").string(), clip = media("moving.mp4").string();
  ProcessorRequest request = processor_.request_for(
      user({image(picture), video(clip, 2), {{"type", "video"}, {"video", {picture, picture}}}}));
  request.conversations.push_back(user({video(clip, 2), image(picture), {{"type", "text"}, {"text", "?"}}}));
  request.conversations.push_back(user({{{"type", "text"}, {"text", "no media"}}}));
  compare(request);
  request.with_labels = true;
  request.add_generation_prompt = false;
  request.conversations[0].push_back({{"role", "assistant"}, {"content", "It moves."}});
  compare(request);
  request.videos.use_token_compression = false;
  request.videos.temporal_patch_size = 1;
  compare(request);
  request.conversations = {request.conversations[2]};
  compare(request);
}

TEST_F(Stream, ALongClipComesInSeveralGroups) {
  ProcessorRequest request = processor_.request_for(user({video(media("moving.mp4").string(), 20)}));
  request.videos.shortest_edge = 60000;
  request.videos.longest_edge = 4000000;
  compare(request);
  const auto stream = processor_.stream(request);
  const std::map<size_t, Collected> items = drain(*stream);
  ASSERT_EQ(items.size(), 1U);
  EXPECT_GT(items.at(0).groups, 2);
  EXPECT_LE(items.at(0).largest, VisualStream::kGroupPatches);
}

TEST_F(Stream, ProgressIsToldWhereGroupsAreTaken) {
  ProcessHooks hooks;
  const auto here = std::this_thread::get_id();
  std::vector<std::pair<int64_t, int64_t>> told;
  hooks.decoded = [&](int64_t done, int64_t total) {
    EXPECT_EQ(std::this_thread::get_id(), here);
    told.emplace_back(done, total);
  };
  const auto stream =
      processor_.stream(processor_.request_for(user({video(media("moving.mp4").string(), 2)})), {}, hooks);
  drain(*stream);
  ASSERT_FALSE(told.empty());
  EXPECT_EQ(told.back().first, told.back().second);
  EXPECT_EQ(told.back().first,
            static_cast<int64_t>(stream->finish().output.videos.clips[0].frames.indices.size()));
}

TEST_F(Stream, WhatIsKnownIsNotDecoded) {
  const test::TemporaryFolder folder;
  const fs::path path = folder / "clip.mp4";
  fs::copy_file(media("moving.mp4"), path);
  const ProcessorRequest request =
      processor_.request_for(user({video(path.string(), 2), image(media("shapes.png").string())}));
  const auto first = processor_.stream(request);
  drain(*first);
  const VisualStream::Prompts wanted = first->finish();
  const size_t clip = wanted.clips[0];
  const auto second = processor_.stream(request);
  VisualFacts facts = first->facts(clip);
  facts.clip.name = "another name";
  facts.clip.notes = {"[another name] is long", "[x] is not"};
  second->set_known(clip, facts);
  EXPECT_EQ(drain(*second).size(), 1U);
  const VisualStream::Prompts got = second->finish();
  EXPECT_EQ(got.output.ids, wanted.output.ids);
  expect_same(got.output.videos.video_compression_mask, wanted.output.videos.video_compression_mask);
  EXPECT_EQ(got.output.videos.clips[0].name, path.string());
  EXPECT_EQ(got.output.videos.clips[0].notes[0], "[" + path.string() + "] is long");
  EXPECT_EQ(got.output.videos.clips[0].notes[1], "[x] is not");
}

TEST_F(Stream, ItMayEndBeforeItsMedia) {
  ProcessorRequest request = processor_.request_for(user({video(media("moving.mp4").string(), 20)}));
  request.videos.shortest_edge = 60000;
  request.videos.longest_edge = 4000000;
  for (const int groups : {0, 1, 2}) {
    const auto stream = processor_.stream(request);
    for (int i = 0; i < groups; ++i) EXPECT_TRUE(stream->next().has_value());
    if (groups == 0) stream->ready();  // it begins, and nobody comes
  }
}

TEST_F(Stream, ErrorsComeWhereTheyHappen) {
  EXPECT_THROW(processor_.stream(processor_.request_for(user({image("absent.png")}))), Error);
  EXPECT_THROW(processor_.stream(ProcessorRequest()), Error);
  const std::string bytes = test::read_text(media("shapes.png"));
  ProcessorRequest request =
      processor_.request_for(user({image(media("shapes.png").string()), image("cut")}));
  request.media.emplace("cut", MediaSource::bytes(bytes.substr(0, bytes.size() / 2), "a cut picture"));
  const auto stream = processor_.stream(request);
  try {
    drain(*stream);
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("[a cut picture]"), std::string::npos) << error.what();
  }
  ProcessHooks hooks;
  hooks.cancelled = [] { return true; };
  const auto cancelled =
      processor_.stream(processor_.request_for(user({video(media("moving.mp4").string(), 2)})), {}, hooks);
  try {
    drain(*cancelled);
    ADD_FAILURE() << "not cancelled";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCancelled);
  }
}

// --- keys

class Keys : public Stream {
 protected:
  std::string key(const ProcessorRequest& request, size_t item = 0, const MediaLimits& limits = {}) {
    return processor_.stream(request, limits)->content_key(item);
  }
  ProcessorRequest picture() { return processor_.request_for(user({image(media("shapes.png").string())})); }
  ProcessorRequest clip() { return processor_.request_for(user({video(media("moving.mp4").string(), 2)})); }
};

TEST_F(Keys, TheSameContentHasOneHoweverItComes) {
  const test::TemporaryFolder folder;
  fs::copy_file(media("shapes.png"), folder / "other.png");
  const std::string wanted = key(picture());
  EXPECT_EQ(wanted.size(), 64U);
  EXPECT_EQ(key(processor_.request_for(user({image((folder / "other.png").string())}))), wanted);
  ProcessorRequest attached = processor_.request_for(user({image("it")}));
  attached.media.emplace("it", MediaSource::bytes(test::read_text(media("shapes.png")), "bytes"));
  EXPECT_EQ(key(attached), wanted);
  EXPECT_NE(key(clip()), wanted);
  EXPECT_EQ(key(clip()), key(clip()));
}

TEST_F(Keys, AnyOptionMakesAnother) {
  std::vector<std::string> keys = {key(picture()), key(clip())};
  const auto add = [&](const std::string& what, const std::string& made) {
    EXPECT_EQ(std::count(keys.begin(), keys.end(), made), 0) << what;
    keys.push_back(made);
  };
  const Json of_both[] = {{{"do_rescale", false}},
                          {{"do_normalize", false}},
                          {{"rescale_factor", 0.5}},
                          {{"image_mean", {0.5, 0.5, 0.4}}},
                          {{"image_std", {0.5, 0.4, 0.5}}},
                          {{"do_convert_rgb", false}},
                          {{"patch_size", 7}},
                          {{"temporal_patch_size", 2}},
                          {{"merge_size", 4}},
                          {{"min_pixels", 3136 * 3}},
                          {{"max_pixels", 1003521}},
                          {{"resample", 2}}};
  for (const Json& options : of_both) {
    ProcessorRequest request = picture();
    try {
      request.images.merge(options, "test");
    } catch (const Error&) {
      continue;  // a filter that there is not
    }
    add(options.dump(), key(request));
  }
  const Json of_clips[] = {{{"fps", 3}},
                           {{"num_frames", 4}},
                           {{"min_frames", 2}},
                           {{"max_frames", 17}},
                           {{"do_sample_frames", false}},
                           {{"use_token_compression", false}},
                           {{"start_time", 0.5}},
                           {{"end_time", 1.5}},
                           {{"rotate", "auto"}},
                           {{"pictures_rate", 3}},
                           {{"times", "frames"}},
                           {{"skip_broken_frames", true}},
                           {{"max_pixels", 1003521}}};
  for (const Json& options : of_clips) {
    Json part = {{"type", "video"}, {"video", media("moving.mp4").string()}};
    if (!options.contains("num_frames") && !options.contains("fps")) part["fps"] = 2;
    for (const auto& [name, value] : options.items()) part[name] = value;
    if (options.contains("do_sample_frames")) {
      ProcessorRequest request = clip();
      request.videos.do_sample_frames = true;
      request.conversations = {user({{{"type", "video"}, {"video", media("moving.mp4").string()}}})};
      add(options.dump(), key(request));
      continue;
    }
    add(options.dump(), key(processor_.request_for(user({part}))));
  }
  ProcessorRequest pil = picture();
  pil.backend = ResizeBackend::kPil;
  add("backend", key(pil));
  MediaLimits limits;
  limits.max_packet_bytes = 1 << 20;
  add("limits", key(clip(), 0, limits));
}

TEST_F(Keys, AFileThatChangesHasAnotherOrNone) {
  const test::TemporaryFolder folder;
  const fs::path path = folder / "it.mp4";
  fs::copy_file(media("moving.mp4"), path);
  const ProcessorRequest request = processor_.request_for(user({video(path.string(), 2)}));
  const std::string before = key(request);
  const auto stream = processor_.stream(request);
  EXPECT_EQ(stream->content_key(0), before);
  EXPECT_TRUE(stream->unchanged(0));
  std::string bytes = test::read_text(path);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  test::write_text(path, bytes);
  EXPECT_EQ(stream->content_key(0), "");  // what is open is not what is there
  EXPECT_FALSE(stream->unchanged(0));
  const std::string after = key(request);
  EXPECT_EQ(after.size(), 64U);
  EXPECT_NE(after, before);
}

TEST_F(Keys, FramesAreToldApartByPixelsSizesAndTimes) {
  std::vector<std::string> keys;
  const auto add = [&](std::vector<Image> frames, std::vector<double> times) {
    ProcessorRequest request = processor_.request_for(user({{{"type", "video"}, {"video", "frames"}}}));
    request.media.emplace("frames", MediaSource::frames(std::move(frames), std::move(times)));
    const std::string made = key(request);
    EXPECT_EQ(std::count(keys.begin(), keys.end(), made), 0);
    keys.push_back(made);
  };
  const auto grey = [](uint8_t value, int64_t height = 28, int64_t width = 56) {
    return Image{height, width, std::vector<uint8_t>(static_cast<size_t>(height * width * 3), value), "RGB"};
  };
  add({grey(1), grey(2)}, {});
  add({grey(2), grey(1)}, {});
  add({grey(1)}, {});
  add({grey(1, 56, 28), grey(2, 56, 28)}, {});
  add({grey(1), grey(2)}, {0, 1});
  add({grey(1), grey(2)}, {0, 2});
}

// --- clips that are shorter than they say

class ShorterThanItSaid final : public VideoReader {
 public:
  ShorterThanItSaid() {
    info_.height = info_.width = 56;
    info_.total_frames = 10;
    info_.fps = 2;
  }
  void read(std::span<const int64_t> indices, const std::function<void(size_t, const Image&)>& sink,
            const std::function<bool()>&) override {
    for (size_t i = 0; i < indices.size(); ++i) {
      if (indices[i] >= 7) {
        info_.total_frames = 7;
        throw ClipEnded("[clip] ends after 7 frames");
      }
      const auto value = static_cast<uint8_t>(10 * indices[i]);
      sink(i, {56, 56, std::vector<uint8_t>(56 * 56 * 3, value), "RGB"});
    }
  }
};

TEST(ClipPatches, AClipThatEndsEarlyBeginsAnew) {
  ShorterThanItSaid reader;
  VideoOptions options;
  options.do_sample_frames = true;
  options.num_frames = 5;
  options.shortest_edge = 28 * 28;
  ThreadPool threads(1);
  std::vector<int64_t> firsts, sizes;
  const ClipPatches got = process_clip(threads, {"clip", &reader, options}, 2 * 16, {}, [&](ClipGroup group) {
    firsts.push_back(group.first);
    sizes.push_back(group.t);
  });
  EXPECT_EQ(firsts, (std::vector<int64_t>{0, 2, 0, 2, 4}));
  EXPECT_EQ(sizes, (std::vector<int64_t>{2, 2, 2, 2, 1}));
  EXPECT_EQ(got.t, 5);
  EXPECT_LT(got.report.frames.indices.back(), 7);
  ASSERT_EQ(got.report.notes.size(), 1U);
  EXPECT_NE(got.report.notes[0].find("frames are picked from those that there are"), std::string::npos);
  ASSERT_EQ(got.keep.size(), 5U * 4U);
}

}  // namespace
}  // namespace vl3
