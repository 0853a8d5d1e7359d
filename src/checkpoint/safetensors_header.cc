#include "checkpoint/safetensors_header.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "base/check.h"
#include "base/json.h"
#include "checkpoint/foreign_files.h"
#include "checkpoint/quantized_entries.h"
#include "checkpoint/safetensors_sax.h"

namespace vl3 {
namespace {

struct Spelling {
  DType dtype;
  const char* name;
};
constexpr Spelling kSpellings[] = {
    {DType::kF32, "F32"}, {DType::kBF16, "BF16"}, {DType::kF16, "F16"}, {DType::kF64, "F64"},
    {DType::kI64, "I64"}, {DType::kI32, "I32"},   {DType::kU8, "U8"},   {DType::kBool, "BOOL"},
};
// Types of the format that the engine has no use for.
constexpr const char* kOtherTypes[] = {"I8",      "I16",     "U16",     "U32",     "U64", "F8_E4M3",
                                       "F8_E5M2", "F8_E8M0", "F6_E2M3", "F6_E3M2", "F4",  "C64"};

DType read_dtype(const RawTensor& tensor, const std::string& origin) {
  for (const Spelling& spelling : kSpellings) {
    if (tensor.dtype == spelling.name) return spelling.dtype;
  }
  const bool known =
      std::find(std::begin(kOtherTypes), std::end(kOtherTypes), tensor.dtype) != std::end(kOtherTypes);
  fail(known ? ErrorCode::kUnsupported : ErrorCode::kFormat,
       "[{}] tensor \"{}\": \"dtype\" {} is {}; F32, BF16, F16, F64, I64, I32, U8 and BOOL are read", origin,
       tensor.name, shown(Json(tensor.dtype)), known ? "not supported" : "unknown");
}

// The length at the start of the file, checked against what is there.
uint64_t header_length(std::span<const std::byte> bytes, const std::string& origin) {
  uint64_t length = 0;
  for (size_t i = 0; i < 8 && i < bytes.size(); ++i) length |= static_cast<uint64_t>(bytes[i]) << (8 * i);
  const bool plausible =
      bytes.size() >= 10 && length >= 2 && length <= bytes.size() - 8 && bytes[8] == std::byte{'{'};
  const std::string hint = plausible ? "" : foreign_format(bytes);
  require(hint.empty(), ErrorCode::kUnsupported, "[{}] is not a safetensors file but {}", origin, hint);
  require(bytes.size() >= 8, ErrorCode::kFormat, "[{}] has {} bytes, too few for a safetensors file", origin,
          bytes.size());
  require(length <= kMaxHeaderBytes, ErrorCode::kLimitExceeded,
          "[{}] header length {} is above the format's limit of {} bytes: not a safetensors file, or a "
          "broken one",
          origin, length, kMaxHeaderBytes);
  require(length <= bytes.size() - 8, ErrorCode::kFormat,
          "[{}] header length {} goes past the end of the file of {} bytes: truncated?", origin, length,
          bytes.size());
  require(plausible, ErrorCode::kFormat, "[{}] header of length {} should begin with '{{'", origin, length);
  return length;
}

// Tensors have to tile the data without gap or overlap, as the format demands: otherwise bytes could hide
// between them.
void place(std::vector<RawTensor>& raw, uint64_t data_begin, uint64_t data_bytes, const std::string& origin,
           SafetensorsHeader& header) {
  std::vector<size_t> order(raw.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return raw[a].data_offsets < raw[b].data_offsets; });
  uint64_t expected = 0;
  for (const size_t i : order) {
    RawTensor& tensor = raw[i];
    const DType dtype = read_dtype(tensor, origin);
    TensorInfo info{std::move(tensor.name), dtype, std::move(tensor.shape)};
    const auto begin = static_cast<uint64_t>(tensor.data_offsets[0]),
               end = static_cast<uint64_t>(tensor.data_offsets[1]);
    require(begin <= end, ErrorCode::kFormat,
            "[{}] tensor \"{}\": \"data_offsets\" [{}, {}] are in the wrong order", origin, info.name, begin,
            end);
    require(
        end <= data_bytes, ErrorCode::kFormat,
        "[{}] tensor \"{}\": \"data_offsets\" [{}, {}] go past the end of the data of {} bytes: truncated?",
        origin, info.name, begin, end, data_bytes);
    require(begin == expected, ErrorCode::kFormat,
            "[{}] tensor \"{}\": \"data_offsets\" begin at {}, which {} the tensor before it, ending at {}",
            origin, info.name, begin, begin < expected ? "overlaps" : "leaves a gap after", expected);
    uint64_t needed = 0;
    try {
      needed = bytes_of(info);
    } catch (const Error& error) {
      fail(error.code(), "[{}] tensor \"{}\": \"shape\" {} of {}: {}", origin, info.name,
           to_string(info.shape), to_string(info.dtype), error.what());
    }
    require(needed == end - begin, ErrorCode::kFormat,
            "[{}] tensor \"{}\": \"shape\" {} of {} takes {} bytes, but \"data_offsets\" [{}, {}] hold {}",
            origin, info.name, to_string(info.shape), to_string(info.dtype), needed, begin, end, end - begin);
    header.tensors.push_back(std::move(info));
    header.offsets.push_back(data_begin + begin);
    expected = end;
  }
  require(expected == data_bytes, ErrorCode::kFormat,
          "[{}] has {} bytes after the last tensor, which ends at {} of {}", origin, data_bytes - expected,
          expected, data_bytes);
}

}  // namespace

const char* safetensors_name(DType dtype) noexcept {
  for (const Spelling& spelling : kSpellings) {
    if (spelling.dtype == dtype) return spelling.name;
  }
  return "unknown";
}

uint64_t bytes_of(const TensorInfo& tensor) {
  const int64_t bytes = bytes_of(tensor.dtype, tensor.shape);
  if (!is_quantized(tensor.dtype)) return static_cast<uint64_t>(bytes);
  return static_cast<uint64_t>(checked_add(bytes, kQuantizedAlignment - 1, "[tensor] bytes") /
                               kQuantizedAlignment * kQuantizedAlignment);
}

SafetensorsHeader read_header(std::span<const std::byte> bytes, const std::string& origin) {
  const uint64_t length = header_length(bytes, origin);
  const char* text = reinterpret_cast<const char*>(bytes.data()) + 8;
  HeaderEvents events;
  const bool whole = nlohmann::json::sax_parse(text, text + length, &events);
  require(whole && events.error().empty(), ErrorCode::kFormat, "[{}] {}", origin,
          events.error().empty() ? "the header is not valid JSON" : events.error());
  SafetensorsHeader header;
  header.metadata = std::move(events.metadata());
  place(events.tensors(), 8 + length, bytes.size() - 8 - length, origin, header);
  read_quantized_entries(header, origin);
  return header;
}

std::string write_header(const std::vector<TensorInfo>& tensors, const Metadata& given) {
  const Metadata metadata = with_quantized_entries(tensors, given);
  const auto quoted = [](const std::string& text) { return Json(text).dump(); };
  std::string json = "{";
  if (!metadata.empty()) {
    json += "\"__metadata__\":{";
    for (const auto& [key, value] : metadata) json += quoted(key) + ":" + quoted(value) + ",";
    json.back() = '}';
    json += ',';
  }
  uint64_t offset = 0;
  for (const TensorInfo& tensor : tensors) {
    const uint64_t end = offset + bytes_of(tensor);
    const bool blocks = is_quantized(tensor.dtype);
    const Shape shape = blocks ? Shape{static_cast<int64_t>(end - offset)} : tensor.shape;
    json +=
        fmt::format("{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}},", quoted(tensor.name),
                    safetensors_name(blocks ? DType::kU8 : tensor.dtype), fmt::join(shape, ","), offset, end);
    offset = end;
  }
  if (json.back() == ',') json.pop_back();
  json += '}';
  // Spaces up to a multiple of 64 put the data on a cache line's boundary.
  while ((8 + json.size()) % 64 != 0) json += ' ';
  std::string header(8, '\0');
  for (size_t i = 0; i < 8; ++i) header[i] = static_cast<char>(json.size() >> (8 * i) & 0xff);
  return header + json;
}

}  // namespace vl3
