#include "model/adapter_set.h"

#include <algorithm>

#include "base/check.h"
#include "model/adapters.h"

namespace vl3 {
namespace {

void check(const AdapterSet::Entry& entry, const std::vector<AdaptableLayer>& adaptable) {
  const Adapter& adapter = entry.adapter;
  require(
      adapter.whole.empty(), ErrorCode::kUnsupported,
      "[adapters] \"{}\" has \"{}\"{} in place of the model's: beside other adapters only low-rank layers "
      "are possible; open the model with it alone, or merge it",
      entry.name, adapter.whole.empty() ? "" : adapter.whole.begin()->first,
      adapter.whole.size() < 2 ? "" : fmt::format(" and {} more", adapter.whole.size() - 1));
  for (const auto& [name, layer] : adapter.layers) {
    const auto found = std::ranges::find(adaptable, name, &AdaptableLayer::name);
    require(found != adaptable.end(), ErrorCode::kInvalidArgument,
            "[adapters] \"{}\" has a layer \"{}\" that this model has not", entry.name, name);
    require(found->part == part_name(Part::kLanguageModel), ErrorCode::kUnsupported,
            "[adapters] \"{}\" changes \"{}\" of the {}: beside other adapters only layers of the language "
            "model are possible; open the model with it alone, or merge it",
            entry.name, name, found->part);
  }
}

}  // namespace

AdapterSet::AdapterSet(const Config& config, std::vector<Entry> entries) {
  const std::vector<AdaptableLayer> adaptable = adaptable_layers(config);
  for (const Entry& entry : entries) {
    require(!entry.name.empty() && !find(entry.name), ErrorCode::kInvalidArgument,
            "[adapters] the name \"{}\" is {}", entry.name, entry.name.empty() ? "empty" : "there twice");
    check(entry, adaptable);
    ModelWeights weights;
    attach(entry.adapter, config, weights);
    names_.push_back(entry.name);
    layers_.push_back(std::move(weights.text.layers));
    for (const auto& [name, layer] : entry.adapter.layers)
      bytes_ += static_cast<int64_t>(layer.a.bytes() + layer.b.bytes());
  }
}

std::optional<int64_t> AdapterSet::find(std::string_view name) const {
  const auto found = std::ranges::find(names_, name);
  if (found == names_.end()) return std::nullopt;
  return found - names_.begin();
}

}  // namespace vl3
