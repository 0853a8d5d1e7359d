#pragma once
// Options as a JSON object: a table of names and of how each is read into a struct.

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/json_once.h"
#include "base/near_names.h"

namespace vl3::capi {

template <class Options>
struct Option {
  const char* name;
  std::function<void(const JsonView&, const char* name, Options&)> read;
};

// A list of texts.
inline std::vector<std::string> texts(const JsonView& from, const char* key) {
  const Json* list = from.find(key);
  std::vector<std::string> texts;
  if (list == nullptr) return texts;
  require(list->is_array(), ErrorCode::kFormat, "[{}] {} should be a list of texts, not {}", from.origin(),
          key, shown(*list));
  for (const Json& text : *list) {
    require(text.is_string(), ErrorCode::kFormat, "[{}] {} should be a list of texts, not of {}",
            from.origin(), key, shown(text));
    texts.push_back(text.get<std::string>());
  }
  return texts;
}

// A null is as if the option were absent. Throws kInvalidArgument for a name that the table does not have,
// with the near one, and what reading throws.
template <class Options>
void read_all(const JsonView& from, const std::vector<Option<Options>>& table, Options& options) {
  for (const auto& [key, value] : from.json().items()) {
    const auto found = std::find_if(table.begin(), table.end(),
                                    [&name = key](const Option<Options>& o) { return o.name == name; });
    if (found == table.end()) {
      std::vector<std::string_view> names;
      for (const Option<Options>& option : table) names.emplace_back(option.name);
      fail(ErrorCode::kInvalidArgument, "[{}] \"{}\" is not an option{}", from.origin(), key,
           did_you_mean(key, names));
    }
    if (!value.is_null()) found->read(from, found->name, options);
  }
}

// Those of a text; an empty one has none.
template <class Options>
Options parse_options(std::string_view text, const std::vector<Option<Options>>& table) {
  Options options;
  if (text.empty()) return options;
  const Json json = parse_json_once(text, "options");
  read_all(JsonView(json, "options"), table, options);
  return options;
}

}  // namespace vl3::capi
