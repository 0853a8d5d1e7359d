#pragma once
// Text that people's editors wrote: with a byte order mark or without one.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace vl3 {

// UTF-8 text without the byte order mark it may begin with. Throws kFormat, naming origin and the encoding,
// for UTF-16 and UTF-32, with or without a mark: some editors and shells write those where text is asked for.
std::string_view without_bom(std::string_view text, std::string_view origin);

// The text of a file, without_bom. Throws what read_file throws.
std::string read_text(const std::filesystem::path& path, uint64_t max_bytes);

}  // namespace vl3
