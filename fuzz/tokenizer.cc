// Files of a tokenizer. The first byte says which: tokenizer.json, or merges.txt beside a vocabulary.

#include "vl3/tokenizer.h"

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vl3;
  static const fuzz::Folder whole, parts;
  static const bool prepared = [] {
    std::filesystem::copy_file(VL3_FUZZ_DATA "/text/qwen2/vocab.json", parts.path() / "vocab.json");
    std::filesystem::copy_file(VL3_FUZZ_DATA "/text/qwen2/tokenizer_config.json",
                               parts.path() / "tokenizer_config.json");
    return true;
  }();
  if (size == 0 || !prepared) return 0;
  const bool merges = data[0] == 'm';
  const fuzz::Folder& folder = merges ? parts : whole;
  folder.write(merges ? "merges.txt" : "tokenizer.json", fuzz::text_of(data + 1, size - 1));
  fuzz::read_or_refuse([&] {
    const Tokenizer tokenizer = Tokenizer::from_pretrained(folder.path());
    const std::string text =
        "Ein Bild:\n\n<|im_start|>  it's 12345 Wörter, \xf0\x9f\x98\x80 und \xff Bytes\t";
    fuzz::read_or_refuse([&] { tokenizer.decode(tokenizer.encode(text)); });
  });
  return 0;
}
