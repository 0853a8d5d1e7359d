#include "checkpoint/quantized_entries.h"

#include <charconv>
#include <unordered_map>

#include "base/check.h"

namespace vl3 {
namespace {

constexpr std::string_view kKey = "videollama3.quantized";  // its value is the version
constexpr std::string_view kPrefix = "videollama3.quantized.";
constexpr std::string_view kVersion = "2";

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  while (true) {
    const size_t space = text.find(' ');
    words.push_back(text.substr(0, space));
    if (space == std::string_view::npos) return words;
    text.remove_prefix(space + 1);
  }
}

int64_t extent_of(std::string_view word, const std::string& key, const std::string& value,
                  const std::string& origin) {
  int64_t extent = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), extent);
  require(error == std::errc() && end == word.data() + word.size() && extent > 0, ErrorCode::kFormat,
          "[{}] metadata \"{}\" should be a dtype and the extents of a matrix, not \"{}\"", origin, key,
          value);
  return extent;
}

TensorInfo parse_entry(const std::string& key, const std::string& value, const std::string& origin) {
  const auto words = words_of(value);
  TensorInfo info{key.substr(kPrefix.size()), DType::kInt8, {}};
  require(words[0] == "int8" || words[0] == "int4", ErrorCode::kUnsupported,
          "[{}] tensor \"{}\" is quantised to \"{}\"; int8 and int4 are read", origin, info.name, words[0]);
  if (words[0] == "int4") info.dtype = DType::kInt4;
  for (size_t i = 1; i < words.size(); ++i) info.shape.push_back(extent_of(words[i], key, value, origin));
  require(info.shape.size() == 2, ErrorCode::kFormat,
          "[{}] metadata \"{}\" should be a dtype and the extents of a matrix, not \"{}\"", origin, key,
          value);
  return info;
}

// What the entry says has to be what its bytes can hold.
void check_bytes(const TensorInfo& info, const TensorInfo& stored, const std::string& origin) {
  require(stored.dtype == DType::kU8, ErrorCode::kFormat,
          "[{}] tensor \"{}\" is {} by its metadata, but stored as {}, not u8", origin, info.name,
          to_string(info.dtype), to_string(stored.dtype));
  uint64_t needed = 0;
  try {
    needed = bytes_of(info);
  } catch (const Error& error) {
    fail(error.code(), "[{}] tensor \"{}\": {} {}: {}", origin, info.name, to_string(info.dtype),
         to_string(info.shape), error.what());
  }
  require(needed == bytes_of(stored), ErrorCode::kFormat,
          "[{}] tensor \"{}\": {} {} takes {} bytes, but the file holds {}", origin, info.name,
          to_string(info.dtype), to_string(info.shape), needed, bytes_of(stored));
}

}  // namespace

bool is_quantized_entry(std::string_view key) noexcept { return key.starts_with(kPrefix); }

void read_quantized_entries(SafetensorsHeader& header, const std::string& origin) {
  const std::string* version = nullptr;
  std::vector<TensorInfo> entries;
  for (const auto& [key, value] : header.metadata) {
    if (key == kKey) version = &value;
  }
  if (version != nullptr) {
    require(*version == kVersion, ErrorCode::kUnsupported,
            "[{}] holds quantised weights of version \"{}\"; version {} is read: make them again from the "
            "original checkpoint (videollama3 quantize)",
            origin, *version, kVersion);
  }
  for (const auto& [key, value] : header.metadata) {
    if (!is_quantized_entry(key)) continue;
    require(version != nullptr, ErrorCode::kFormat, "[{}] has metadata \"{}\" but no \"{}\"", origin, key,
            kKey);
    entries.push_back(parse_entry(key, value, origin));
  }
  if (entries.empty()) return;
  std::unordered_map<std::string_view, TensorInfo*> by_name;
  for (TensorInfo& tensor : header.tensors) by_name.emplace(tensor.name, &tensor);
  for (const TensorInfo& info : entries) {
    const auto found = by_name.find(info.name);
    require(found != by_name.end(), ErrorCode::kFormat,
            "[{}] metadata tells of a quantised tensor \"{}\" that is not in the file", origin, info.name);
    check_bytes(info, *found->second, origin);
    found->second->dtype = info.dtype;
    found->second->shape = info.shape;
  }
}

Metadata with_quantized_entries(const std::vector<TensorInfo>& tensors, const Metadata& metadata) {
  Metadata result = metadata;
  bool first = true;
  for (const TensorInfo& tensor : tensors) {
    if (!is_quantized(tensor.dtype)) continue;
    if (first) result.emplace_back(kKey, kVersion);
    first = false;
    result.emplace_back(std::string(kPrefix) + tensor.name,
                        fmt::format("{} {}", to_string(tensor.dtype), fmt::join(tensor.shape, " ")));
  }
  return result;
}

}  // namespace vl3
