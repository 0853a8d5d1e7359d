#pragma once
// What expressions of a template evaluate to: Python's values, as far as templates see them. Strings know,
// byte by byte, whether they came out of messages.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"

namespace vl3::jinja {

// Text and, for each byte, whether it came from a message.
struct Text {
  std::string bytes;
  std::string tainted;  // as long as bytes, '\1' where from a message

  Text() = default;
  Text(std::string text, bool from_message = false)
      : bytes(std::move(text)), tainted(bytes.size(), from_message ? '\1' : '\0') {}
  Text(const char* text) : Text(std::string(text)) {}
  Text& operator+=(const Text& other) {
    bytes += other.bytes;
    tainted += other.tainted;
    return *this;
  }
  Text slice(size_t begin, size_t length) const {
    Text part;
    part.bytes = bytes.substr(begin, length);
    part.tainted = tainted.substr(begin, length);
    return part;
  }
  bool any_tainted() const { return tainted.find('\1') != std::string::npos; }
};

class Value;
using List = std::vector<Value>;
using Dict = std::vector<std::pair<Text, Value>>;  // keys are strings, in order
struct Arguments;
using Function = std::function<Value(const Arguments&)>;

class Value {
 public:
  enum class Kind {
    kUndefined,
    kNone,
    kBool,
    kInt,
    kFloat,
    kString,
    kList,
    kTuple,
    kDict,
    kNamespace,
    kFunction
  };

  Value() = default;  // undefined
  static Value undefined(std::string name) {
    Value v;
    v.text_.bytes = std::move(name);
    return v;
  }
  static Value none() { return Value(Kind::kNone); }
  Value(bool b) : kind_(Kind::kBool), integer_(b) {}
  Value(int64_t i) : kind_(Kind::kInt), integer_(i) {}
  Value(int i) : Value(int64_t{i}) {}
  Value(double f) : kind_(Kind::kFloat), real_(f) {}
  Value(Text text) : kind_(Kind::kString), text_(std::move(text)) {}
  Value(std::string text) : Value(Text(std::move(text))) {}
  Value(const char* text) : Value(Text(text)) {}
  static Value list(List items, Kind kind = Kind::kList);
  static Value dict(Dict items, Kind kind = Kind::kDict);
  static Value function(Function f);
  static Value function(Function f, const Value& held);  // held: the value that f keeps
  // Strings of the JSON are marked as tainted says. Throws kLimitExceeded for integers beyond 64 bits.
  static Value from_json(const Json& json, bool tainted);

  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }
  bool is_number() const { return is(Kind::kBool) || is(Kind::kInt) || is(Kind::kFloat); }
  bool is_integer() const { return is(Kind::kBool) || is(Kind::kInt); }
  bool is_sequence() const { return is(Kind::kList) || is(Kind::kTuple); }
  bool is_mapping() const { return is(Kind::kDict) || is(Kind::kNamespace); }

  int64_t integer() const { return integer_; }
  double real() const { return is(Kind::kFloat) ? real_ : static_cast<double>(integer_); }
  const Text& text() const { return text_; }  // of a string; of an undefined value, its name
  const List& items() const { return *list_; }
  const Dict& entries() const { return *dict_; }
  const Function& call() const { return *function_; }

  bool truth() const;                               // Python's bool()
  Text str() const;                                 // Python's str(); empty where undefined
  Text repr() const;                                // Python's repr()
  const char* type_name() const;                    // "str", "list", …
  const Value* find(const std::string& key) const;  // of a mapping; null where absent
  // Of a mapping. A namespace's copies see the change. Throws kUnsupported where a namespace would come to
  // hold a namespace: what holds itself could neither be printed nor freed.
  void set(const Text& key, Value value);

  // How deep lists and dicts lie in each other (0: none), and the memory of everything inside, a shared part
  // counted wherever it is. Not of what a namespace holds.
  int depth() const { return depth_; }
  int64_t bytes() const { return bytes_ + static_cast<int64_t>(sizeof(Value) + 2 * text_.bytes.size()); }

 private:
  explicit Value(Kind kind) : kind_(kind), holds_namespace_(kind == Kind::kNamespace) {}
  void count(const Value& inner);
  void put(const Text& key, Value value);
  Kind kind_ = Kind::kUndefined;
  bool holds_namespace_ = false;
  int depth_ = 0;
  int64_t bytes_ = 0;
  int64_t integer_ = 0;
  double real_ = 0;
  Text text_;
  std::shared_ptr<List> list_;
  std::shared_ptr<Dict> dict_;
  std::shared_ptr<Function> function_;
};

struct Arguments {
  List positional;
  Dict named;
  // The argument of that place or name; fallback where it is not given.
  Value get(size_t place, const std::string& name, Value fallback = Value()) const;
  // The argument of that name; undefined where it is not given.
  Value find(const std::string& name) const;
};

bool equal(const Value& a, const Value& b);
// Python's < on numbers, strings and sequences; throws kInvalidArgument for others.
bool less(const Value& a, const Value& b);
bool contains(const Value& container, const Value& item);
// Where each character of UTF-8 text begins, and the text's end.
std::vector<size_t> character_starts(const Text& text);
// Characters of UTF-8 text as strings of their own. Throws kLimitExceeded above kMaxCharacters.
constexpr size_t kMaxCharacters = 1 << 20;
List characters(const Text& text);
// What a for loop walks over: items, keys, characters. Throws kInvalidArgument for others.
List iterate(const Value& value);

// Adds more to out. Throws kLimitExceeded where out would become longer than max_bytes.
void append(Text& out, const Text& more, int64_t max_bytes);

struct JsonStyle {
  int indent = -1;  // -1: one line
  bool sort_keys = false, ensure_ascii = false;
  std::string item_separator = ", ", key_separator = ": ";
  int64_t max_bytes = 0;  // of the text
};
// JSON as Transformers' tojson writes it. Throws kInvalidArgument for what JSON does not have,
// kLimitExceeded.
Text to_json_text(const Value& value, const JsonStyle& style);

}  // namespace vl3::jinja
