#pragma once
// Which files of a repository are fetched.

#include <string>
#include <string_view>
#include <vector>

namespace vl3::hub {

// A shell pattern of the whole text: * any characters, "/" too, ? one, [abc] [a-z] [!a] one of them; a
// pattern that ends with "/" means all below that folder. As huggingface_hub's fnmatch.
bool matches(std::string_view pattern, std::string_view text);

class Selection {
 public:
  // As HubOptions has them.
  Selection(std::vector<std::string> include, std::vector<std::string> exclude);
  bool takes(std::string_view path) const;
  // Whether include was given: its absence means what a model needs.
  bool asked_for() const noexcept { return !include_.empty(); }

 private:
  std::vector<std::string> include_, exclude_;
};

// Whether a model needs the file to run: its configurations, tokenizer, chat template and weights as
// safetensors, or those of an adapter.
bool is_needed(std::string_view path);

// Names of files that a model may have or not. That one of them is not there is worth keeping: other programs
// would ask the hub again.
const std::vector<std::string>& optional_files();

}  // namespace vl3::hub
