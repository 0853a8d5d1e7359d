#include "http/head_check.h"

#include <fmt/format.h>

#include <cctype>

namespace vl3::http {
namespace {

constexpr size_t kMaxMethod = 32, kMaxEmptyLines = 2;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Of a field's value: tabs, spaces, what is visible, and bytes above ASCII.
bool is_value_character(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

}  // namespace

bool is_token_character(char c) noexcept {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         kMarks.find(c) != std::string_view::npos;
}

size_t HeadCheck::feed(std::string_view bytes) {
  size_t seen = 0;
  while (seen < bytes.size() && !done() && wrong_.status == 0) {
    next(bytes[seen++]);
    if (++total_ > limits_.max_head_bytes && !done() && wrong_.status == 0) {
      refuse(431, "header_too_large",
             fmt::format("The request's header is longer than the {} bytes that are read here.",
                         limits_.max_head_bytes));
    }
  }
  return seen;
}

void HeadCheck::next(char c) {
  switch (state_) {
    case State::kEmptyLine:
    case State::kEmptyLineEnd:
      return start(c);
    case State::kMethod:
    case State::kTarget:
    case State::kVersion:
      return start_line(c);
    default:
      return field(c);
  }
}

void HeadCheck::start(char c) {
  if (state_ == State::kEmptyLineEnd) {
    if (c != '\n' || (skipped_ += 2) > 2 * kMaxEmptyLines)
      return refuse(400, "malformed_request", "There is no request line.");
    state_ = State::kEmptyLine;
  } else if (c == '\r') {
    state_ = State::kEmptyLineEnd;
  } else {
    begun_ = true;
    go(State::kMethod);
    start_line(c);
  }
}

void HeadCheck::start_line(char c) {
  ++length_;
  if (state_ == State::kMethod) {
    if (c == ' ' && length_ > 1) return go(State::kTarget);
    if (!is_token_character(c) || length_ > kMaxMethod)
      refuse(400, "malformed_request", "The request line does not begin with a method.");
  } else if (state_ == State::kTarget) {
    if (c == ' ' && length_ > 1) return go(State::kVersion);
    if (length_ > limits_.max_target_bytes) {
      return refuse(414, "uri_too_long",
                    fmt::format("The address is longer than the {} bytes that are read here.",
                                limits_.max_target_bytes));
    }
    if (c <= 0x20 || c > 0x7e || c == '#')
      refuse(400, "malformed_request", "The address has characters that must be percent-encoded.");
  } else if (c == '\r') {
    version_end();
  } else if (length_ > 8) {
    refuse(400, "malformed_request", "The request line does not end with a version of HTTP.");
  } else {
    version_ += c;
  }
}

void HeadCheck::version_end() {
  if (version_ == "HTTP/1.1" || version_ == "HTTP/1.0") return go(State::kLineEnd);
  const bool version = version_.size() == 8 && version_.starts_with("HTTP/") && is_digit(version_[5]) &&
                       version_[6] == '.' && is_digit(version_[7]);
  if (version) return refuse(505, "unsupported_http_version", "HTTP/1.0 and HTTP/1.1 are spoken here.");
  refuse(400, "malformed_request", "The request line does not end with a version of HTTP.");
}

void HeadCheck::field(char c) {
  switch (state_) {
    case State::kLineEnd:
      if (c != '\n') return refuse(400, "malformed_request", "A line of the header ends in CR alone.");
      return go(State::kField);
    case State::kField:
      if (c == '\r') return go(State::kHeadEnd);
      if (c == ' ' || c == '\t')
        return refuse(400, "malformed_request", "A field of the header goes on in a second line.");
      if (++fields_ > limits_.max_fields) {
        return refuse(431, "header_too_large",
                      fmt::format("There are more than {} fields in the header.", limits_.max_fields));
      }
      go(State::kName);
      [[fallthrough]];
    case State::kName:
      if (c == ':' && length_ > 0) return go(State::kValue);
      ++length_;
      if (!is_token_character(c))
        refuse(400, "malformed_request",
               "A field's name in the header has characters that it must not have.");
      return;
    case State::kValue:
      if (c == '\r') return go(State::kLineEnd);
      if (!is_value_character(c))
        refuse(400, "malformed_request",
               "A field of the header has control characters, or a line end that is no CRLF.");
      return;
    default:
      if (c != '\n') return refuse(400, "malformed_request", "The header does not end in CRLF.");
      return go(State::kDone);
  }
}

void HeadCheck::refuse(int status, const char* code, std::string message) {
  wrong_ = {status, code, std::move(message)};
}

}  // namespace vl3::http
