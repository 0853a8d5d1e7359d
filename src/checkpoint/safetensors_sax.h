#pragma once
// The JSON of a safetensors header as events. A tree would cost many times the header's size, and would hide
// keys that are there twice; the format is flat enough to be read as it comes.

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <unordered_set>
#include <vector>

#include "vl3/safetensors.h"

namespace vl3 {

struct RawTensor {
  std::string name, dtype;
  Shape shape;
  std::vector<int64_t> data_offsets;
  bool has_dtype = false, has_shape = false, has_offsets = false;
};

// Collects tensors and metadata; stops with a message in error() at the first thing that does not belong.
class HeaderEvents : public nlohmann::json_sax<nlohmann::json> {
 public:
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

  At at_ = At::kStart;
  std::string key_;  // the last key within the current object
  std::vector<RawTensor> tensors_;
  std::unordered_set<std::string> names_, metadata_names_;
  Metadata metadata_;
  bool metadata_seen_ = false;
  std::string error_;
};

}  // namespace vl3
