#include "text/jinja_interpreter.h"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <map>

#include "text/jinja_filters.h"
#include "text/jinja_text.h"

namespace vl3::jinja {
namespace {

using Kind = Value::Kind;
using Scope = std::map<std::string, Value>;

enum class Flow { kNext, kBreak, kContinue };

class Interpreter {
 public:
  Interpreter(Dict variables, const std::string& name, const TemplateLimits& limits)
      : name_(name), limits_(limits) {
    scopes_.emplace_back();
    add_functions();
    for (auto& [key, value] : variables) scopes_[0][key.bytes] = std::move(value);
  }

  Text run(const Node& tree) {
    Text out;
    execute(tree, out);
    return out;
  }

 private:
  // ---- errors and limits
  template <class... Args>
  [[noreturn]] void wrong(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) const {
    fail(code, "[{}] line {}: {}", name_, line_, fmt::format(format, std::forward<Args>(args)...));
  }
  void step(const Node& node) {
    line_ = node.line;
    if (++steps_ > limits_.max_steps)
      wrong(ErrorCode::kLimitExceeded, "more than max_steps, {}", limits_.max_steps);
  }
  void emit(Text& out, const Text& text) const {
    out += text;
    if (static_cast<int64_t>(out.bytes.size()) > limits_.max_output_bytes) {
      wrong(ErrorCode::kLimitExceeded, "more than max_output_bytes, {}", limits_.max_output_bytes);
    }
  }
  struct Deeper {
    Interpreter& in;
    explicit Deeper(Interpreter& interpreter) : in(interpreter) {
      if (++in.depth_ > in.limits_.max_depth * 4)
        in.wrong(ErrorCode::kLimitExceeded, "nested deeper than max_depth, {}", in.limits_.max_depth);
    }
    ~Deeper() { --in.depth_; }
  };

  // ---- variables
  Value lookup(const std::string& name) const {
    for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
      if (const auto found = scope->find(name); found != scope->end()) return found->second;
    }
    return Value::undefined(name);
  }
  void assign(const std::vector<std::string>& names, const Value& value) {
    if (names.size() == 1) {
      scopes_.back()[names[0]] = value;
      return;
    }
    const List items = iterate(value);
    if (items.size() != names.size())
      wrong(ErrorCode::kInvalidArgument, "{} values for {} names", items.size(), names.size());
    for (size_t i = 0; i < names.size(); ++i) scopes_.back()[names[i]] = items[i];
  }

  void add_functions() {
    Scope& globals = scopes_[0];
    globals["range"] = Value::function([this](const Arguments& a) { return range(a); });
    globals["dict"] = Value::function([](const Arguments& a) { return Value::dict(a.named); });
    globals["namespace"] = Value::function([](const Arguments& a) {
      Dict entries;
      for (const Value& base : a.positional) {
        if (base.is_mapping()) entries = base.entries();
      }
      const Value result = Value::dict(std::move(entries), Kind::kNamespace);
      for (const auto& [key, value] : a.named) result.set(key, value);
      return result;
    });
    globals["raise_exception"] = Value::function([this](const Arguments& a) -> Value {
      wrong(ErrorCode::kInvalidArgument, "the template says: {}", a.get(0, "message").str().bytes);
    });
    globals["strftime_now"] = Value::function([](const Arguments& a) {
      const std::time_t now = std::time(nullptr);
      std::tm local{};
      localtime_r(&now, &local);
      char buffer[256];
      const size_t size =
          std::strftime(buffer, sizeof buffer, a.get(0, "format").str().bytes.c_str(), &local);
      return Value(std::string(buffer, size));
    });
    globals["joiner"] = Value::function([](const Arguments& a) {
      auto first = std::make_shared<bool>(true);
      return Value::function([first, separator = a.get(0, "sep", ", ")](const Arguments&) {
        return std::exchange(*first, false) ? Value("") : separator;
      });
    });
  }

  Value range(const Arguments& a) const {
    const auto number = [&](size_t i) {
      if (!a.positional[i].is_integer())
        wrong(ErrorCode::kInvalidArgument, "range() of a {}", a.positional[i].type_name());
      return a.positional[i].integer();
    };
    const size_t count = a.positional.size();
    if (count < 1 || count > 3) wrong(ErrorCode::kInvalidArgument, "range() takes one to three numbers");
    const int64_t begin = count > 1 ? number(0) : 0, end = number(count > 1 ? 1 : 0),
                  stride = count > 2 ? number(2) : 1;
    if (stride == 0) wrong(ErrorCode::kInvalidArgument, "range() with a step of 0");
    List items;
    for (int64_t i = begin; stride > 0 ? i < end : i > end;) {
      if (static_cast<int64_t>(items.size()) >= limits_.max_range)
        wrong(ErrorCode::kLimitExceeded, "range() beyond max_range, {}", limits_.max_range);
      items.emplace_back(i);
      if (__builtin_add_overflow(i, stride, &i)) break;
    }
    return Value::list(std::move(items));
  }

  // ---- statements
  Flow execute(const Node& node, Text& out) {
    const Deeper deeper(*this);
    step(node);
    switch (node.kind) {
      case NodeKind::kText:
        emit(out, node.value.text());
        return Flow::kNext;
      case NodeKind::kOutput:
        emit(out, evaluate(*node.children[0]).str());
        return Flow::kNext;
      case NodeKind::kBlock:
        for (const NodePtr& child : node.children) {
          if (const Flow flow = execute(*child, out); flow != Flow::kNext) return flow;
        }
        return Flow::kNext;
      case NodeKind::kIf:
        for (size_t i = 0; i + 1 < node.children.size(); i += 2) {
          if (evaluate(*node.children[i]).truth()) return execute(*node.children[i + 1], out);
        }
        return node.children.size() % 2 == 1 ? execute(*node.children.back(), out) : Flow::kNext;
      case NodeKind::kFor:
        loop(node, out);
        return Flow::kNext;
      case NodeKind::kSet:
        set(node);
        return Flow::kNext;
      case NodeKind::kSetBlock: {
        Text text;
        in_scope([&] { execute(*node.children[0], text); });
        const Value value(text);
        scopes_.back()[node.names[0]] = node.children[1] ? filtered(*node.children[1], value) : value;
        return Flow::kNext;
      }
      case NodeKind::kMacro:
        scopes_.back()[node.name] = macro(node);
        return Flow::kNext;
      case NodeKind::kCallBlock:
        emit(out, call_block(node).str());
        return Flow::kNext;
      case NodeKind::kFilterBlock: {
        Text text;
        in_scope([&] { execute(*node.children[1], text); });
        emit(out, filtered(*node.children[0], Value(text)).str());
        return Flow::kNext;
      }
      case NodeKind::kBreak:
        return Flow::kBreak;
      case NodeKind::kContinue:
        return Flow::kContinue;
      default:
        evaluate(node);
        return Flow::kNext;
    }
  }

  template <class F>
  void in_scope(F&& f) {
    scopes_.emplace_back();
    try {
      f();
    } catch (...) {
      scopes_.pop_back();
      throw;
    }
    scopes_.pop_back();
  }

  void set(const Node& node) {
    const Value value = evaluate(*node.children[0]);
    if (node.attribute.empty()) return assign(node.names, value);
    const Value target = lookup(node.name);
    if (!target.is(Kind::kNamespace))
      wrong(ErrorCode::kInvalidArgument, "{} is no namespace: its attributes cannot be set", node.name);
    target.set(Text(node.attribute), value);
  }

  void loop(const Node& node, Text& out) {
    const Value iterable = evaluate(*node.children[0]);
    List items = iterate(iterable);
    if (node.children[1]) {  // the filter decides before loop.index counts
      List kept;
      for (const Value& item : items) {
        in_scope([&] {
          assign(node.names, item);
          if (evaluate(*node.children[1]).truth()) kept.push_back(item);
        });
      }
      items = std::move(kept);
    }
    if (items.empty()) {
      if (node.children[3]) execute(*node.children[3], out);
      return;
    }
    ++loops_;
    for (size_t i = 0; i < items.size(); ++i) {
      Flow flow = Flow::kNext;
      in_scope([&] {
        scopes_.back()["loop"] = loop_variable(items, i);
        assign(node.names, items[i]);
        flow = execute(*node.children[2], out);
      });
      if (flow == Flow::kBreak) break;
    }
    --loops_;
  }

  Value loop_variable(const List& items, size_t i) {
    const int64_t index = static_cast<int64_t>(i), count = static_cast<int64_t>(items.size());
    Dict entries = {{"index", index + 1},
                    {"index0", index},
                    {"revindex", count - index},
                    {"revindex0", count - index - 1},
                    {"first", i == 0},
                    {"last", index + 1 == count},
                    {"length", count},
                    {"depth", int64_t{loops_}},
                    {"depth0", int64_t{loops_ - 1}},
                    {"previtem", i > 0 ? items[i - 1] : Value()},
                    {"nextitem", index + 1 < count ? items[i + 1] : Value()}};
    entries.emplace_back("cycle", Value::function([i](const Arguments& a) {
                           require(!a.positional.empty(), ErrorCode::kInvalidArgument,
                                   "[chat template] cycle of nothing");
                           return a.positional[i % a.positional.size()];
                         }));
    return Value::dict(std::move(entries), Kind::kNamespace);
  }

  // A macro sees the outermost variables and its own, not those of its caller.
  Value macro(const Node& node, const std::string& caller_of = "") {
    return Value::function([this, &node, caller_of](const Arguments& a) {
      std::vector<Scope> outer;
      outer.push_back(scopes_[0]);
      outer.swap(scopes_);
      Text text;
      try {
        in_scope([&] {
          for (size_t i = 0; i < node.names.size(); ++i) {
            Value value = a.get(i, node.names[i]);
            if (value.is(Kind::kUndefined) && node.children[i + 1]) value = evaluate(*node.children[i + 1]);
            scopes_.back()[node.names[i]] = std::move(value);
          }
          const Value caller = a.get(99, "caller");
          if (!caller.is(Kind::kUndefined)) scopes_.back()["caller"] = caller;
          execute(*node.children[0], text);
        });
      } catch (...) {
        outer.swap(scopes_);
        throw;
      }
      outer.swap(scopes_);
      return Value(text);
    });
  }

  Value call_block(const Node& node) {
    const Node& call = *node.children[0];
    Arguments arguments = evaluate_arguments(call);
    arguments.named.emplace_back("caller", Value::function([this, &node](const Arguments& a) {
                                   Text text;
                                   in_scope([&] {
                                     for (size_t i = 0; i < node.names.size(); ++i)
                                       scopes_.back()[node.names[i]] = a.get(i, node.names[i]);
                                     execute(*node.children[1], text);
                                   });
                                   return Value(text);
                                 }));
    return invoke(evaluate(*call.children[0]), arguments);
  }

  // ---- expressions
  Arguments evaluate_arguments(const Node& node) {
    Arguments arguments;
    for (size_t i = 1; i < node.children.size(); ++i)
      arguments.positional.push_back(evaluate(*node.children[i]));
    for (const auto& [name, child] : node.named) arguments.named.emplace_back(Text(name), evaluate(*child));
    return arguments;
  }

  Value invoke(const Value& callee, const Arguments& arguments) {
    if (!callee.is(Kind::kFunction)) {
      wrong(ErrorCode::kInvalidArgument, "a {} is called{}{}", callee.type_name(),
            callee.is(Kind::kUndefined) ? ": " : "", callee.is(Kind::kUndefined) ? callee.text().bytes : "");
    }
    return callee.call()(arguments);
  }

  Value filtered(const Node& node, const Value& input) {
    const Node* inner = node.children[0].get();  // null at the head of a filter block
    const Value value = inner == nullptr                   ? input
                        : inner->kind == NodeKind::kFilter ? filtered(*inner, input)
                                                           : evaluate(*inner);
    step(node);
    return checked(
        [&] { return apply_filter(node.name, value, evaluate_arguments(node), limits_.max_output_bytes); });
  }

  // Errors of filters, tests and operators do not know where they happened.
  template <class F>
  auto checked(F&& f) -> decltype(f()) {
    try {
      return f();
    } catch (const Error& error) {
      const std::string text = error.what();
      constexpr std::string_view kPlain = "[chat template] ";
      if (!text.starts_with(kPlain)) throw;
      wrong(error.code(), "{}", text.substr(kPlain.size()));
    }
  }

  Value evaluate(const Node& node) {
    const Deeper deeper(*this);
    step(node);
    switch (node.kind) {
      case NodeKind::kLiteral:
        return node.value;
      case NodeKind::kName:
        return lookup(node.name);
      case NodeKind::kList:
      case NodeKind::kTuple: {
        List items;
        for (const NodePtr& child : node.children) items.push_back(evaluate(*child));
        return Value::list(std::move(items), node.kind == NodeKind::kList ? Kind::kList : Kind::kTuple);
      }
      case NodeKind::kDict: {
        const Value dict = Value::dict({});
        for (size_t i = 0; i < node.children.size(); i += 2) {
          const Value key = evaluate(*node.children[i]);
          if (!key.is(Kind::kString))
            wrong(ErrorCode::kUnsupported, "dict keys other than str are not covered");
          dict.set(key.text(), evaluate(*node.children[i + 1]));
        }
        return dict;
      }
      case NodeKind::kAttribute:
        return attribute(evaluate(*node.children[0]), node.name);
      case NodeKind::kIndex:
        return index(evaluate(*node.children[0]), evaluate(*node.children[1]));
      case NodeKind::kSlice:
        return slice(node);
      case NodeKind::kCall:
        return call(node);
      case NodeKind::kFilter:
        return filtered(node, Value());
      case NodeKind::kTest: {
        const Value value = evaluate(*node.children[0]);
        return checked([&] { return apply_test(node.name, value, evaluate_arguments(node)); }) !=
               node.negated;
      }
      case NodeKind::kUnary:
        return unary(node);
      case NodeKind::kBinary:
        return binary(node);
      case NodeKind::kCompare:
        return compare(node);
      case NodeKind::kConditional:
        if (evaluate(*node.children[1]).truth()) return evaluate(*node.children[0]);
        return node.children[2] ? evaluate(*node.children[2]) : Value();
      default:
        wrong(ErrorCode::kInternal, "a statement where an expression should be");
    }
  }

  Value undefined_of(const Value& owner, const std::string& name) const {
    if (owner.is(Kind::kUndefined))
      wrong(ErrorCode::kInvalidArgument, "\"{}\" is undefined and has no \"{}\"", owner.text().bytes, name);
    return Value::undefined(name);
  }

  Value attribute(const Value& owner, const std::string& name) {
    if (owner.is_mapping()) {
      const Value* found = owner.find(name);
      if (found != nullptr && !has_method(owner, name)) return *found;
      if (found != nullptr && owner.is(Kind::kNamespace)) return *found;
    }
    if (has_method(owner, name)) {
      return Value::function([this, owner, name](const Arguments& a) {
        return call_method(owner, name, a, limits_.max_output_bytes);
      });
    }
    if (owner.is_mapping()) return Value::undefined(name);
    return undefined_of(owner, name);
  }

  Value index(const Value& owner, const Value& key) {
    if (owner.is_mapping() && key.is(Kind::kString)) {
      const Value* found = owner.find(key.text().bytes);
      return found != nullptr ? *found : attribute(owner, key.text().bytes);
    }
    if (key.is_integer() && (owner.is_sequence() || owner.is(Kind::kString))) {
      const List items = owner.is_sequence() ? owner.items() : characters(owner.text());
      const int64_t count = static_cast<int64_t>(items.size()),
                    i = key.integer() < 0 ? key.integer() + count : key.integer();
      return i >= 0 && i < count ? items[static_cast<size_t>(i)] : Value();
    }
    return undefined_of(owner, key.str().bytes);
  }

  Value slice(const Node& node) {
    const Value owner = evaluate(*node.children[0]);
    const auto part = [&](size_t i, int64_t missing) {
      if (!node.children[i]) return missing;
      const Value value = evaluate(*node.children[i]);
      if (value.is(Kind::kNone)) return missing;
      if (!value.is_integer()) wrong(ErrorCode::kInvalidArgument, "a slice by a {}", value.type_name());
      return value.integer();
    };
    if (!owner.is_sequence() && !owner.is(Kind::kString))
      wrong(ErrorCode::kInvalidArgument, "a {} cannot be sliced", owner.type_name());
    const List items = owner.is_sequence() ? owner.items() : characters(owner.text());
    const int64_t count = static_cast<int64_t>(items.size()), stride = part(3, 1);
    if (stride == 0) wrong(ErrorCode::kInvalidArgument, "a slice with a step of 0");
    const auto clamp = [&](int64_t i) {
      if (i < 0) i += count;
      return stride > 0 ? std::clamp<int64_t>(i, 0, count) : std::clamp<int64_t>(i, -1, count - 1);
    };
    const int64_t begin =
        node.children[1] ? clamp(part(1, stride > 0 ? 0 : count - 1)) : (stride > 0 ? 0 : count - 1);
    const int64_t end =
        node.children[2] ? clamp(part(2, stride > 0 ? count : -count - 1)) : (stride > 0 ? count : -1);
    List result;
    for (int64_t i = begin; stride > 0 ? i < end : i > end; i += stride)
      result.push_back(items[static_cast<size_t>(i)]);
    return owner.is_sequence() ? Value::list(std::move(result), owner.kind()) : Value(join(result, ""));
  }

  Value call(const Node& node) {
    const Node& callee = *node.children[0];
    if (callee.kind ==
        NodeKind::kAttribute) {  // methods that change a list stay out: the sandbox forbids them
      const Value owner = evaluate(*callee.children[0]);
      if (has_method(owner, callee.name) && !(owner.is_mapping() && owner.is(Kind::kNamespace))) {
        return checked([&] {
          return call_method(owner, callee.name, evaluate_arguments(node), limits_.max_output_bytes);
        });
      }
      if (owner.is_sequence())
        wrong(ErrorCode::kInvalidArgument, "a {} has no method \"{}\" that may be called", owner.type_name(),
              callee.name);
      return invoke(attribute(owner, callee.name), evaluate_arguments(node));
    }
    const Value function = evaluate(callee);
    const Arguments arguments = evaluate_arguments(node);
    return checked([&] { return invoke(function, arguments); });
  }

  Value unary(const Node& node) {
    const Value value = evaluate(*node.children[0]);
    if (node.name == "not") return !value.truth();
    if (!value.is_number()) wrong(ErrorCode::kInvalidArgument, "the sign of a {}", value.type_name());
    if (node.name == "+") return value.is(Kind::kFloat) ? value : Value(value.integer());
    if (value.is(Kind::kFloat)) return -value.real();
    int64_t result = 0;
    if (__builtin_sub_overflow(int64_t{0}, value.integer(), &result)) overflow();
    return result;
  }

  [[noreturn]] void overflow() const { wrong(ErrorCode::kLimitExceeded, "a number does not fit 64 bits"); }

  Value binary(const Node& node) {
    const std::string& op = node.name;
    Value left = evaluate(*node.children[0]);
    if (op == "and") return left.truth() ? evaluate(*node.children[1]) : left;
    if (op == "or") return left.truth() ? left : evaluate(*node.children[1]);
    const Value right = evaluate(*node.children[1]);
    if (op == "~") return limited(left.str(), right.str());
    if (left.is_number() && right.is_number())
      return left.is_integer() && right.is_integer() ? whole(op, left.integer(), right.integer())
                                                     : real(op, left.real(), right.real());
    if (op == "+" && left.is(Kind::kString) && right.is(Kind::kString))
      return limited(left.text(), right.text());
    if (op == "+" && left.is_sequence() && left.kind() == right.kind()) {
      List items = left.items();
      items.insert(items.end(), right.items().begin(), right.items().end());
      if (static_cast<int64_t>(items.size()) > limits_.max_steps)
        wrong(ErrorCode::kLimitExceeded, "a list beyond max_steps");
      return Value::list(std::move(items), left.kind());
    }
    if (op == "*" && (left.is(Kind::kString) || right.is(Kind::kString)) &&
        (left.is_integer() || right.is_integer())) {
      return repeated(left.is(Kind::kString) ? left.text() : right.text(),
                      left.is_integer() ? left.integer() : right.integer());
    }
    const Value& odd = left.is(Kind::kUndefined) ? left : right;
    if (odd.is(Kind::kUndefined)) wrong(ErrorCode::kInvalidArgument, "\"{}\" is undefined", odd.text().bytes);
    wrong(ErrorCode::kInvalidArgument, "{} {} {} cannot be computed", left.type_name(), op,
          right.type_name());
  }

  Value limited(const Text& a, const Text& b) const {
    Text out;
    emit(out, a);
    emit(out, b);
    return out;
  }

  Value repeated(const Text& text, int64_t count) const {
    Text out;
    if (count > 0 && static_cast<int64_t>(text.bytes.size()) > limits_.max_output_bytes / count) {
      wrong(ErrorCode::kLimitExceeded, "a string beyond max_output_bytes, {}", limits_.max_output_bytes);
    }
    for (int64_t i = 0; i < count && !text.bytes.empty(); ++i) out += text;
    return out;
  }

  Value whole(const std::string& op, int64_t a, int64_t b) const {
    int64_t result = 0;
    if (op == "+"   ? __builtin_add_overflow(a, b, &result)
        : op == "-" ? __builtin_sub_overflow(a, b, &result)
                    : op == "*" && __builtin_mul_overflow(a, b, &result))
      overflow();
    if (op == "+" || op == "-" || op == "*") return result;
    if (op == "**") {
      if (b < 0) return std::pow(static_cast<double>(a), static_cast<double>(b));
      result = 1;
      for (int64_t i = 0; i < b && !(result == 0 || (result == 1 && a == 1)); ++i) {
        if (__builtin_mul_overflow(result, a, &result)) overflow();
        if (i > 200 && (a == -1)) return b % 2 == 0 ? 1 : -1;
      }
      return result;
    }
    if (b == 0) wrong(ErrorCode::kInvalidArgument, "division by zero");
    if (op == "/") return static_cast<double>(a) / static_cast<double>(b);
    if (a == INT64_MIN && b == -1) overflow();
    const int64_t quotient = a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);  // towards minus infinity
    return op == "//" ? quotient : a - quotient * b;
  }

  Value real(const std::string& op, double a, double b) const {
    if (op == "+") return a + b;
    if (op == "-") return a - b;
    if (op == "*") return a * b;
    if (op == "**") return std::pow(a, b);
    if (b == 0) wrong(ErrorCode::kInvalidArgument, "division by zero");
    if (op == "/") return a / b;
    return op == "//" ? std::floor(a / b) : a - std::floor(a / b) * b;
  }

  Value compare(const Node& node) {
    Value left = evaluate(*node.children[0]);
    for (size_t i = 0; i < node.ops.size(); ++i) {
      const std::string& op = node.ops[i];
      Value right = evaluate(*node.children[i + 1]);
      const bool holds = checked([&] {
        if (op == "==") return equal(left, right);
        if (op == "!=") return !equal(left, right);
        if (op == "<") return less(left, right);
        if (op == ">") return less(right, left);
        if (op == "<=") return !less(right, left);
        if (op == ">=") return !less(left, right);
        return contains(right, left) == (op == "in");
      });
      if (!holds) return false;
      left = std::move(right);
    }
    return true;
  }

  const std::string& name_;
  const TemplateLimits& limits_;
  std::vector<Scope> scopes_;
  int64_t steps_ = 0;
  int depth_ = 0, loops_ = 0, line_ = 0;
};

}  // namespace

Text render(const Node& tree, Dict variables, const std::string& name, const TemplateLimits& limits) {
  return Interpreter(std::move(variables), name, limits).run(tree);
}

}  // namespace vl3::jinja
