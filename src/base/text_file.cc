#include "base/text_file.h"

#include "base/check.h"
#include "base/file.h"

namespace vl3 {
namespace {

using namespace std::string_view_literals;

// The encoding that a text's first bytes give away; empty for UTF-8. No text that is read here begins with a
// NUL, so one of the first two bytes says that characters are wider.
std::string_view wide_encoding(std::string_view text) {
  if (text.starts_with("\xff\xfe\0\0"sv) || text.starts_with("\0\0\xfe\xff"sv)) return "UTF-32";
  if (text.starts_with("\xff\xfe"sv) || text.starts_with("\xfe\xff"sv)) return "UTF-16";
  if (text.size() < 2 || (text[0] == 0) == (text[1] == 0))
    return text.starts_with("\0\0\0"sv) ? "UTF-32" : "";
  return text.size() >= 4 && text.substr(1, 3) == "\0\0\0"sv ? "UTF-32" : "UTF-16";
}

}  // namespace

std::string_view without_bom(std::string_view text, std::string_view origin) {
  const std::string_view wide = wide_encoding(text);
  require(wide.empty(), ErrorCode::kFormat, "[{}] is {} text; save it as UTF-8", origin, wide);
  if (text.starts_with("\xef\xbb\xbf"sv)) text.remove_prefix(3);
  return text;
}

std::string read_text(const std::filesystem::path& path, uint64_t max_bytes) {
  std::string text = read_file(path, max_bytes);
  text.erase(0, text.size() - without_bom(text, path.string()).size());
  return text;
}

}  // namespace vl3
