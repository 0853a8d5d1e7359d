// AWQ and GPTQ: integers of a few bits packed into words of 32, with a scale and a zero point for each output
// and group of inputs. Layouts: AutoAWQ's WQLinear_GEMM; AutoGPTQ's and GPTQModel's QuantLinear.

#include <algorithm>
#include <array>

#include "base/check.h"
#include "checkpoint/half.h"
#include "checkpoint/weight_sources.h"

namespace vl3 {
namespace {

constexpr const char* kKind = "packed in a way that is not known";
// The output, of eight, whose number is at each place of a word.
constexpr std::array<int, 8> kAwqOrder = {0, 2, 4, 6, 1, 3, 5, 7};
constexpr int64_t kMostExtent = int64_t{1} << 26;  // so that no count of bits overflows
constexpr int64_t kOutputsAtOnce = 16;             // a line of cache of each row of words

int64_t words_of(int64_t count, int64_t bits) { return (count * bits + 31) / 32; }

struct Extents {
  int64_t inputs = 0, outputs = 0, groups = 0;
};

// What the tensors of a weight should be; inputs and outputs follow from qweight.
Extents extents_of(const PackedFormat& format, const Shape& qweight, const Shape& scales) {
  Extents e;
  const bool awq = format.method == PackedMethod::kAwq;
  e.inputs = awq ? qweight[0] : qweight[0] * 32 / format.bits;
  e.outputs = awq ? qweight[1] * 32 / format.bits : qweight[1];
  e.groups = scales[0];
  return e;
}

class Checker {
 public:
  Checker(std::string name, const Sources& parts, Problems& problems)
      : name_(std::move(name)), parts_(parts), problems_(problems) {}
  bool good() const { return good_; }
  void wrong(const std::string& what) {
    good_ = false;
    problems_.add(kKind, fmt::format("{} {}", name_, what));
  }
  bool there(const char* role, size_t rank) {
    const auto found = parts_.find(role);
    if (found == parts_.end()) {
      wrong(fmt::format("has no {}", role));
    } else if (const Shape& shape = found->second.info.shape;
               shape.size() != rank || std::any_of(shape.begin(), shape.end(), [](int64_t extent) {
                 return extent < 1 || extent > kMostExtent;
               })) {
      wrong(fmt::format("has a {} of shape {}", role, to_string(found->second.info.shape)));
    }
    return good_;
  }
  void has_shape(const char* role, const Shape& shape) {
    const Shape& is = parts_.find(role)->second.info.shape;
    if (is != shape)
      wrong(fmt::format("has a {} of shape {}, not {}", role, to_string(is), to_string(shape)));
  }
  void has_type(const char* role, std::initializer_list<DType> types) {
    const DType is = parts_.find(role)->second.info.dtype;
    if (std::find(types.begin(), types.end(), is) == types.end())
      wrong(fmt::format("has a {} of {}", role, to_string(is)));
  }

 private:
  std::string name_;
  const Sources& parts_;
  Problems& problems_;
  bool good_ = true;
};

// What comes out of the parts; nothing, and problems, where they do not fit.
std::optional<TensorInfo> fitting(const std::string& name, const PackedWeight& weight, Problems& problems) {
  Checker check(name, weight.parts, problems);
  for (const char* role : {"qweight", "qzeros", "scales"}) check.there(role, 2);
  if (!check.good()) return std::nullopt;
  const TensorInfo& qweight = weight.parts.find("qweight")->second.info;
  const TensorInfo& scales = weight.parts.find("scales")->second.info;
  const PackedFormat& format = weight.format;
  const Extents e = extents_of(format, qweight.shape, scales.shape);
  const int64_t group = format.group_size < 0 ? e.inputs : format.group_size;
  check.has_type("qweight", {DType::kI32});
  check.has_type("qzeros", {DType::kI32});
  check.has_type("scales", {DType::kF16, DType::kBF16, DType::kF32});
  check.has_shape("scales", {(e.inputs + group - 1) / group, e.outputs});
  check.has_shape("qzeros", {e.groups, words_of(e.outputs, format.bits)});
  if (words_of(e.inputs, format.bits) != qweight.shape[0] && format.method == PackedMethod::kGptq)
    check.wrong(fmt::format("has a qweight of {} rows, in which inputs of {} bits do not come out even",
                            qweight.shape[0], format.bits));
  if (weight.parts.contains("g_idx")) {
    check.has_type("g_idx", {DType::kI32});
    check.has_shape("g_idx", {e.inputs});
  }
  if (!check.good()) return std::nullopt;
  return TensorInfo{name, scales.dtype, {e.outputs, e.inputs}};
}

// Number i of those packed one behind the other, bits each, into words that lie stride apart.
uint32_t number_at(const int32_t* words, int64_t stride, int64_t i, int64_t bits) {
  const int64_t bit = i * bits;
  const auto word = [&](int64_t at) { return static_cast<uint32_t>(words[at * stride]); };
  uint64_t pair = word(bit / 32);
  if (bit % 32 + bits > 32) pair |= static_cast<uint64_t>(word(bit / 32 + 1)) << 32;
  return static_cast<uint32_t>(pair >> (bit % 32)) & ((1u << bits) - 1);
}

// The zero point of every group and output, [groups, outputs].
std::vector<int32_t> zero_points(const PackedFormat& format, const Tensor& qzeros, const Extents& e) {
  std::vector<int32_t> words(qzeros.data<int32_t>(), qzeros.data<int32_t>() + qzeros.numel());
  if (format.zeros_borrowed) {
    uint32_t ones = 0;
    for (int64_t bit = 0; bit < 32; bit += format.bits) ones |= 1u << bit;
    if (format.bits != 3) {
      for (int32_t& word : words) word = static_cast<int32_t>(static_cast<uint32_t>(word) + ones);
    }
  }
  const bool add = format.zeros_less_one && (!format.zeros_borrowed || format.bits == 3);
  const uint32_t most = (1u << format.bits) - 1;
  std::vector<int32_t> zeros;
  zeros.reserve(static_cast<size_t>(e.groups * e.outputs));
  for (int64_t g = 0; g < e.groups; ++g) {
    const int32_t* row = words.data() + g * qzeros.dim(1);
    for (int64_t n = 0; n < e.outputs; ++n) {
      const uint32_t zero = number_at(row, 1, n, format.bits);
      zeros.push_back(static_cast<int32_t>(add ? (zero + 1) & most : zero));
    }
  }
  if (format.method != PackedMethod::kAwq) return zeros;
  std::vector<int32_t> ordered(zeros.size());
  for (size_t i = 0; i < zeros.size(); ++i)
    ordered[i / 8 * 8 + static_cast<size_t>(kAwqOrder[i % 8])] = zeros[i];
  return ordered;
}

// The group of every input.
std::vector<int64_t> groups_of(const Source& source, const std::vector<SafetensorsFile>& files,
                               const Extents& e) {
  std::vector<int64_t> groups(static_cast<size_t>(e.inputs));
  const PackedWeight& weight = *source.packed;
  const int64_t size = weight.format.group_size < 0 ? e.inputs : weight.format.group_size;
  for (int64_t k = 0; k < e.inputs; ++k) groups[static_cast<size_t>(k)] = k / size;
  const auto given = weight.parts.find("g_idx");
  if (given == weight.parts.end()) return groups;
  const Tensor index = files[given->second.file].get(given->second.info.name);
  for (int64_t k = 0; k < e.inputs; ++k) {
    const int64_t group = index.data<int32_t>()[k];
    require(group >= 0 && group < e.groups, ErrorCode::kFormat,
            "[{}] \"{}\"[{}] is {}, not a group from 0 to {}", files[given->second.file].path().string(),
            given->second.info.name, k, group, e.groups - 1);
    groups[static_cast<size_t>(k)] = group;
  }
  return groups;
}

std::vector<float> as_floats(const Tensor& scales) {
  std::vector<float> floats(static_cast<size_t>(scales.numel()));
  const auto* halves = reinterpret_cast<const uint16_t*>(scales.raw());
  for (size_t i = 0; i < floats.size(); ++i) {
    floats[i] = scales.dtype() == DType::kF32   ? scales.data<float>()[i]
                : scales.dtype() == DType::kF16 ? from_f16(halves[i])
                                                : from_bf16(halves[i]);
  }
  return floats;
}

// What a weight is unpacked from.
struct Packed {
  const PackedFormat& format;
  Extents extents;
  Tensor qweight;
  std::vector<float> scales;    // [groups, outputs]
  std::vector<int32_t> zeros;   // likewise
  std::vector<int64_t> groups;  // of each input

  // Calls put(place, k, q) for the outputs at the places from first on, all inputs.
  template <class Put>
  void numbers(int64_t first, int64_t last, const Put& put) const {
    const int32_t* words = qweight.data<int32_t>();
    const int64_t outputs = extents.outputs, bits = format.bits, each = 32 / bits;
    const uint32_t mask = (1u << bits) - 1;
    if (format.method == PackedMethod::kAwq) {
      for (int64_t k = 0; k < extents.inputs; ++k) {
        for (int64_t i = first; i < last; ++i) put(i, k, number_at(words + k * qweight.dim(1), 1, i, bits));
      }
    } else if (32 % bits == 0) {
      for (int64_t row = 0; row < qweight.dim(0); ++row) {
        for (int64_t i = first; i < last; ++i) {
          auto word = static_cast<uint32_t>(words[row * outputs + i]);
          for (int64_t k = row * each; k < (row + 1) * each; ++k, word >>= bits) put(i, k, word & mask);
        }
      }
    } else {
      for (int64_t k = 0; k < extents.inputs; ++k) {
        for (int64_t i = first; i < last; ++i) put(i, k, number_at(words + i, outputs, k, bits));
      }
    }
  }
};

// Few numbers times few scales: what each of them stands for is worked out once for every output and group.
template <class T, class Round>
void unpack(const Packed& packed, T* out, const Round& round) {
  const Extents& e = packed.extents;
  const int64_t levels = int64_t{1} << packed.format.bits;
  const bool awq = packed.format.method == PackedMethod::kAwq;
  std::vector<T> values(static_cast<size_t>(kOutputsAtOnce * e.groups * levels));
  std::array<int64_t, kOutputsAtOnce> outputs{};
  // Words lie along outputs, weights along inputs: a few outputs at a time keep both in the cache.
  for (int64_t first = 0; first < e.outputs; first += kOutputsAtOnce) {
    const int64_t last = std::min(first + kOutputsAtOnce, e.outputs);
    T* value = values.data();
    for (int64_t i = first; i < last; ++i) {
      const int64_t n = awq ? i / 8 * 8 + kAwqOrder[static_cast<size_t>(i % 8)] : i;
      outputs[static_cast<size_t>(i - first)] = n;
      for (int64_t g = 0; g < e.groups; ++g) {
        const auto at = static_cast<size_t>(g * e.outputs + n);
        for (int64_t q = 0; q < levels; ++q)
          *value++ = round(packed.scales[at] * static_cast<float>(q - packed.zeros[at]));
      }
    }
    packed.numbers(first, last, [&](int64_t i, int64_t k, uint32_t q) {
      const int64_t table = ((i - first) * e.groups + packed.groups[static_cast<size_t>(k)]) * levels;
      out[outputs[static_cast<size_t>(i - first)] * e.inputs + k] = values[static_cast<size_t>(table + q)];
    });
  }
}

}  // namespace

std::string Problems::text() const {
  constexpr size_t kShown = 20;
  std::string result;
  for (const auto& [kind, items] : by_kind_) {
    const size_t count = std::min(items.size(), kShown);
    result += fmt::format("{}{} {}: {}", result.empty() ? "" : "; ", items.size(), kind,
                          fmt::join(items.begin(), items.begin() + static_cast<std::ptrdiff_t>(count), ", "));
    if (count < items.size()) result += fmt::format(" and {} more", items.size() - count);
  }
  return result;
}

void gather_packed(const PackedFormat& format, const std::vector<SafetensorsFile>& files, Sources& sources,
                   Problems& problems) {
  if (format.method == PackedMethod::kBitsAndBytes) {
    gather_blocks(files, sources, problems);
    return;
  }
  constexpr std::string_view kEnding = ".qweight";
  std::vector<std::string> bases;
  for (const auto& [name, source] : sources) {
    if (name.ends_with(kEnding)) bases.push_back(name.substr(0, name.size() - kEnding.size()));
  }
  for (const std::string& base : bases) {
    auto weight = std::make_shared<PackedWeight>();
    weight->format = format;
    const std::string in_file = sources.find(base + ".qweight")->second.info.name;
    for (const char* role : {"qweight", "qzeros", "scales", "g_idx"}) {
      const auto found = sources.find(fmt::format("{}.{}", base, role));
      if (found == sources.end()) continue;
      weight->parts.emplace(role, found->second);
      sources.erase(found);
    }
    const std::string name = in_file.substr(0, in_file.size() - kEnding.size());
    if (auto info = fitting(name, *weight, problems)) {
      const bool added =
          sources.emplace(base + ".weight", Source{0, std::move(*info), std::move(weight)}).second;
      if (!added) problems.add("there twice", fmt::format("{0}.weight as {0}.weight and {0}.qweight", name));
    }
  }
}

Tensor unpacked(const Source& source, const std::vector<SafetensorsFile>& files) {
  const PackedWeight& weight = *source.packed;
  if (weight.format.method == PackedMethod::kBitsAndBytes) return unpacked_blocks(source, files);
  const auto part = [&](const char* role) {
    const Source& s = weight.parts.find(role)->second;
    return files[s.file].get(s.info.name);
  };
  const Tensor qweight = part("qweight"), scales = part("scales");
  const PackedFormat& format = weight.format;
  const Extents e = extents_of(format, qweight.shape(), scales.shape());
  const Packed packed{format,
                      e,
                      qweight,
                      as_floats(scales),
                      zero_points(format, part("qzeros"), e),
                      groups_of(source, files, e)};
  const Tensor out = Tensor::empty(source.info.shape, source.info.dtype);  // [outputs, inputs]
  if (out.dtype() == DType::kF32) {
    unpack(packed, out.mutable_data<float>(), [](float value) { return value; });
  } else {
    auto* halves = reinterpret_cast<uint16_t*>(out.mutable_raw());
    out.dtype() == DType::kF16 ? unpack(packed, halves, to_f16) : unpack(packed, halves, to_bf16);
  }
  return out;
}

}  // namespace vl3
