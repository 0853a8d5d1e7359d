#include "jinja/tree.h"

namespace vl3::jinja {
namespace {

void take_parts(Node& node, std::vector<NodePtr>& parts) {
  for (NodePtr& child : node.children) {
    if (child) parts.push_back(std::move(child));
  }
  for (auto& argument : node.named) {
    if (argument.second) parts.push_back(std::move(argument.second));
  }
}

}  // namespace

Node::~Node() {
  std::vector<NodePtr> parts;
  take_parts(*this, parts);
  while (!parts.empty()) {
    const NodePtr part = std::move(parts.back());
    parts.pop_back();
    take_parts(*part, parts);
  }
}

bool mentions(const Node& node, const std::string& name) {
  std::vector<const Node*> parts = {&node};
  while (!parts.empty()) {
    const Node& part = *parts.back();
    parts.pop_back();
    if (part.name == name) return true;
    for (const NodePtr& child : part.children) {
      if (child) parts.push_back(child.get());
    }
    for (const auto& argument : part.named) parts.push_back(argument.second.get());
  }
  return false;
}

}  // namespace vl3::jinja
