#include "checkpoint/safetensors_header.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <numeric>
#include <unordered_set>

#include "base/check.h"
#include "base/json.h"
#include "checkpoint/folder_files.h"
#include "checkpoint/quantized_entries.h"

namespace vl3 {
namespace {

struct RawTensor {
  std::string name, dtype;
  Shape shape;
  std::vector<int64_t> data_offsets;
  bool has_dtype = false, has_shape = false, has_offsets = false;
};

// The JSON of a header as events: a tree would cost many times the header's size, and would hide keys that
// are there twice. Collects tensors and metadata; stops with a message in error() at the first thing that
// does not belong.
class HeaderEvents : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderEvents(std::string_view text) : text_(text) {}
  const std::string& error() const { return error_; }
  std::vector<RawTensor>& tensors() { return tensors_; }
  Metadata& metadata() { return metadata_; }

  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("a boolean"); }
  bool number_integer(int64_t value) override { return integer(value); }
  bool number_unsigned(uint64_t value) override;
  bool number_float(double, const std::string& text) override { return unexpected("the number " + text); }
  bool string(std::string& value) override;
  bool binary(binary_t&) override { return unexpected("binary data"); }
  bool start_object(size_t) override;
  bool key(std::string& name) override;
  bool end_object() override;
  bool start_array(size_t) override;
  bool end_array() override;
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception& why) override;

 private:
  // Where in the header the parser is.
  enum class At { kStart, kTop, kTensor, kMetadata, kShape, kOffsets, kEnd };

  bool integer(int64_t value);
  bool stop(std::string message);
  bool unexpected(const std::string& what);

  std::string_view text_;
  At at_ = At::kStart;
  std::string key_;  // the last key within the current object
  std::vector<RawTensor> tensors_;
  std::unordered_set<std::string> names_, metadata_names_;
  Metadata metadata_;
  bool metadata_seen_ = false;
  std::string error_;
};

constexpr size_t kMaxRank = 16;

bool HeaderEvents::stop(std::string message) {
  if (error_.empty()) error_ = std::move(message);
  return false;
}

bool HeaderEvents::unexpected(const std::string& what) {
  switch (at_) {
    case At::kTensor:
    case At::kShape:
    case At::kOffsets:
      return stop(fmt::format("tensor \"{}\": \"{}\" does not take {}", tensors_.back().name, key_, what));
    case At::kMetadata:
      return stop(fmt::format("\"__metadata__\": \"{}\" should be a string, not {}", key_, what));
    case At::kTop:
      return stop(fmt::format("\"{}\" should be an object, not {}", key_, what));
    default:
      return stop(fmt::format("the header should be an object, not {}", what));
  }
}

bool HeaderEvents::number_unsigned(uint64_t value) {
  if (value > static_cast<uint64_t>(INT64_MAX)) return unexpected(fmt::format("the number {}", value));
  return integer(static_cast<int64_t>(value));
}

bool HeaderEvents::integer(int64_t value) {
  if (at_ != At::kShape && at_ != At::kOffsets) return unexpected(fmt::format("the number {}", value));
  RawTensor& tensor = tensors_.back();
  if (value < 0)
    return stop(fmt::format("tensor \"{}\": {} in \"{}\" is negative", tensor.name, value, key_));
  auto& list = at_ == At::kShape ? tensor.shape : tensor.data_offsets;
  if (list.size() == kMaxRank) {
    return stop(fmt::format("tensor \"{}\": \"{}\" has more than {} numbers", tensor.name, key_, kMaxRank));
  }
  list.push_back(value);
  return true;
}

bool HeaderEvents::string(std::string& value) {
  if (at_ == At::kMetadata) {
    metadata_.emplace_back(key_, std::move(value));
    return true;
  }
  if (at_ != At::kTensor || key_ != "dtype") return unexpected("a string");
  tensors_.back().dtype = std::move(value);
  return true;
}

bool HeaderEvents::start_object(size_t) {
  if (at_ == At::kStart) {
    at_ = At::kTop;
    return true;
  }
  if (at_ != At::kTop) return unexpected("an object");
  if (key_ == "__metadata__") {
    at_ = At::kMetadata;
    return true;
  }
  tensors_.emplace_back().name = key_;
  at_ = At::kTensor;
  return true;
}

bool HeaderEvents::key(std::string& name) {
  key_ = name;
  if (at_ == At::kTop) {
    if (name == "__metadata__") {
      if (metadata_seen_) return stop("\"__metadata__\" is there twice");
      metadata_seen_ = true;
      return true;
    }
    if (!names_.insert(std::move(name)).second)
      return stop(fmt::format("tensor \"{}\" is there twice", key_));
    return true;
  }
  if (at_ == At::kMetadata) {
    return metadata_names_.insert(std::move(name)).second ||
           stop(fmt::format("\"__metadata__\": \"{}\" is there twice", key_));
  }
  RawTensor& tensor = tensors_.back();
  bool* seen = name == "dtype"          ? &tensor.has_dtype
               : name == "shape"        ? &tensor.has_shape
               : name == "data_offsets" ? &tensor.has_offsets
                                        : nullptr;
  if (seen == nullptr)
    return stop(fmt::format("tensor \"{}\" has the unknown field \"{}\"", tensor.name, name));
  if (*seen) return stop(fmt::format("tensor \"{}\" has \"{}\" twice", tensor.name, name));
  *seen = true;
  return true;
}

bool HeaderEvents::end_object() {
  if (at_ == At::kTensor) {
    const RawTensor& tensor = tensors_.back();
    const char* missing = !tensor.has_dtype ? "dtype" : !tensor.has_shape ? "shape" : "data_offsets";
    if (!tensor.has_dtype || !tensor.has_shape || !tensor.has_offsets) {
      return stop(fmt::format("tensor \"{}\" has no \"{}\"", tensor.name, missing));
    }
  }
  at_ = at_ == At::kTop ? At::kEnd : At::kTop;
  return true;
}

bool HeaderEvents::start_array(size_t) {
  if (at_ != At::kTensor || key_ == "dtype") return unexpected("a list");
  at_ = key_ == "shape" ? At::kShape : At::kOffsets;
  return true;
}

bool HeaderEvents::end_array() {
  if (at_ == At::kOffsets && tensors_.back().data_offsets.size() != 2) {
    return stop(fmt::format("tensor \"{}\": \"data_offsets\" should be two numbers, not {}",
                            tensors_.back().name, tensors_.back().data_offsets.size()));
  }
  at_ = At::kTensor;
  return true;
}

bool HeaderEvents::parse_error(size_t position, const std::string&, const nlohmann::detail::exception& why) {
  return stop("the header " + json_fault(text_, position, why));
}

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
  HeaderEvents events({text, length});
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
