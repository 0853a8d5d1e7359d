// JSON files of a checkpoint folder. The first byte says which.

#include "base/json.h"
#include "checkpoint/folder_files.h"
#include "fuzz.h"
#include "processor/config_files.h"
#include "vl3/checkpoint.h"
#include "vl3/config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vl3;
  static const fuzz::Folder folder;
  if (size == 0) return 0;
  const std::string_view text = fuzz::text_of(data + 1, size - 1);
  fuzz::read_or_refuse([&] {
    switch (data[0]) {
      case 'c': {  // what is read can be written, and read again
        const Config config = Config::from_json(parse_json(text, "fuzz"), "fuzz");
        const Config again = Config::from_json(config.to_json(Layout::kHuggingFace), "fuzz");
        if (!(again == config)) std::abort();
        if (config.text.num_hidden_layers + config.vision.num_hidden_layers < 64) expected_tensors(config);
        break;
      }
      case 'p':
        folder.write("preprocessor_config.json", text);
        read_image_options(folder.path());
        read_video_options(folder.path());
        break;
      case 'i':
        folder.write("model.safetensors.index.json", text);
        find_weight_files(folder.path());
        break;
      case 'f':
        folder.write("config.json", text);
        inspect(folder.path());
        break;
      default:
        parse_json(text, "fuzz");
    }
  });
  return 0;
}
