#include "processor/asked_bounds.h"

#include <fmt/format.h>

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "base/check.h"

namespace vl3 {
namespace {

struct Bound {
  std::string_view key;
  int64_t value;
};

// The first of these names that is given, beside "size" or in it.
std::optional<Bound> bound_of(const Json& asked, std::initializer_list<std::string_view> names) {
  const auto in = [&](const Json& options) -> std::optional<Bound> {
    for (const std::string_view name : names) {
      const auto found = options.find(name);
      if (found != options.end() && found->is_number()) return Bound{name, found->get<int64_t>()};
    }
    return std::nullopt;
  };
  const std::optional<Bound> beside = in(asked);
  if (beside || !asked.contains("size") || !asked["size"].is_object()) return beside;
  return in(asked["size"]);
}

}  // namespace

std::optional<Contradiction> contradiction_in(const Json& asked) {
  const auto least_area = bound_of(asked, {"min_pixels", "shortest_edge"});
  const auto most_area = bound_of(asked, {"max_pixels", "longest_edge"});
  const auto least = bound_of(asked, {"min_frames"}), most = bound_of(asked, {"max_frames"});
  const auto frames = bound_of(asked, {"num_frames"});
  for (const auto& [low, high] : {std::pair(least_area, most_area), std::pair(least, most),
                                  std::pair(frames, most), std::pair(least, frames)}) {
    if (!low || !high || low->value <= high->value) continue;
    return Contradiction{std::string(low->key), fmt::format("\"{}\" is {}, which is more than \"{}\", {}",
                                                            low->key, low->value, high->key, high->value)};
  }
  return std::nullopt;
}

void check_bounds(const Json& asked, const std::string& where) {
  if (const auto found = contradiction_in(asked))
    fail(ErrorCode::kInvalidArgument, "{} {}", where, found->words);
}

}  // namespace vl3
