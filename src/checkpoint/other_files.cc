#include "checkpoint/other_files.h"

#include <string>

#include "base/check.h"
#include "base/file.h"

namespace vl3 {

namespace fs = std::filesystem;

void copy_other_files(const fs::path& source, const fs::path& target) {
  for (const fs::directory_entry& entry : fs::directory_iterator(source)) {
    const fs::path name = entry.path().filename();
    const std::string extension = name.extension().string();
    const bool weights = extension == ".safetensors" || extension == ".bin" || extension == ".pt" ||
                         extension == ".pth" || name.string().ends_with(".index.json");
    // How another program packed the weights, beside config.json: what is made of them is not.
    const bool of_packing = name == "quantize_config.json" || name == "quant_config.json";
    const bool of_training = extension == ".jsonl" || name == "training.json";
    if (!entry.is_regular_file() || weights || of_training || of_packing || name == "config.json") continue;
    std::error_code error;
    fs::copy_file(resolve_link_stub(entry.path()), target / name, error);
    require(!error, ErrorCode::kIo, "[{}] cannot be copied: {}", entry.path().string(), error.message());
  }
}

}  // namespace vl3
