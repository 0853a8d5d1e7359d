#include "jinja/interpreter.h"

#include <map>
#include <optional>

#include "base/check.h"
#include "jinja/builtins.h"
#include "jinja/functions.h"
#include "jinja/operators.h"

namespace vl3::jinja {
namespace {

using Kind = Value::Kind;

struct Scope {
  std::map<std::string, Value> values;
  int64_t bytes = 0;  // of what the template set in it
};

enum class Flow { kNext, kBreak, kContinue };

class Interpreter {
 public:
  Interpreter(Dict variables, const std::string& name, const TemplateLimits& limits)
      : name_(name), limits_(limits) {
    scopes_.emplace_back();
    for (auto& [key, value] : global_functions(limits)) bind(key.bytes, std::move(value));
    for (auto& [key, value] : variables) {
      if (value.depth() > limits.max_depth)
        wrong(ErrorCode::kLimitExceeded, "\"{}\" is nested deeper than max_depth, {}", key.bytes,
              limits.max_depth);
      bind(key.bytes, std::move(value));
    }
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
    if (static_cast<int64_t>(out.bytes.size() + text.bytes.size()) > limits_.max_output_bytes)
      wrong(ErrorCode::kLimitExceeded, "more than max_output_bytes, {}", limits_.max_output_bytes);
    out += text;
  }
  void emit_value(Text& out, const Value& value) {
    emit(out, checked([&] { return value.str(); }));
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
      if (const auto found = scope->values.find(name); found != scope->values.end()) return found->second;
    }
    return Value::undefined(name);
  }
  // A variable of what is there anyhow: an argument, an item of a loop.
  void bind(const std::string& name, Value value) { scopes_.back().values[name] = std::move(value); }
  // A variable that the template sets.
  void keep(const std::string& name, Value value) {
    Value& variable = scopes_.back().values[name];
    count_memory(value.bytes() - (variable.is(Kind::kUndefined) ? 0 : variable.bytes()), scopes_.back());
    variable = std::move(value);
  }
  // scope: at whose end it is let go. A namespace may outlive every scope but the outermost.
  void count_memory(int64_t bytes, Scope& scope) {
    scope.bytes += bytes;
    memory_ += bytes;
    if (memory_ > limits_.max_memory_bytes)
      wrong(ErrorCode::kLimitExceeded, "variables of more than max_memory_bytes, {}",
            limits_.max_memory_bytes);
  }
  // Binds one name to value, several to its items; each(name, value) does one of them.
  template <class F>
  void unpack(const std::vector<std::string>& names, const Value& value, F&& each) {
    if (names.size() == 1) return each(names[0], value);
    const List items = checked([&] { return iterate(value); });
    if (items.size() != names.size())
      wrong(ErrorCode::kInvalidArgument, "{} values for {} names", items.size(), names.size());
    for (size_t i = 0; i < names.size(); ++i) each(names[i], items[i]);
  }
  void bind_all(const std::vector<std::string>& names, const Value& value) {
    unpack(names, value, [this](const std::string& name, const Value& one) { bind(name, one); });
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
        emit_value(out, evaluate(*node.children[0]));
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
        keep(node.names[0], node.children[1] ? filtered(*node.children[1], value) : value);
        return Flow::kNext;
      }
      case NodeKind::kMacro:
        bind(node.name, macro(node));
        return Flow::kNext;
      case NodeKind::kCallBlock:
        emit_value(out, call_block(node));
        return Flow::kNext;
      case NodeKind::kFilterBlock: {
        Text text;
        in_scope([&] { execute(*node.children[1], text); });
        emit_value(out, filtered(*node.children[0], Value(text)));
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
    struct Inner {
      Interpreter& in;
      explicit Inner(Interpreter& interpreter) : in(interpreter) { in.scopes_.emplace_back(); }
      ~Inner() {
        in.memory_ -= in.scopes_.back().bytes;
        in.scopes_.pop_back();
      }
    };
    const Inner inner(*this);
    f();
  }

  void set(const Node& node) {
    const Value value = evaluate(*node.children[0]);
    if (node.attribute.empty()) {
      return unpack(node.names, value,
                    [this](const std::string& name, const Value& one) { keep(name, one); });
    }
    Value target = lookup(node.name);
    if (!target.is(Kind::kNamespace))
      wrong(ErrorCode::kInvalidArgument, "{} is no namespace: its attributes cannot be set", node.name);
    const Value* old = target.find(node.attribute);
    count_memory(value.bytes() - (old == nullptr ? 0 : old->bytes()), scopes_.front());
    checked([&] { target.set(Text(node.attribute), value); });
  }

  void loop(const Node& node, Text& out) {
    const Value iterable = evaluate(*node.children[0]);
    List items = checked([&] { return iterate(iterable); });
    if (node.children[1]) {  // the filter decides before loop.index counts
      List kept;
      for (const Value& item : items) {
        in_scope([&] {
          bind_all(node.names, item);
          if (evaluate(*node.children[1]).truth()) kept.push_back(item);
        });
      }
      items = std::move(kept);
    }
    if (items.empty()) {
      if (node.children[3]) execute(*node.children[3], out);
      return;
    }
    auto known = uses_loop_.find(&node);
    if (known == uses_loop_.end())
      known = uses_loop_.emplace(&node, mentions(*node.children[2], "loop")).first;
    const bool counts = known->second;  // making the variable would be most of a small loop's time
    ++loops_;
    for (size_t i = 0; i < items.size(); ++i) {
      Flow flow = Flow::kNext;
      in_scope([&] {
        if (counts) bind("loop", loop_variable(items, i, loops_));
        bind_all(node.names, items[i]);
        flow = execute(*node.children[2], out);
      });
      if (flow == Flow::kBreak) break;
    }
    --loops_;
  }

  // While it lives, only the outermost variables are to be seen.
  struct OutermostOnly {
    Interpreter& in;
    std::vector<Scope> hidden;
    explicit OutermostOnly(Interpreter& interpreter) : in(interpreter) {
      hidden.swap(in.scopes_);
      in.scopes_.push_back(std::move(hidden[0]));
    }
    ~OutermostOnly() {
      hidden[0] = std::move(in.scopes_[0]);
      in.scopes_.swap(hidden);
    }
  };

  // A macro sees the outermost variables and its own, not those of its caller.
  Value macro(const Node& node) {
    return Value::function([this, &node](const Arguments& a) {
      const OutermostOnly outermost(*this);
      Text text;
      in_scope([&] {
        for (size_t i = 0; i < node.names.size(); ++i) {
          Value value = a.get(i, node.names[i]);
          if (value.is(Kind::kUndefined) && node.children[i + 1]) value = evaluate(*node.children[i + 1]);
          bind(node.names[i], std::move(value));
        }
        if (Value caller = a.find("caller"); !caller.is(Kind::kUndefined)) bind("caller", std::move(caller));
        execute(*node.children[0], text);
      });
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
                                       bind(node.names[i], a.get(i, node.names[i]));
                                     execute(*node.children[1], text);
                                   });
                                   return Value(text);
                                 }));
    const Value callee = evaluate(*call.children[0]);
    return checked([&] { return invoke(callee, arguments); });
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
    const Deeper deeper(*this);
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
      if (!text.starts_with(kPlain) || text.starts_with("[chat template] line ")) throw;  // it has its place
      wrong(error.code(), "{}", text.substr(kPlain.size()));
    }
  }

  // A value, which is neither too deep nor too large.
  Value evaluate(const Node& node) {
    const Deeper deeper(*this);
    step(node);
    Value value = evaluate_node(node);
    if (value.depth() > limits_.max_depth)
      wrong(ErrorCode::kLimitExceeded, "a value nested deeper than max_depth, {}", limits_.max_depth);
    if (value.bytes() > limits_.max_memory_bytes)
      wrong(ErrorCode::kLimitExceeded, "a value of more than max_memory_bytes, {}", limits_.max_memory_bytes);
    return value;
  }

  Value evaluate_node(const Node& node) {
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
        Value dict = Value::dict({});
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
        return sliced(node);
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
      return Value::function(
          [this, owner, name](const Arguments& a) {
            return call_method(owner, name, a, limits_.max_output_bytes);
          },
          owner);
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
      const bool string = owner.is(Kind::kString);
      const std::vector<size_t> starts = string ? character_starts(owner.text()) : std::vector<size_t>();
      const int64_t count = static_cast<int64_t>(string ? starts.size() - 1 : owner.items().size()),
                    i = key.integer() < 0 ? key.integer() + count : key.integer();
      if (i < 0 || i >= count) return Value();
      const size_t at = static_cast<size_t>(i);
      return string ? Value(owner.text().slice(starts[at], starts[at + 1] - starts[at])) : owner.items()[at];
    }
    return undefined_of(owner, checked([&] { return key.str(); }).bytes);
  }

  Value sliced(const Node& node) {
    const Value owner = evaluate(*node.children[0]);
    const auto part = [&](size_t i) -> std::optional<int64_t> {
      if (!node.children[i]) return std::nullopt;
      const Value value = evaluate(*node.children[i]);
      if (value.is(Kind::kNone)) return std::nullopt;
      if (!value.is_integer()) wrong(ErrorCode::kInvalidArgument, "a slice by a {}", value.type_name());
      return value.integer();
    };
    const int64_t stride = part(3).value_or(1);
    const std::optional<int64_t> begin = part(1), end = part(2);
    return checked([&] { return slice(owner, begin, end, stride); });
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
    return checked([&] { return apply_unary(node.name, value); });
  }

  Value binary(const Node& node) {
    Value left = evaluate(*node.children[0]);
    if (node.name == "and") return left.truth() ? evaluate(*node.children[1]) : left;
    if (node.name == "or") return left.truth() ? left : evaluate(*node.children[1]);
    const Value right = evaluate(*node.children[1]);
    return checked([&] { return apply_binary(node.name, left, right, limits_); });
  }

  // a < b < c holds where a < b and b < c do.
  Value compare(const Node& node) {
    Value left = evaluate(*node.children[0]);
    for (size_t i = 0; i < node.ops.size(); ++i) {
      Value right = evaluate(*node.children[i + 1]);
      if (!checked([&] { return holds(node.ops[i], left, right); })) return false;
      left = std::move(right);
    }
    return true;
  }

  const std::string& name_;
  const TemplateLimits& limits_;
  std::vector<Scope> scopes_;
  std::map<const Node*, bool> uses_loop_;  // of for statements
  int64_t steps_ = 0, memory_ = 0;
  int depth_ = 0, loops_ = 0, line_ = 0;
};

}  // namespace

Text render(const Node& tree, Dict variables, const std::string& name, const TemplateLimits& limits) {
  return Interpreter(std::move(variables), name, limits).run(tree);
}

}  // namespace vl3::jinja
