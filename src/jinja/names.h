#pragma once
// What a template reads of what it is given, as far as its text says.

#include <set>
#include <string>

namespace vl3::jinja {

struct Names {
  std::set<std::string> variables;  // that it does not bind itself, but for what it calls
  std::set<std::string> keys;       // of whatever: x.key, x['key'], x.get('key'), 'key' in x, …
  bool any_key = false;  // of an item it reads keys that it does not name: x[name], x|tojson, x.items()
};

// of: the list whose items any_key is about, "messages". Where the text does not tell, it is taken that a key
// is read. Throws kFormat naming template and line where the source cannot be read.
Names names_in(const std::string& source, const std::string& name, const std::string& of);

}  // namespace vl3::jinja
