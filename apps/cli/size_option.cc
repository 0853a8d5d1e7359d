#include "size_option.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <optional>
#include <string>
#include <string_view>

#include "base/ascii.h"

namespace vl3::cli {
namespace {

constexpr double kKibi = 1024, kGibi = kKibi * kKibi * kKibi;

// Bytes that the letters behind a number stand for; `bare` where there are none.
std::optional<double> unit_of(std::string_view letters, double bare) {
  if (letters.empty()) return bare;
  const std::string unit = ascii_lower(letters);
  if (unit == "b") return 1;
  constexpr std::string_view kPrefixes = "kmgt";
  const size_t prefix = kPrefixes.find(unit[0]);
  const std::string_view rest = std::string_view(unit).substr(1);
  if (prefix == std::string_view::npos || !(rest.empty() || rest == "b" || rest == "ib")) return std::nullopt;
  return std::pow(kKibi, static_cast<double>(prefix + 1));
}

// A size in bytes, infinite where it is too large for a double.
std::optional<double> bytes_in(std::string_view text, double bare) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  // Texts like "inf" and "nan" are numbers to from_chars.
  const bool digits =
      !text.empty() && (std::string_view("0123456789.").find(text[0]) != std::string_view::npos);
  if (!digits || error == std::errc::invalid_argument) return std::nullopt;
  std::string_view letters = text.substr(static_cast<size_t>(end - text.data()));
  while (!letters.empty() && letters.front() == ' ') letters.remove_prefix(1);
  const auto unit = unit_of(letters, bare);
  if (!unit) return std::nullopt;
  return error == std::errc::result_out_of_range ? HUGE_VAL : number * *unit;
}

// A size as it is told: "64 MiB", "1 PiB", "100 bytes".
std::string told(double bytes) {
  for (const auto& [unit, name] :
       {std::pair{kGibi, "GiB"}, std::pair{kKibi * kKibi, "MiB"}, std::pair{kKibi, "KiB"}}) {
    if (bytes >= unit && std::fmod(bytes, unit) == 0) return fmt::format("{:.0f} {}", bytes / unit, name);
  }
  return fmt::format("{:.0f} byte{}", bytes, bytes == 1 ? "" : "s");
}

std::string complaint(const std::string& text, const std::optional<double>& bytes, double least, double most,
                      std::string_view example) {
  if (!bytes)
    return fmt::format("{} is no size: it should be a number from 0 on, with a unit behind it or none ({})",
                       text, example);
  if (*bytes > most) return fmt::format("{} is more than {}, the most there may be", text, told(most));
  if (*bytes < least) return fmt::format("{} is less than {}, the least there may be", text, told(least));
  return "";
}

}  // namespace

CLI::Validator size_in_bytes(uint64_t least, uint64_t most) {
  return {[=](std::string& text) {
            const auto bytes = bytes_in(text, 1);
            std::string wrong = complaint(text, bytes, static_cast<double>(least), static_cast<double>(most),
                                          "67108864, 64M, 1.5GiB");
            // Doubles hold all whole numbers up to the most there may be.
            if (wrong.empty()) text = fmt::format("{:.0f}", std::floor(*bytes));
            return wrong;
          },
          "", "size"};
}

CLI::Validator size_in_gib(bool zero) {
  return {[=](std::string& text) {
            const auto bytes = bytes_in(text, kGibi);
            std::string wrong = complaint(text, bytes, zero ? 0 : 1, static_cast<double>(kMostBytes),
                                          "in GiB: 4, 0.5, or 512MiB");
            if (wrong.empty()) text = fmt::format("{}", *bytes / kGibi);
            return wrong;
          },
          "", "size"};
}

}  // namespace vl3::cli
