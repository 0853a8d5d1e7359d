#include "base/json_once.h"

#include <unordered_set>
#include <vector>

#include "base/text_file.h"

namespace vl3 {
namespace {

// Hears the events of a parse until a key comes twice in an object.
class KeyWatch {
 public:
  bool null() { return true; }
  bool boolean(bool) { return true; }
  bool number_integer(Json::number_integer_t) { return true; }
  bool number_unsigned(Json::number_unsigned_t) { return true; }
  bool number_float(Json::number_float_t, const std::string&) { return true; }
  bool string(std::string&) { return true; }
  bool binary(Json::binary_t&) { return true; }
  bool start_array(size_t) { return true; }
  bool end_array() { return true; }
  bool parse_error(size_t, const std::string&, const Json::exception&) { return false; }

  bool start_object(size_t) {
    open_.emplace_back();
    return true;
  }
  bool key(std::string& name) {
    if (open_.back().insert(name).second) return true;
    twice_ = std::move(name);
    return false;
  }
  bool end_object() {
    open_.pop_back();
    return true;
  }

  const std::optional<std::string>& twice() const { return twice_; }

 private:
  std::vector<std::unordered_set<std::string>> open_;
  std::optional<std::string> twice_;
};

}  // namespace

Json parse_json_once(std::string_view whole, std::string_view origin) {
  Json value = parse_json(whole, origin);
  const std::string_view text = without_bom(whole, origin);
  KeyWatch keys;
  Json::sax_parse(text.begin(), text.end(), &keys);
  require(!keys.twice(), ErrorCode::kFormat, "[{}] has the key {} twice in one object", origin,
          shown(keys.twice().value_or("")));
  return value;
}

}  // namespace vl3
