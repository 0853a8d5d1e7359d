#include "checkpoint/safetensors_sax.h"

#include "base/check.h"

namespace vl3 {
namespace {
constexpr size_t kMaxRank = 16;
}  // namespace

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
  return stop(fmt::format("the header is not valid JSON at its byte {}: {}", position, why.what()));
}

}  // namespace vl3
