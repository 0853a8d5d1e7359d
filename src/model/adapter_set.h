#pragma once
// Several adapters beside one model's language model: every sequence of a step has its own, or none.
// Reference: "S-LoRA: Serving Thousands of Concurrent LoRA Adapters" (Sheng et al. 2023).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/parameters.h"
#include "vl3/adapter.h"

namespace vl3 {

// Immutable: any number of threads and contexts may use one.
class AdapterSet {
 public:
  struct Entry {
    std::string name;
    Adapter adapter;  // opened for, or made for, the model's config
  };
  // Throws kInvalidArgument for names that are empty or there twice, and kUnsupported, naming the tensor, for
  // adapters that change more than linear layers of the language model: whole tensors in place of the model's
  // (modules_to_save), and layers of the vision encoder or the projector, which run once for all sequences. A
  // model can be opened with one such adapter, or merged with it.
  AdapterSet(const Config& config, std::vector<Entry> entries);

  int64_t size() const noexcept { return static_cast<int64_t>(names_.size()); }
  const std::string& name(int64_t adapter) const { return names_.at(static_cast<size_t>(adapter)); }
  std::optional<int64_t> find(std::string_view name) const;
  int64_t bytes() const noexcept { return bytes_; }
  // What an adapter has for the layers of the language model: low_rank alone, null where it has nothing.
  const std::vector<TextLayerWeights>& layers(int64_t adapter) const {
    return layers_.at(static_cast<size_t>(adapter));
  }

 private:
  std::vector<std::string> names_;
  std::vector<std::vector<TextLayerWeights>> layers_;
  int64_t bytes_ = 0;
};

}  // namespace vl3
