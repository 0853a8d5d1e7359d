#pragma once
// A hub, an empty cache and an environment without anything of a hub, for the tests that download.

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "hub/pull.h"
#include "hub/test_hub.h"
#include "support/support.h"

namespace vl3::hub {

inline std::string bytes_of(size_t count, uint32_t seed = 1) {
  std::string bytes(count, '\0');
  for (char& byte : bytes) {
    seed = seed * 1664525 + 1013904223;
    byte = static_cast<char>(seed >> 24);
  }
  return bytes;
}

class HubTest : public testing::Test {
 protected:
  HubTest() {
    for (const char* name : {"HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_ENDPOINT", "HF_TOKEN",
                             "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HUB_OFFLINE",
                             "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_IMPLICIT_TOKEN",
                             "HF_HUB_DISABLE_SYMLINKS", "HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT"})
      unset(name);
    set("HF_HOME", (folder_ / "home").string());
    options_.endpoint = hub_.url();
    options_.cache_dir = folder_ / "cache";
    options_.notes = [this](const std::string& note) { notes_ += note + "\n"; };
    hub_.put("org/model", files_);
  }
  ~HubTest() override {
    for (const auto& [name, value] : before_)
      value ? setenv(name.c_str(), value->c_str(), 1) : unsetenv(name.c_str());
  }

  void keep(const char* name) {
    const char* value = std::getenv(name);
    before_.emplace_back(name, value != nullptr ? std::optional<std::string>(value) : std::nullopt);
  }
  void set(const char* name, const std::string& value) {
    keep(name);
    setenv(name, value.c_str(), 1);
  }
  void unset(const char* name) {
    keep(name);
    unsetenv(name);
  }

  // With waits that a test has time for.
  Settings quick_settings(const HubOptions& options) const {
    Settings settings = settings_of(options);
    settings.first_wait = std::chrono::milliseconds(5);
    settings.answer_timeout = std::chrono::minutes(10);  // a slow machine is no slow hub
    settings.stall_timeout = stall_timeout_;
    settings.tries = tries_;
    return settings;
  }
  std::filesystem::path pull_quickly(const std::string& name = "org/model") {
    return pull(quick_settings(options_), parse_hub_name(name), options_);
  }
  // The failure of a pull, and its message; none where it went well.
  std::optional<HubFailure> failure(const std::string& name = "org/model") {
    try {
      pull_quickly(name);
    } catch (const HubError& error) {
      message_ = error.what();
      return error.failure();
    }
    return {};
  }
  // What the hub was asked with, the last time that it was asked for the weights' bytes.
  std::string last_range() const {
    std::string range = "never asked";
    for (const Asked& asked : hub_.asked())
      if (asked.host == "cdn" && asked.target.find(sha256_of(weights_)) != std::string::npos)
        range = asked.range;
    return range;
  }
  std::filesystem::path cache(const std::string& path) const {
    return folder_ / "cache/models--org--model" / path;
  }
  std::filesystem::path weights_blob(const std::string& ending = "") const {
    return cache("blobs/" + sha256_of(weights_) + ending);
  }

  const test::TemporaryFolder folder_;
  const std::string weights_ = bytes_of(300'000), config_ = "{\"model_type\": \"x\"}";
  const std::map<std::string, std::string> files_ = {{"config.json", config_},
                                                     {"model.safetensors", weights_},
                                                     {"tokenizer.json", bytes_of(2000, 5)},
                                                     {"README.md", "read me"},
                                                     {"pytorch_model.bin", bytes_of(5000, 9)}};
  TestHub hub_;
  HubOptions options_;
  std::string notes_, message_;
  int tries_ = 5;
  // An attempt that brings less than 512 bytes for each of these seconds counts as one that failed.
  std::chrono::seconds stall_timeout_{60};

 private:
  std::vector<std::pair<std::string, std::optional<std::string>>> before_;
};

}  // namespace vl3::hub
