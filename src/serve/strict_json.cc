#include "serve/strict_json.h"

#include <fmt/format.h>

#include <cmath>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "serve/api_error.h"

namespace vl3::serve {
namespace {

ApiError invalid(size_t byte, const std::string& why) {
  return {400, "invalid_json", fmt::format("The body is not valid JSON: {} at byte {}.", why, byte)};
}

std::string cut(std::string_view key) {
  constexpr size_t kShown = 60;
  return key.size() <= kShown ? std::string(key) : std::string(key.substr(0, kShown)) + "…";
}

// Builds the value from the events of nlohmann's parser. The library's own builder looks every key up in its
// object, one after the other; here a set per open object does.
class Builder {
 public:
  bool null() { return put(nullptr); }
  bool boolean(bool value) { return put(value); }
  bool number_integer(Json::number_integer_t value) { return put(value); }
  bool number_unsigned(Json::number_unsigned_t value) { return put(value); }
  bool number_float(Json::number_float_t value, const std::string&) { return put(value); }
  bool string(std::string& value) { return put(std::move(value)); }
  bool binary(Json::binary_t&) { return false; }

  bool start_object(size_t) {
    open(Json::object());
    open_.back().keys.emplace();
    return true;
  }
  bool key(std::string& name) {
    Level& level = open_.back();
    if (!level.keys->insert(name).second)
      throw ApiError(400, "duplicate_key",
                     fmt::format("The body has the key \"{}\" twice in one object.", cut(name)), cut(name));
    level.key = std::move(name);
    return true;
  }
  bool end_object() { return close(); }
  bool start_array(size_t) {
    open(Json::array());
    return true;
  }
  bool end_array() { return close(); }
  bool parse_error(size_t position, const std::string&, const Json::exception& error) {
    if (dynamic_cast<const Json::out_of_range*>(&error) != nullptr)
      throw invalid(position, "there is a number too large to be held");
    throw invalid(position, "something else was expected");
  }

  Json take() { return std::move(root_); }

 private:
  struct Level {
    Json value;
    std::string key;  // the last one, of an object
    std::optional<std::unordered_set<std::string>> keys = {};
  };

  void open(Json value) {
    if (open_.size() >= kMaxJsonDepth)
      throw ApiError(400, "too_deep",
                     fmt::format("The body is nested deeper than {} levels.", kMaxJsonDepth));
    open_.push_back({std::move(value), {}});
  }
  bool close() {
    Json value = std::move(open_.back().value);
    open_.pop_back();
    return put(std::move(value));
  }
  bool put(Json value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return true;
    }
    Level& level = open_.back();
    if (level.value.is_array())
      level.value.push_back(std::move(value));
    else
      level.value.get_ref<Json::object_t&>().emplace_back(std::move(level.key), std::move(value));
    return true;
  }

  std::vector<Level> open_;
  Json root_;
};

}  // namespace

Json parse_strictly(std::string_view text) {
  // The parser passes a mark over, which RFC 8259 lets it; nothing else is passed over.
  Builder builder;
  Json::sax_parse(text.begin(), text.end(), &builder);
  return builder.take();
}

}  // namespace vl3::serve
