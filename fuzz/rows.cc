// Rows of training data.

#include "fuzz.h"
#include "vl3/training_rows.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vl3;
  static const fuzz::Folder folder;
  folder.write("rows.jsonl", fuzz::text_of(data, size));
  fuzz::read_or_refuse([&] {
    read_rows(
        folder.path() / "rows.jsonl",
        [](const Json& row, const std::string& origin) {
          fuzz::read_or_refuse([&] { parse_row(row, origin, "/media"); });
        },
        [](const std::string&, const std::string&) {});
  });
  return 0;
}
