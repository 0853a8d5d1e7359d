#include "download/url.h"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>

#include "base/ascii.h"
#include "base/check.h"

namespace vl3::download {
namespace {

// Ports of other protocols that browsers do not go to, as what is sent there could mean something.
constexpr uint16_t kBadPorts[] = {
    1,    7,    9,    11,   13,   15,   17,   19,   20,   21,   22,   23,   25,   37,   42,    43,   53,
    69,   77,   79,   87,   95,   101,  102,  103,  104,  109,  110,  111,  113,  115,  117,   119,  123,
    135,  137,  139,  143,  161,  179,  389,  427,  465,  512,  513,  514,  515,  526,  530,   531,  532,
    540,  548,  554,  556,  563,  587,  601,  636,  989,  990,  993,  995,  1719, 1720, 1723,  2049, 3659,
    4045, 4190, 5060, 5061, 6000, 6379, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080, 11211};

template <class... Args>
[[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) {
  fail(ErrorCode::kInvalidArgument, format, std::forward<Args>(args)...);
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool begins_with(std::string_view text, std::string_view lower_case) {
  return text.size() >= lower_case.size() && std::equal(lower_case.begin(), lower_case.end(), text.begin(),
                                                        [](char a, char b) { return a == lower(b); });
}

// Between "//" and the path; empty where there is none.
std::string_view authority_of(std::string_view text) {
  const size_t scheme = text.find("//");
  if (scheme == std::string_view::npos || text.find_first_of("/?#") < scheme) return {};
  const std::string_view rest = text.substr(scheme + 2);
  return rest.substr(0, std::min(rest.find_first_of("/?#"), rest.size()));
}

// What no address has. Parsers differ on them, and on nothing else as much.
void check_characters(std::string_view text) {
  if (text.size() > kMaxUrlBytes)
    refuse("is an address of {} bytes, more than {}", text.size(), kMaxUrlBytes);
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte < 0x20 || byte == 0x7f) refuse("is an address with a control character in it");
    if (c == '\\') refuse("is an address with a backslash in it");
  }
  const std::string_view authority = authority_of(text);
  if (authority.find('@') != std::string_view::npos)
    refuse("is an address with a user or a password, which are not sent");
  if (authority.find('%') != std::string_view::npos) refuse("is an address whose host is written with %");
}

// Letters beyond ASCII behind the host, and spaces of a Location, as they travel.
std::string escaped(std::string_view text, bool spaces) {
  const std::string_view authority = authority_of(text);
  const size_t from =
      authority.empty() ? 0 : static_cast<size_t>(authority.data() - text.data()) + authority.size();
  std::string result(text.substr(0, from));
  for (const char c : text.substr(from)) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte >= 0x80 || (spaces && c == ' '))
      result += fmt::format("%{:02X}", byte);
    else
      result += c;
  }
  return result;
}

std::string part_of(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK || text == nullptr) return {};
  std::string result(text);
  curl_free(text);
  return result;
}

}  // namespace

void Url::Free::operator()(Curl_URL* url) const { curl_url_cleanup(url); }
Url::Url(Url&&) noexcept = default;
Url& Url::operator=(Url&&) noexcept = default;
Url::~Url() = default;

Url::Url() : handle_(curl_url()) { require(handle_ != nullptr, ErrorCode::kOutOfMemory, "[url] no memory"); }

Url::Url(std::string_view text) : Url() {
  check_characters(text);
  if (!begins_with(text, "http://") && !begins_with(text, "https://"))
    refuse("is no address that begins with http:// or https://");
  if (text.find(' ') != std::string_view::npos) refuse("is an address with a space in it");
  if (authority_of(text).empty()) refuse("is an address without a host");
  set(escaped(text, false));
}

Url Url::follow(std::string_view location) const {
  check_characters(location);
  Url next;
  next.handle_.reset(curl_url_dup(handle_.get()));
  require(next.handle_ != nullptr, ErrorCode::kOutOfMemory, "[url] no memory");
  next.set(escaped(location, true));
  if (encrypted_ && !next.encrypted_)
    refuse("is an address without encryption, where the one before it had some");
  return next;
}

void Url::set(const std::string& text) {
  const CURLUcode code = curl_url_set(handle_.get(), CURLUPART_URL, text.c_str(), CURLU_NON_SUPPORT_SCHEME);
  if (code == CURLUE_NO_HOST || code == CURLUE_BAD_HOSTNAME || code == CURLUE_BAD_IPV6)
    refuse("is an address without a host, or with one that is none");
  if (code == CURLUE_BAD_PORT_NUMBER) refuse("is an address with a port that is none");
  if (code != CURLUE_OK) refuse("is no address that can be read ({})", curl_url_strerror(code));
  const std::string scheme = part_of(handle_.get(), CURLUPART_SCHEME);
  if (scheme != "http" && scheme != "https")
    refuse("is an address of the scheme \"{}\"; http and https are read", scheme.substr(0, 16));
  encrypted_ = scheme == "https";
  if (!part_of(handle_.get(), CURLUPART_USER).empty() || !part_of(handle_.get(), CURLUPART_PASSWORD).empty())
    refuse("is an address with a user or a password, which are not sent");
  if (!part_of(handle_.get(), CURLUPART_ZONEID).empty()) refuse("is an address with a zone in it");
  host_ = part_of(handle_.get(), CURLUPART_HOST);
  if (host_.size() > 2 && host_.front() == '[') host_ = host_.substr(1, host_.size() - 2);
  if (host_.empty()) refuse("is an address without a host");
  // libcurl takes percent signs apart by itself, where it finds a host that check_characters did not see.
  if (std::any_of(host_.begin(), host_.end(), [](char c) {
        const auto byte = static_cast<uint8_t>(c);
        return byte <= 0x20 || byte == 0x7f ||
               std::string_view("%/\\@?#<>\"'`{}|^").find(c) != std::string_view::npos;
      }))
    refuse("is an address whose host is none");
  const std::string digits = part_of(handle_.get(), CURLUPART_PORT);
  uint16_t port = 1024;
  if (!digits.empty() &&
      (std::from_chars(digits.data(), digits.data() + digits.size(), port).ec != std::errc() || port == 0))
    refuse("is an address with a port that is none");
  if (std::find(std::begin(kBadPorts), std::end(kBadPorts), digits.empty() ? 0 : port) != std::end(kBadPorts))
    refuse("is an address with the port {}, which is another protocol's", port);
  curl_url_set(handle_.get(), CURLUPART_FRAGMENT, nullptr, 0);
}

std::string Url::origin() const {
  return fmt::format("{}://{}:{}", encrypted_ ? "https" : "http", ascii_lower(host_),
                     part_of(handle_.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT));
}

std::string Url::text() const { return part_of(handle_.get(), CURLUPART_URL); }

}  // namespace vl3::download
