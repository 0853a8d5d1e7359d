// benchmark_processing THREADS ROUNDS PICTURE...: pictures from the bytes of their files to patches (decode,
// resize with torchvision's arithmetic, patchify). Prints one JSON object a picture: seconds of the median
// round, patches.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/clock.h"
#include "base/thread_pool.h"
#include "vl3/image.h"
#include "vl3/image_processor.h"

namespace vl3 {
namespace {

std::vector<char> bytes_of(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void measure(ThreadPool& threads, int rounds, const char* path) {
  const std::vector<char> bytes = bytes_of(path);
  const ImageProcessorFast processor;
  std::vector<double> seconds, decoding;
  int64_t patches = 0;
  for (int i = 0; i <= rounds; ++i) {
    const double start = now_s();
    const Image image = decode_image(std::as_bytes(std::span(bytes)), {}, path, false);
    const double decoded = now_s();
    patches = processor.preprocess(threads, std::span(&image, 1)).pixel_values.dim(0);
    if (i == 0) continue;  // the first fills caches
    decoding.push_back(decoded - start);
    seconds.push_back(now_s() - start);
  }
  const auto median = [&](std::vector<double>& values) {
    std::nth_element(values.begin(), values.begin() + rounds / 2, values.end());
    return values[static_cast<size_t>(rounds / 2)];
  };
  const nlohmann::json row = {
      {"picture", path}, {"seconds", median(seconds)}, {"decoding", median(decoding)}, {"patches", patches}};
  std::puts(row.dump().c_str());
}

}  // namespace
}  // namespace vl3

int main(int count, char** words) {
  const int rounds = count < 4 ? 0 : std::atoi(words[2]);
  if (rounds < 1) {
    std::fputs("usage: benchmark_processing THREADS ROUNDS PICTURE...\n", stderr);
    return 2;
  }
  vl3::ThreadPool threads(std::atoi(words[1]));
  try {
    for (int i = 3; i < count; ++i) vl3::measure(threads, rounds, words[i]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "benchmark_processing: %s\n", error.what());
    return 1;
  }
  return 0;
}
