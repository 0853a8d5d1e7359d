#include "http/content_coding.h"

#include <libdeflate.h>

#include <algorithm>
#include <memory>
#include <new>
#include <optional>

#include "base/ascii.h"

namespace vl3::http {
namespace {

// The part of a list before the separator, which leaves the list with it.
std::string_view next(std::string_view& list, char separator) {
  const size_t end = std::min(list.find(separator), list.size());
  const std::string_view part = list.substr(0, end);
  list.remove_prefix(std::min(end + 1, list.size()));
  return trimmed(part, " \t");
}

// Whether "q=0.5" is above 0: at most three digits follow the point, so that any but 0 says so.
bool is_above_zero(std::string_view parameter) {
  const std::string lower = ascii_lower(parameter);
  return !lower.starts_with("q=") || lower.find_first_of("123456789") != std::string::npos;
}

}  // namespace

bool accepts_gzip(const Fields& fields) {
  std::optional<bool> named, any;
  for (const auto& [name, value] : fields) {
    if (name != "accept-encoding") continue;
    for (std::string_view list = value; !list.empty();) {
      std::string_view entry = next(list, ',');
      const std::string coding = ascii_lower(next(entry, ';'));
      bool taken = true;
      while (!entry.empty()) taken = is_above_zero(next(entry, ';')) && taken;
      if (coding == "gzip" || coding == "x-gzip") named = taken;
      if (coding == "*") any = taken;
    }
  }
  return named.value_or(any.value_or(false));
}

std::string gzip(std::string_view bytes) {
  constexpr int kSmallest = 12;
  const std::unique_ptr<libdeflate_compressor, decltype(&libdeflate_free_compressor)> compressor(
      libdeflate_alloc_compressor(kSmallest), &libdeflate_free_compressor);
  if (compressor == nullptr) throw std::bad_alloc();
  std::string packed(libdeflate_gzip_compress_bound(compressor.get(), bytes.size()), '\0');
  packed.resize(
      libdeflate_gzip_compress(compressor.get(), bytes.data(), bytes.size(), packed.data(), packed.size()));
  return packed;
}

}  // namespace vl3::http
