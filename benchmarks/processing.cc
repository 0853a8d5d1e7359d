// benchmark_processing THREADS ROUNDS PICTURE...: pictures from the bytes of their files to patches (decode,
// resize with torchvision's arithmetic, patchify). Prints one JSON object a picture and one for all of them
// in one call, "together": medians over the rounds of the seconds that it takes, and that decoding alone
// takes.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/clock.h"
#include "processor/process_pictures.h"
#include "vl3/thread_pool.h"

namespace vl3 {
namespace {

struct File {
  std::string path;
  MediaSource source;  // its bytes

  std::span<const std::byte> span() const { return source.data(); }
};

double median_s(int rounds, const std::function<void()>& work) {
  std::vector<double> seconds;
  for (int i = 0; i <= rounds; ++i) {
    const double start = now_s();
    work();
    if (i > 0) seconds.push_back(now_s() - start);  // the first fills caches
  }
  std::nth_element(seconds.begin(), seconds.begin() + rounds / 2, seconds.end());
  return seconds[static_cast<size_t>(rounds / 2)];
}

void measure(ThreadPool& threads, int rounds, std::span<const File> files, const std::string& name) {
  const MediaLimits limits;
  int64_t patches = 0;
  const double seconds = median_s(rounds, [&] {
    std::vector<PictureInput> inputs;
    OpenMedia opened;
    for (const File& file : files)
      inputs.push_back(picture_input(opened.picture(file.source, limits), limits));
    patches = process_pictures(threads, {}, ResizeBackend::kTorchvision, inputs).pixel_values.dim(0);
  });
  const double decoding = median_s(rounds, [&] {
    for (const File& file : files) decode_image(file.span(), limits, file.path);
  });
  const nlohmann::json row = {
      {"picture", name}, {"seconds", seconds}, {"decoding", decoding}, {"patches", patches}};
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
  try {
    vl3::ThreadPool threads(std::atoi(words[1]));
    std::vector<vl3::File> files;
    for (int i = 3; i < count; ++i) {
      std::ifstream file(words[i], std::ios::binary);
      std::string bytes{std::istreambuf_iterator<char>(file), {}};
      files.push_back({words[i], vl3::MediaSource::bytes(std::move(bytes), words[i])});
    }
    vl3::measure(threads, rounds, files,
                 "together");  // first: it takes from the system what the others reuse
    for (const vl3::File& file : files) vl3::measure(threads, rounds, {&file, 1}, file.path);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "benchmark_processing: %s\n", error.what());
    return 1;
  }
  return 0;
}
