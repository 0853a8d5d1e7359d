// Which clients are sent compressed bodies, and what they get.

#include "http/content_coding.h"

#include <gtest/gtest.h>
#include <libdeflate.h>

#include <memory>

namespace vl3::http {
namespace {

TEST(ContentCoding, GzipIsForWhoTakesIt) {
  for (const char* taken :
       {"gzip", "GZip", "x-gzip", "gzip, deflate, br, zstd", "br;q=1.0, gzip;q=0.8, *;q=0.1", "*",
        "\t*;q=0.001", "deflate,gzip ; q=1", "identity;q=0, gzip;Q=0.5"})
    EXPECT_TRUE(accepts_gzip({{"accept-encoding", taken}})) << taken;
  for (const char* not_taken : {"", "identity", "br", "gzip;q=0", "gzip;q=0.000", "*;q=0", "gzip;q=0, *",
                                "gzipped", ",,;", "br;gzip"})
    EXPECT_FALSE(accepts_gzip({{"accept-encoding", not_taken}})) << not_taken;
  EXPECT_FALSE(accepts_gzip({}));
  EXPECT_FALSE(accepts_gzip({{"accept", "gzip"}}));
  EXPECT_TRUE(accepts_gzip({{"accept-encoding", "br"}, {"accept-encoding", "gzip"}}));
}

TEST(ContentCoding, GzipIsReadAgain) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "line " + std::to_string(i % 7) + "\n";
  for (const std::string& bytes : {text, std::string("x"), std::string()}) {
    const std::string packed = gzip(bytes);
    const std::unique_ptr<libdeflate_decompressor, decltype(&libdeflate_free_decompressor)> decompressor(
        libdeflate_alloc_decompressor(), &libdeflate_free_decompressor);
    std::string again(bytes.size(), '?');
    EXPECT_EQ(libdeflate_gzip_decompress(decompressor.get(), packed.data(), packed.size(), again.data(),
                                         again.size(), nullptr),
              LIBDEFLATE_SUCCESS);
    EXPECT_EQ(again, bytes);
  }
  EXPECT_LT(gzip(text).size(), text.size() / 10);
}

}  // namespace
}  // namespace vl3::http
