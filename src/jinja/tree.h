#pragma once
// What a template is parsed into.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "jinja/value.h"

namespace vl3::jinja {

enum class NodeKind {
  // expressions
  kLiteral,    // value
  kName,       // name
  kList,       // children
  kTuple,      // children
  kDict,       // children: key, value, key, value, …
  kAttribute,  // children[0] . name
  kIndex,      // children[0] [ children[1] ]
  kSlice,      // children[0] [ children[1] : children[2] : children[3] ], absent parts null
  kCall,       // children[0] ( children[1…], named )
  kFilter,     // children[0] | name ( children[1…], named ); children[0] null at the head of a filter block
  kTest,       // children[0] is name ( children[1…] ); negated
  kUnary,      // name children[0]: "not", "-", "+"
  kBinary,     // children[0] name children[1]: + - * / // % ** ~ and or
  kCompare,    // children[0] ops[0] children[1] ops[1] children[2] …
  kConditional,  // children[0] if children[1] else children[2] (may be null)
  // statements
  kText,         // value
  kOutput,       // children[0]
  kBlock,        // children
  kIf,           // children: condition, block, condition, block, …, else block
  kFor,          // names (targets), children: iterable, filter or null, body, else or null
  kSet,          // names (targets) or an attribute of a namespace in name.attribute; children[0] the value
  kSetBlock,     // names[0], children: body, filter chain or null
  kMacro,        // name, names (parameters), children: body, defaults… (null where there is none)
  kCallBlock,    // names (parameters), children: call, body
  kFilterBlock,  // children: filter chain, body
  kBreak,
  kContinue,
};

struct Node;
using NodePtr = std::unique_ptr<Node>;

struct Node {
  Node() = default;
  // One node after the other: a chain of operators is as deep as it is long.
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  NodeKind kind = NodeKind::kBlock;
  int line = 0;
  std::string name, attribute;
  Value value;
  bool negated = false;
  std::vector<NodePtr> children;
  std::vector<std::pair<std::string, NodePtr>> named;
  std::vector<std::string> names, ops;
};

// Whether the name stands anywhere in node, as a variable's or another.
bool mentions(const Node& node, const std::string& name);

}  // namespace vl3::jinja
