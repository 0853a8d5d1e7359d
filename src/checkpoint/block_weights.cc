// bitsandbytes with 4 bits: blocks of weights share a scale, each weight is one of sixteen numbers that the
// file lists, and scales may be 8-bit numbers of a list themselves ("double quantisation"). Layout:
// QuantState of bitsandbytes' functional.py.

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "checkpoint/half.h"
#include "checkpoint/weight_sources.h"

namespace vl3 {
namespace {

constexpr const char* kKind = "packed in a way that is not known";
constexpr int64_t kMaxBlock = 1 << 20;

// The JSON text that says shape, dtype and blocks.
struct State {
  Shape shape;
  DType dtype = DType::kF32;
  int64_t block = 0, nested_block = 0;
  float nested_offset = 0;
};

State read_state(const Tensor& bytes, const std::string& origin) {
  const std::string text(reinterpret_cast<const char*>(bytes.raw()), bytes.bytes());
  const Json json = parse_json(text, origin);
  const JsonView view(json, origin);
  State state;
  const std::string type = view.string("quant_type", "");
  require(type == "nf4" || type == "fp4", ErrorCode::kUnsupported,
          "[{}] \"quant_type\" is \"{}\", not nf4 or fp4", origin, type);
  const Json* shape = view.find("shape");
  require(shape != nullptr && shape->is_array() && shape->size() == 2, ErrorCode::kFormat,
          "[{}] \"shape\" should be a list of two extents", origin);
  for (const Json& extent : *shape) {
    require(extent.is_number_integer() && extent > 0 && extent <= (1 << 26), ErrorCode::kFormat,
            "[{}] \"shape\" should hold extents from 1 to {}, not {}", origin, 1 << 26, shown(extent));
    state.shape.push_back(extent.get<int64_t>());
  }
  const std::string dtype = view.string("dtype", "float32");
  state.dtype = dtype_from_string(dtype == "float32"    ? "f32"
                                  : dtype == "float16"  ? "f16"
                                  : dtype == "bfloat16" ? "bf16"
                                                        : dtype);
  state.block = view.integer("blocksize", 64, 1, kMaxBlock);
  if (view.has("nested_blocksize")) state.nested_block = view.integer("nested_blocksize", 256, 1, kMaxBlock);
  state.nested_offset = static_cast<float>(view.number("nested_offset", 0));
  return state;
}

bool has(const Sources& parts, const char* role, DType dtype, int64_t count) {
  const auto found = parts.find(role);
  return found != parts.end() && found->second.info.dtype == dtype &&
         num_elements(found->second.info.shape) == count;
}

// Whether the parts have the types and sizes that follow from the state.
bool fit(const PackedWeight& weight, const TensorInfo& packed, const Shape& shape) {
  const int64_t count = num_elements(shape), blocks = (count + weight.block - 1) / weight.block;
  const bool nested = weight.nested_block > 0;
  const bool scales = !nested ? has(weight.parts, "absmax", DType::kF32, blocks)
                              : has(weight.parts, "absmax", DType::kU8, blocks) &&
                                    has(weight.parts, "nested_quant_map", DType::kF32, 256) &&
                                    has(weight.parts, "nested_absmax", DType::kF32,
                                        (blocks + weight.nested_block - 1) / weight.nested_block);
  return scales && packed.dtype == DType::kU8 && num_elements(packed.shape) == (count + 1) / 2 &&
         has(weight.parts, "quant_map", DType::kF32, 16);
}

}  // namespace

void gather_blocks(const std::vector<SafetensorsFile>& files, Sources& sources, Problems& problems) {
  constexpr std::string_view kState = ".quant_state.bitsandbytes__";
  std::vector<std::pair<std::string, std::string>> found;  // weight, its state
  for (const auto& [name, source] : sources) {
    const size_t at = name.find(kState);
    if (at != std::string::npos) found.emplace_back(name.substr(0, at), name);
  }
  for (const auto& [name, state_name] : found) {
    const Source state_source = sources.find(state_name)->second;
    sources.erase(state_name);
    const auto packed = sources.find(name);
    if (packed == sources.end()) {
      problems.add(kKind, fmt::format("{} has no weight", state_source.info.name));
      continue;
    }
    const SafetensorsFile& file = files[state_source.file];
    const State state = read_state(file.get(state_source.info.name),
                                   fmt::format("{}: {}", file.path().string(), state_source.info.name));
    auto weight = std::make_shared<PackedWeight>();
    weight->format.method = PackedMethod::kBitsAndBytes;
    weight->block = state.block;
    weight->nested_block = state.nested_block;
    weight->nested_offset = state.nested_offset;
    for (const char* role : {"absmax", "quant_map", "nested_absmax", "nested_quant_map"}) {
      const auto part = sources.find(fmt::format("{}.{}", name, role));
      if (part == sources.end()) continue;
      weight->parts.emplace(role, part->second);
      sources.erase(part);
    }
    const TensorInfo info = packed->second.info;
    if (!fit(*weight, info, state.shape)) {
      problems.add(kKind, fmt::format("{} of {} and shape {} for a weight of shape {} in blocks of {}",
                                      info.name, to_string(info.dtype), to_string(info.shape),
                                      to_string(state.shape), state.block));
      sources.erase(packed);
      continue;
    }
    weight->parts.emplace("weight", packed->second);
    packed->second = Source{packed->second.file, {info.name, state.dtype, state.shape}, std::move(weight)};
  }
}

Tensor unpacked_blocks(const Source& source, const std::vector<SafetensorsFile>& files) {
  const PackedWeight& weight = *source.packed;
  const auto part = [&](const char* role) {
    const Source& s = weight.parts.find(role)->second;
    return files[s.file].get(s.info.name);
  };
  const Tensor packed = part("weight"), absmax = part("absmax"), map = part("quant_map");
  std::vector<float> scales(static_cast<size_t>(absmax.numel()));
  if (weight.nested_block == 0) {
    std::copy_n(absmax.data<float>(), absmax.numel(), scales.begin());
  } else {
    const Tensor nested = part("nested_absmax"), nested_map = part("nested_quant_map");
    for (int64_t b = 0; b < absmax.numel(); ++b) {
      scales[static_cast<size_t>(b)] = nested_map.data<float>()[absmax.data<uint8_t>()[b]] *
                                           nested.data<float>()[b / weight.nested_block] +
                                       weight.nested_offset;
    }
  }
  const Tensor out = Tensor::empty(source.info.shape, source.info.dtype);
  for (int64_t i = 0; i < out.numel(); ++i) {
    const uint8_t byte = packed.data<uint8_t>()[i / 2];
    // The first of two is in the high half.
    const float value =
        map.data<float>()[i % 2 == 0 ? byte >> 4 : byte & 15] * scales[static_cast<size_t>(i / weight.block)];
    if (out.dtype() == DType::kF32) {
      out.mutable_data<float>()[i] = value;
    } else {
      reinterpret_cast<uint16_t*>(out.mutable_raw())[i] =
          out.dtype() == DType::kF16 ? to_f16(value) : to_bf16(value);
    }
  }
  return out;
}

}  // namespace vl3
