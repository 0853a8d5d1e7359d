#include "model/adapters.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "vl3/checkpoint.h"

namespace vl3 {

const char* part_name(Part part) noexcept {
  constexpr const char* kNames[] = {"vision_encoder", "projector", "llm"};
  return kNames[static_cast<size_t>(part)];
}

uint32_t dropout_stream(std::string_view layer) noexcept {
  uint32_t stream = 2166136261u;  // FNV-1a
  for (const char c : layer) stream = (stream ^ static_cast<unsigned char>(c)) * 16777619u;
  return stream;
}

float Adapter::scale() const {
  const double r = static_cast<double>(rank);
  return static_cast<float>(alpha / (rslora ? std::sqrt(r) : r));
}

std::vector<AdaptableLayer> adaptable_layers(const Config& config) {
  std::map<std::string, Shape> shapes;
  for (const ExpectedTensor& e : expected_tensors(config)) shapes[e.name] = e.shape;
  std::vector<AdaptableLayer> layers;
  ModelWeights weights;
  visit_linears(weights, config, [&](const std::string& name, const LinearWeights&, Part part) {
    const Shape& shape = shapes.at(name + ".weight");
    if (shape.size() == 2) layers.push_back({name, part_name(part), shape[0], shape[1]});
  });
  return layers;
}

std::vector<AdaptableLayer> targeted_layers(const Config& config, const std::vector<std::string>& targets) {
  const std::vector<AdaptableLayer> all = adaptable_layers(config);
  std::vector<char> wanted(all.size());
  for (const std::string& target : targets) {
    std::string_view part = "llm", name = target;
    for (const std::string_view p : {"vision_encoder", "projector", "llm"}) {
      if (target != p && !(target.starts_with(p) && target[p.size()] == '.')) continue;
      part = p;
      name.remove_prefix(std::min(name.size(), p.size() + 1));
    }
    bool found = false;
    for (size_t i = 0; i < all.size(); ++i) {
      const bool ends = name.empty() || all[i].name.ends_with(fmt::format(".{}", name));
      if (all[i].part != part || !ends) continue;
      wanted[i] = 1;
      found = true;
    }
    require(found, ErrorCode::kInvalidArgument,
            "[lora] the target \"{}\" names no linear layer of {}; a target is a part (llm, projector, "
            "vision_encoder) or the end of a layer's name, as in \"q_proj\", \"mlp.down_proj\", "
            "\"vision_encoder.fc1\"",
            target, part);
  }
  std::vector<AdaptableLayer> chosen;
  for (size_t i = 0; i < all.size(); ++i) {
    if (wanted[i] != 0) chosen.push_back(all[i]);
  }
  return chosen;
}

void attach(const Adapter& adapter, const Config& config, ModelWeights& weights,
            const std::shared_ptr<const ops::Dropout>& dropout) {
  visit(weights, config, [&](const std::string& name, Tensor& tensor, Part) {
    const auto found = adapter.whole.find(name);
    if (found != adapter.whole.end()) tensor = found->second;
  });
  visit_linears(weights, config, [&](const std::string& name, LinearWeights& layer, Part) {
    const auto found = adapter.layers.find(name);
    if (found == adapter.layers.end()) return;
    layer.low_rank = std::make_shared<const ops::LowRank>(
        ops::LowRank{found->second.a, found->second.b, adapter.scale(), dropout_stream(name), dropout});
  });
}

}  // namespace vl3
