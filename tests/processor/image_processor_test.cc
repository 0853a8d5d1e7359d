// Pictures against what the reference's two image processors put out.

#include "vl3/image_processor.h"

#include <cmath>
#include <cstdio>

#include "base/json.h"
#include "support/support.h"
#include "vl3/safetensors.h"
#include "vl3/thread_pool.h"

namespace vl3 {
namespace {

Image picture(const Json& row, const SafetensorsFile& tensors, const std::filesystem::path& media) {
  const std::string name = row["name"];
  if (!tensors.contains(name + ".input")) return read_image(media / name, {}, false);
  const Tensor pixels = tensors.get(name + ".input");
  return {
      pixels.dim(0), pixels.dim(1), {pixels.data<uint8_t>(), pixels.data<uint8_t>() + pixels.numel()}, "RGB"};
}

// Rows of pixel_values, their number and the grid, for both backends; how many pictures were compared.
int compare_with(const std::filesystem::path& goldens, const std::filesystem::path& media) {
  const SafetensorsFile tensors = SafetensorsFile::open(goldens / "images.safetensors");
  const Json rows = parse_json(test::read_text(goldens / "images.json"), "images.json");
  ThreadPool threads(2);
  int pictures = 0;
  for (const Json& row : rows) {
    const Image image = picture(row, tensors, media);
    for (const auto& [backend, name] :
         {std::pair(ResizeBackend::kPil, "pil"), {ResizeBackend::kTorchvision, "torchvision"}}) {
      PixelOptions options;
      options.shortest_edge = row["shortest_edge"];
      options.longest_edge = row["longest_edge"];
      const ImageProcessor processor(options, backend);
      const ImageFeatures got = processor.preprocess(threads, std::span(&image, 1));
      const std::string key = row["name"].get<std::string>() + "." + row["shortest_edge"].dump() + "." +
                              row["longest_edge"].dump() + "." + name;
      const Tensor golden = tensors.get(key + ".rows");
      const std::vector<int64_t> picked = row[std::string("rows_") + name];
      EXPECT_EQ(got.pixel_values.dim(0), row["patches"].get<int64_t>()) << key;
      EXPECT_EQ(processor.get_number_of_image_patches(image.height, image.width),
                row["patches"].get<int64_t>())
          << key;
      for (size_t i = 0; i < 3; ++i)
        EXPECT_EQ(got.image_grid_thw.data<int64_t>()[i], row["grid_thw"][i].get<int64_t>());
      double largest = 0, sum = 0;
      for (size_t r = 0; r < picked.size(); ++r) {
        const float* ours = got.pixel_values.rows(picked[r], picked[r] + 1).data<float>();
        const float* theirs = golden.data<float>() + static_cast<int64_t>(r) * golden.dim(1);
        for (int64_t i = 0; i < golden.dim(1); ++i)
          largest = std::max(largest, std::abs(double{ours[i]} - double{theirs[i]}));
      }
      for (const float value : got.pixel_values.span<float>()) sum += value;
      EXPECT_LE(largest, 1e-6) << key;
      EXPECT_NEAR(sum / static_cast<double>(got.pixel_values.numel()),
                  row[std::string("mean_") + name].get<double>(), 1e-7)
          << key;
      ++pictures;
    }
  }
  return pictures;
}

TEST(ImageProcessor, EqualsBothReferenceBackends) {
  VL3_NEED_SHARED(goldens, "goldens");
  std::printf("%d pictures equal\n", compare_with(goldens, goldens.parent_path() / "media"));
}

TEST(ImageProcessor, EqualsTheReferenceOnTheProjectsOwnGoldens) {
  const auto folder = test::data_path("processor");
  std::printf("%d pictures equal\n", compare_with(folder, folder));
}

TEST(ImageProcessor, KnownPictureGivesTheKnownValues) {
  VL3_NEED_SHARED(media, "media/sora.png");
  const Image image = read_image(media);
  ThreadPool threads(2);
  PixelOptions options;
  options.shortest_edge = 3136;
  options.longest_edge = 3211264;
  const ImageFeatures got = ImageProcessorFast(options).preprocess(threads, std::span(&image, 1));
  ASSERT_EQ(got.pixel_values.dim(0), 10549);
  constexpr float kKnown[6][3] = {{-0.8588f, -0.9216f, -0.9608f}, {-0.9922f, -0.9922f, -0.9922f},
                                  {-0.9686f, -0.9686f, -0.9294f}, {-0.9294f, -0.9765f, -0.9765f},
                                  {-0.9922f, -0.9922f, -0.9843f}, {-0.6000f, -0.4118f, -0.3647f}};
  for (int64_t r = 0; r < 6; ++r) {
    for (int64_t i = 0; i < 3; ++i)
      EXPECT_NEAR(got.pixel_values.data<float>()[r * 588 + i], kKnown[r][i], 1e-4);
  }
}

TEST(SmartResize, KeepsToFactorAreaAndAspect) {
  EXPECT_EQ(smart_resize(1080, 1920, 14, 3136, 3211264), (Size{1078, 1918}));
  EXPECT_EQ(smart_resize(1, 1, 14, 3136, 3211264), (Size{56, 56}));
  EXPECT_EQ(smart_resize(35, 35, 14, 1, 1 << 20), (Size{28, 28}));  // 2.5 rounds to the even 2
  EXPECT_EQ(smart_resize(10000, 10000, 28, 3136, 100352), (Size{308, 308}));
  EXPECT_THROW(smart_resize(1, 201, 14, 3136, 3211264), Error);
  EXPECT_THROW(smart_resize(0, 5, 14, 3136, 3211264), Error);
}

TEST(PixelOptions, RefusesWhatItCannotDo) {
  const auto merged = [](const char* json) {
    PixelOptions options;
    return options.merge(parse_json(json, "test"), "test");
  };
  EXPECT_EQ(merged(R"({"image_processor_type": "x", "patch_size": 14})"),
            std::vector<std::string>{"image_processor_type"});
  for (const char* bad : {R"({"patch_size": 0})", R"({"patch_size": "14"})", R"({"resample": 6})",
                          R"({"image_mean": [1, 2]})", R"({"image_std": 0})", R"({"size": 5})",
                          R"({"size": {"shortest_edge": -1}})", R"({"do_resize": 1})", "[]"}) {
    EXPECT_THROW(merged(bad), Error) << bad;
  }
}

}  // namespace
}  // namespace vl3
