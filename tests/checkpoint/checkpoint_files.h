#pragma once
// Building blocks of the tests: small configurations, safetensors files byte by byte, and errors by their
// words.

#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/support.h"
#include "vl3/checkpoint.h"
#include "vl3/error.h"

namespace vl3::test {

// A safetensors file of the given header text and data, with the right length in front.
inline std::string raw_file(const std::string& header, const std::string& data) {
  std::string bytes(8, '\0');
  for (size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(header.size() >> (8 * i) & 0xff);
  return bytes + header + data;
}

// Runs body and expects an Error of the code whose message holds every one of the words.
inline void expect_error(const std::function<void()>& body, ErrorCode code,
                         const std::vector<std::string>& words) {
  try {
    body();
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_STREQ(to_string(error.code()), to_string(code)) << error.what();
    for (const std::string& word : words) {
      EXPECT_NE(std::string(error.what()).find(word), std::string::npos)
          << "\"" << word << "\" not in: " << error.what();
    }
  }
}

// Of the real architecture, with every width small and different.
inline Config small_config(bool tied = true) {
  Config config;
  config.text.vocab_size = 50;
  config.text.hidden_size = 16;
  config.text.intermediate_size = 24;
  config.text.num_hidden_layers = 2;
  config.text.num_attention_heads = 4;
  config.text.num_key_value_heads = 2;
  config.text.head_dim = 4;
  config.text.tie_word_embeddings = config.tie_word_embeddings = tied;
  config.text.eos_token_ids = {2};
  config.vision.hidden_size = 8;
  config.vision.intermediate_size = 12;
  config.vision.num_hidden_layers = 1;
  config.vision.num_attention_heads = 2;
  config.vision.patch_size = 2;
  config.image_token_id = 40;
  config.video_token_id = 41;
  config.dtype = DType::kF32;
  return config;
}

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

// A tensor of each expected name, every element different.
inline NamedTensors small_weights(const Config& config) {
  NamedTensors tensors;
  float next = 0;
  for (const ExpectedTensor& expected : expected_tensors(config)) {
    Tensor tensor = Tensor::empty(expected.shape, DType::kF32);
    for (float& value : tensor.mutable_span<float>()) value = next += 0.5f;
    tensors.emplace_back(layout_name(expected.name, config.layout), tensor);
  }
  return tensors;
}

inline void write_checkpoint(const std::filesystem::path& folder, const Config& config,
                             const NamedTensors& tensors) {
  config.save(folder);
  write_safetensors(folder / "model.safetensors", tensors);
}

}  // namespace vl3::test
