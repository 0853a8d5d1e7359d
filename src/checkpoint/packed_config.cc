#include "checkpoint/packed_config.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace vl3 {
namespace {

constexpr const char* kReadable =
    "AWQ (4 bits, gemm), GPTQ (2, 3, 4 and 8 bits), bitsandbytes (nf4 and fp4) and \"videollama3\", which "
    "`videollama3 quantize` makes, are read; else take the checkpoint that was not quantised";

[[noreturn]] void refuse(const JsonView& view, const std::string& what) {
  fail(ErrorCode::kUnsupported, "[{}] {}, which is not supported: {}", view.origin(), what, kReadable);
}

// The first of several keys that is there: programs and releases name one thing differently.
std::string string_of(const JsonView& view, std::initializer_list<const char*> keys, std::string fallback) {
  for (const char* key : keys) {
    if (!view.has(key)) continue;
    std::string value = view.string(key, "");
    std::transform(value.begin(), value.end(), value.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return value;
  }
  return fallback;
}

int64_t integer_of(const JsonView& view, std::initializer_list<const char*> keys, int64_t fallback) {
  for (const char* key : keys) {
    if (view.has(key)) return view.integer(key, 0, -1, 1 << 20);
  }
  return fallback;
}

int64_t group_size_of(const JsonView& view) {
  const int64_t size = integer_of(view, {"group_size", "q_group_size"}, 128);
  require(size != 0, ErrorCode::kFormat, "[{}] \"group_size\" should be above 0, or -1, not 0",
          view.origin());
  return size;
}

PackedFormat read_awq(const JsonView& view) {
  const std::string version = string_of(view, {"version", "format", "checkpoint_format"}, "gemm");
  if (version != "gemm") refuse(view, fmt::format("is AWQ of the layout \"{}\"", version));
  if (string_of(view, {"backend"}, "") == "llm-awq") refuse(view, "is AWQ of the layout \"llm-awq\"");
  const int64_t bits = integer_of(view, {"bits", "w_bit"}, 4);
  if (bits != 4) refuse(view, fmt::format("is AWQ of {} bits", bits));
  return {PackedMethod::kAwq, bits, group_size_of(view), false, false};
}

// Whether GPTQModel wrote the file: {"meta": {"quantizer": ["gptqmodel:2.0.0"]}}.
bool is_of_gptqmodel(const JsonView& view) {
  const Json* meta = view.find("meta");
  if (meta == nullptr || !meta->is_object() || !meta->contains("quantizer")) return false;
  return (*meta)["quantizer"].dump().find("gptqmodel") != std::string::npos;
}

PackedFormat read_gptq(const JsonView& view) {
  const std::string format = string_of(view, {"checkpoint_format", "format"}, "gptq");
  if (format != "gptq" && format != "gptq_v2")
    refuse(view, fmt::format("is GPTQ of the layout \"{}\"", format));
  if (view.boolean("is_marlin_format", false)) refuse(view, "is GPTQ of the layout \"marlin\"");
  const std::string words = string_of(view, {"pack_dtype"}, "int32");
  if (words != "int32" && words != "torch.int32") refuse(view, fmt::format("packs GPTQ into {}", words));
  const int64_t bits = integer_of(view, {"bits"}, 4);
  if (bits != 2 && bits != 3 && bits != 4 && bits != 8) refuse(view, fmt::format("is GPTQ of {} bits", bits));
  const bool first = format == "gptq";
  return {PackedMethod::kGptq, bits, group_size_of(view), first, first && is_of_gptqmodel(view)};
}

PackedFormat read_bitsandbytes(const JsonView& view) {
  const bool four = view.boolean("load_in_4bit", false) || view.boolean("_load_in_4bit", false);
  if (!four) refuse(view, "is bitsandbytes of 8 bits (LLM.int8)");
  const std::string storage = string_of(view, {"bnb_4bit_quant_storage"}, "uint8");
  if (storage != "uint8" && storage != "torch.uint8")
    refuse(view, fmt::format("is bitsandbytes stored as {}", storage));
  return {PackedMethod::kBitsAndBytes, 4, 0, false, false};
}

}  // namespace

std::optional<PackedFormat> read_packed_format(const JsonView& config) {
  if (!config.has("quantization_config")) return std::nullopt;
  const JsonView view = config.child("quantization_config");
  // Early releases of bitsandbytes' integration wrote no method.
  const bool old = !view.has("quant_method") && (view.has("load_in_8bit") || view.has("load_in_4bit"));
  const std::string method = old ? "bitsandbytes" : string_of(view, {"quant_method"}, "");
  if (method == "videollama3") return std::nullopt;
  if (method == "awq") return read_awq(view);
  if (method == "gptq") return read_gptq(view);
  if (method == "bitsandbytes") return read_bitsandbytes(view);
  refuse(view, fmt::format("has the \"quant_method\" \"{}\"", method));
}

}  // namespace vl3
