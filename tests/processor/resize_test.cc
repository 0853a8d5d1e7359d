// Resizing: bands against whole pictures, and every path of its kernel against the portable one. What the
// reference resizes is compared in image_processor_test.cc.
#include "processor/resize.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>

#include "processor/resize_kernels.h"

namespace vl3 {
namespace {

// Bands of rows give what the whole picture gives, and need no row of the source that is not there yet.
TEST(Resizer, BandsAreTheWholePicture) {
  int64_t cases = 0;
  for (const ResizeBackend backend : {ResizeBackend::kPil, ResizeBackend::kTorchvision}) {
    for (const int64_t resample : {kNearest, kBilinear, kBicubic}) {
      for (const Size out : {Size{90, 70}, {40, 70}, {20, 66}, {60, 70}, {90, 50}, {60, 50}, {33, 150}}) {
        const Size in{60, 50};
        std::vector<uint8_t> source(static_cast<size_t>(in.height * in.width * 3));
        for (size_t i = 0; i < source.size(); ++i) source[i] = static_cast<uint8_t>(i * 2654435761U >> 24);
        const Resizer resizer(in, out, resample, backend);
        Resizer::Scratch whole, part;
        const size_t row = static_cast<size_t>(out.width * 3), source_row = static_cast<size_t>(in.width * 3);
        const uint8_t* expected = resizer.rows(source.data(), 0, out.height, whole);
        for (const auto& [begin, end] :
             {std::pair<int64_t, int64_t>(0, 1), {0, 14}, {3, 20}, {out.height - 5, out.height}}) {
          std::vector<uint8_t> there(
              source.begin(),
              source.begin() +
                  static_cast<ptrdiff_t>(static_cast<size_t>(resizer.rows_needed(end)) * source_row));
          const uint8_t* rows = resizer.rows(there.data(), begin, end, part);
          EXPECT_EQ(std::memcmp(rows, expected + static_cast<size_t>(begin) * row,
                                static_cast<size_t>(end - begin) * row),
                    0)
              << out.height << " x " << out.width << " filter " << resample << " rows " << begin << " to "
              << end;
          ++cases;
        }
      }
    }
  }
  std::printf("%lld bands equal\n", static_cast<long long>(cases));
}

TEST(ResizeKernels, EveryPathGivesTheSameBytes) {
  std::vector<uint8_t> source(40 * 211);
  for (size_t i = 0; i < source.size(); ++i) source[i] = static_cast<uint8_t>(i * 2654435761U >> 24);
  int cases = 0;
  for (const int64_t n : {1, 15, 16, 17, 48, 63, 64, 65, 113, 211}) {
    for (const int64_t count : {1, 2, 3, 8, 40}) {
      for (const bool narrow : {true, false}) {
        const int precision = narrow ? 14 : 22;
        std::vector<int32_t> weights;
        for (int64_t j = 0; j < count; ++j)
          weights.push_back(static_cast<int32_t>(((j % 3 == 1 ? -1.0 : 1.9) / static_cast<double>(count)) *
                                                 (1 << precision)));
        std::vector<uint8_t> one(static_cast<size_t>(n)), other(static_cast<size_t>(n));
        WeightedRows rows{source.data(), 211, weights.data(), count, precision, one.data(), n};
        weigh_function(narrow)(rows);
        rows.target = other.data();
        portable_weigh_function()(rows);
        EXPECT_EQ(one, other) << n << " bytes, " << count << " rows";
        ++cases;
      }
    }
  }
  std::printf("%d cases equal\n", cases);
}

}  // namespace
}  // namespace vl3
