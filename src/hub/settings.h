#pragma once
// What the environment says of the hub, and what the options say in its place.

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

#include "vl3/hub.h"

namespace vl3::hub {

struct Settings {
  std::string endpoint;         // without a slash at its end
  std::filesystem::path cache;  // HF_HUB_CACHE, HF_HOME/hub, …; absolute
  std::string token;            // "": none
  std::string token_source;     // "HF_TOKEN", a file's path, …: for messages
  bool offline = false;
  bool links = true;                        // HF_HUB_DISABLE_SYMLINKS
  bool shared_blobs = true;                 // HF_HUB_DISABLE_SHARED_BLOBS
  std::chrono::seconds answer_timeout{10};  // HF_HUB_ETAG_TIMEOUT: for a question of the hub's interface
  std::chrono::seconds stall_timeout{10};   // HF_HUB_DOWNLOAD_TIMEOUT: without a byte of a file
  // How often one question is asked, and how long the first wait before the next is; it doubles.
  int tries = 5;
  std::chrono::milliseconds first_wait{1'000};
};

// Reads the environment and a file with a token. Throws kInvalidArgument for an endpoint that is no address
// and a timeout that is no number, and kIo for a token's file that cannot be read.
Settings settings_of(const HubOptions& options);

// "~/x" and "$NAME/x" and "${NAME}/x" as a path; a name that is not set stays as it stands.
std::string expanded(const std::string& text);

}  // namespace vl3::hub
