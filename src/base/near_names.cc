#include "base/near_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace vl3 {
namespace {

struct Pair {
  std::string_view foreign, ours;
};

// Names of OpenAI's API, of other engines and of other processors of clips, where they mean the same.
constexpr Pair kForeign[] = {{"max_tokens", "max_new_tokens"},
                             {"max_completion_tokens", "max_new_tokens"},
                             {"max_output_tokens", "max_new_tokens"},
                             {"max_tokens_to_sample", "max_new_tokens"},
                             {"max_gen_tokens", "max_new_tokens"},
                             {"max_generated_tokens", "max_new_tokens"},
                             {"num_predict", "max_new_tokens"},
                             {"n_predict", "max_new_tokens"},
                             {"n", "num_return_sequences"},
                             {"stop", "stop_strings"},
                             {"stop_sequences", "stop_strings"},
                             {"stop_words", "stop_strings"},
                             {"repeat_penalty", "repetition_penalty"},
                             {"beam_size", "num_beams"},
                             {"beams", "num_beams"},
                             {"temp", "temperature"},
                             {"nframes", "num_frames"},
                             {"n_frames", "num_frames"},
                             {"frames", "num_frames"},
                             {"num_segments", "num_frames"},
                             {"max_num_frames", "max_frames"},
                             {"frame_rate", "fps"},
                             {"sample_fps", "fps"},
                             {"video_fps", "fps"},
                             {"video_start", "start_time"},
                             {"video_end", "end_time"},
                             {"start", "start_time"},
                             {"end", "end_time"},
                             {"start_s", "start_time"},
                             {"end_s", "end_time"},
                             {"begin_time", "start_time"},
                             {"image_path", "image"},
                             {"image_paths", "images"},
                             {"image_file", "image"},
                             {"img", "image"},
                             {"video_path", "video"},
                             {"video_paths", "videos"},
                             {"video_file", "video"},
                             {"system_prompt", "system"},
                             {"functions", "tools"},
                             {"dialog", "conversations"},
                             {"dialogue", "conversations"},
                             {"chat", "messages"}};

}  // namespace

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0]++;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

std::string_view our_name_of(std::string_view foreign) {
  const auto found = std::find_if(std::begin(kForeign), std::end(kForeign),
                                  [&](const Pair& p) { return p.foreign == foreign; });
  return found == std::end(kForeign) ? std::string_view() : found->ours;
}

std::string did_you_mean(std::string_view name, const std::vector<std::string_view>& known) {
  constexpr size_t kLongest = 64;  // no name is longer, and the distance costs the product of both lengths
  std::string_view best = our_name_of(name);
  if (std::find(known.begin(), known.end(), best) == known.end()) best = {};
  size_t least = best.empty() && name.size() <= kLongest ? name.size() / 3 + 1 : 0;
  for (const std::string_view candidate : known) {
    const size_t distance = least == 0 ? 0 : edit_distance(name, candidate);
    if (distance > 0 && distance < least) least = distance, best = candidate;
  }
  return best.empty() ? std::string() : fmt::format("; did you mean \"{}\"?", best);
}

}  // namespace vl3
