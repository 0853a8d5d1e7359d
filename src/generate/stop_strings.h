#pragma once
// Stop strings in a text that arrives in pieces: what is shown never contains one, nor anything that might
// still become one.

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vl3 {

class StopMatcher {
 public:
  explicit StopMatcher(std::vector<std::string> stops)
      : stops_(std::make_shared<const std::vector<std::string>>(std::move(stops))) {}

  // Adds a piece and returns what may be shown by now. When a stop string is complete, this is the rest of
  // the text before the one that begins first (the longer of two that begin together), and matched() is it;
  // nothing may be pushed then.
  std::string push(std::string_view piece);
  // Adds a piece in which no stop string may end, though one may begin; returns what may be shown by now.
  std::string pass(std::string_view piece);
  // What was held back, when no more text comes.
  std::string finish();

  const std::string* matched() const noexcept { return matched_; }

 private:
  std::shared_ptr<const std::vector<std::string>> stops_;  // shared by copies, which matched_ points into
  std::string show_settled();
  std::string held_;
  size_t passed_ = 0;  // bytes of held_ in which no stop string may end
  const std::string* matched_ = nullptr;
};

}  // namespace vl3
