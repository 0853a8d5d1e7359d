#include "grammar/formats.h"

#include <array>
#include <utility>

namespace vl3::grammar {
namespace {

// Days as months and leap years have them, years from 1000 on.
#define VL3_DATE                                                                                      \
  "([1-9]\\d{3}-(0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])|[1-9]\\d{3}-(0[469]|11)-(0[1-9]|[12]\\d|30)|" \
  "[1-9]\\d{3}-02-(0[1-9]|1\\d|2[0-8])|"                                                              \
  "([1-9]\\d(0[48]|[2468][048]|[13579][26])|([2468][048]|[13579][26])00)-02-29)"
#define VL3_TIME "([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,9})?(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)"
#define VL3_OCTET "(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"
#define VL3_LABEL "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
#define VL3_HOST VL3_LABEL "(\\." VL3_LABEL "){0,7}"
#define VL3_URI_REST \
  "(//" VL3_HOST "(:\\d{1,5})?(/[A-Za-z0-9._~!$&'()*+,;=:@/-]*)?(\\?[A-Za-z0-9._~&=+/-]*)?)"

constexpr std::array<std::pair<std::string_view, std::string_view>, 12> kFormats = {{
    {"date", VL3_DATE},
    {"time", VL3_TIME},
    {"date-time", VL3_DATE "T" VL3_TIME},
    {"duration",
     "P(\\d{1,9}W|\\d{1,9}Y(\\d{1,9}M(\\d{1,9}D)?)?|\\d{1,9}M(\\d{1,9}D)?|\\d{1,9}D|"
     "(\\d{1,9}D)?T(\\d{1,9}H(\\d{1,9}M(\\d{1,9}S)?)?|\\d{1,9}M(\\d{1,9}S)?|\\d{1,9}S))"},
    {"uuid", "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"},
    {"email", "[A-Za-z0-9_%+-]{1,32}(\\.[A-Za-z0-9_%+-]{1,32}){0,3}@" VL3_LABEL "(\\." VL3_LABEL "){1,7}"},
    {"hostname", VL3_HOST},
    {"ipv4", VL3_OCTET "(\\." VL3_OCTET "){3}"},
    {"ipv6",
     "[0-9a-fA-F]{1,4}(:[0-9a-fA-F]{1,4}){7}|([0-9a-fA-F]{1,4}(:[0-9a-fA-F]{1,4}){0,2})?::"
     "([0-9a-fA-F]{1,4}(:[0-9a-fA-F]{1,4}){0,3})?"},
    {"uri", "https?:" VL3_URI_REST},
    {"url", "https?:" VL3_URI_REST},
    {"json-pointer", "(/([^~/]|~[01])*)*"},
}};

}  // namespace

std::string_view regex_of_format(std::string_view format) {
  for (const auto& [name, regex] : kFormats) {
    if (name == format) return regex;
  }
  return {};
}

}  // namespace vl3::grammar
