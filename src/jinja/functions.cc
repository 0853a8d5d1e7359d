#include "jinja/functions.h"

#include <ctime>
#include <utility>

#include "base/check.h"

namespace vl3::jinja {
namespace {

using Kind = Value::Kind;

Value range(const Arguments& a, const TemplateLimits& limits) {
  const size_t count = a.positional.size();
  require(count >= 1 && count <= 3, ErrorCode::kInvalidArgument,
          "[chat template] range() takes one to three numbers");
  const auto number = [&](size_t i) {
    require(a.positional[i].is_integer(), ErrorCode::kInvalidArgument, "[chat template] range() of a {}",
            a.positional[i].type_name());
    return a.positional[i].integer();
  };
  const int64_t begin = count > 1 ? number(0) : 0, end = number(count > 1 ? 1 : 0),
                stride = count > 2 ? number(2) : 1;
  require(stride != 0, ErrorCode::kInvalidArgument, "[chat template] range() with a step of 0");
  List items;
  for (int64_t i = begin; stride > 0 ? i < end : i > end;) {
    require(static_cast<int64_t>(items.size()) < limits.max_range, ErrorCode::kLimitExceeded,
            "[chat template] range() beyond max_range, {}", limits.max_range);
    items.emplace_back(i);
    if (__builtin_add_overflow(i, stride, &i)) break;
  }
  return Value::list(std::move(items));
}

// A namespace begins with the entries of a mapping, if one is given, and those named.
Value make_namespace(const Arguments& a) {
  Dict entries;
  for (const Value& base : a.positional) {
    if (base.is_mapping()) entries = base.entries();
  }
  entries.insert(entries.end(), a.named.begin(), a.named.end());
  return Value::dict(std::move(entries), Kind::kNamespace);
}

Value strftime_now(const Arguments& a) {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  char buffer[256];
  const size_t size = std::strftime(buffer, sizeof buffer, a.get(0, "format").str().bytes.c_str(), &local);
  return Value(std::string(buffer, size));
}

// The first call of what it returns gives nothing, later ones the separator.
Value joiner(const Arguments& a) {
  auto first = std::make_shared<bool>(true);
  const Value separator = a.get(0, "sep", ", ");
  return Value::function(
      [first, separator](const Arguments&) { return std::exchange(*first, false) ? Value("") : separator; },
      separator);
}

}  // namespace

Dict global_functions(const TemplateLimits& limits) {
  Dict functions;
  const auto add = [&](const char* name, Function function) {
    functions.emplace_back(name, Value::function(std::move(function)));
  };
  add("range", [&limits](const Arguments& a) { return range(a, limits); });
  add("dict", [](const Arguments& a) { return Value::dict(a.named); });
  add("namespace", make_namespace);
  add("raise_exception", [](const Arguments& a) -> Value {
    fail(ErrorCode::kInvalidArgument, "[chat template] the template says: {}",
         a.get(0, "message").str().bytes);
  });
  add("strftime_now", strftime_now);
  add("joiner", joiner);
  return functions;
}

Value loop_variable(const List& items, size_t i, int depth) {
  const int64_t index = static_cast<int64_t>(i), count = static_cast<int64_t>(items.size());
  Dict entries = {{"index", index + 1},
                  {"index0", index},
                  {"revindex", count - index},
                  {"revindex0", count - index - 1},
                  {"first", i == 0},
                  {"last", index + 1 == count},
                  {"length", count},
                  {"depth", int64_t{depth}},
                  {"depth0", int64_t{depth - 1}},
                  {"previtem", i > 0 ? items[i - 1] : Value()},
                  {"nextitem", index + 1 < count ? items[i + 1] : Value()}};
  entries.emplace_back("cycle", Value::function([i](const Arguments& a) {
                         require(!a.positional.empty(), ErrorCode::kInvalidArgument,
                                 "[chat template] cycle of nothing");
                         return a.positional[i % a.positional.size()];
                       }));
  return Value::dict(std::move(entries), Kind::kNamespace);
}

}  // namespace vl3::jinja
