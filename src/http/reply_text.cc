#include "http/reply_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/one_of.h"
#include "http/refusal.h"

namespace vl3::http {
namespace {

constexpr std::string_view kOfServer[] = {"connection", "content-length",    "date",
                                          "keep-alive", "transfer-encoding", "x-request-id"};

void add_field(std::string& text, std::string_view name, std::string_view value) {
  text += name;
  text += ": ";
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    text += (byte < 0x20 && c != '\t') || byte == 0x7f ? ' ' : c;
  }
  text += "\r\n";
}

}  // namespace

std::string head_text(int status, const Fields& fields, const ReplyFrame& frame) {
  std::string text = fmt::format("HTTP/1.1 {} {}\r\n", status, reason_of_status(status));
  add_field(text, "Date", frame.date);
  add_field(text, "X-Request-Id", frame.request_id);
  for (const auto& [name, value] : fields) {
    if (!is_one_of(name, kOfServer)) add_field(text, name, value);
  }
  if (frame.every_reply != nullptr) {
    for (const auto& [name, value] : *frame.every_reply) {
      if (fields.find(name) == nullptr) add_field(text, name, value);
    }
  }
  if (frame.chunked) add_field(text, "Transfer-Encoding", "chunked");
  if (frame.length && status != 204 && status != 304)
    add_field(text, "Content-Length", std::to_string(*frame.length));
  if (frame.close) add_field(text, "Connection", "close");
  if (frame.keep_alive) add_field(text, "Connection", "keep-alive");
  return text + "\r\n";
}

std::string chunk_text(const std::string& piece) {
  return fmt::format("{:x}\r\n{}\r\n", piece.size(), piece);
}

std::string http_date(std::time_t time) {
  constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::tm parts{};
  gmtime_r(&time, &parts);
  return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT", kDays[parts.tm_wday], parts.tm_mday,
                     kMonths[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

bool is_sane_request_id(std::string_view id) noexcept {
  constexpr std::string_view kMarks = "-_.:";
  return !id.empty() && id.size() <= 128 && std::all_of(id.begin(), id.end(), [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           kMarks.find(c) != std::string_view::npos;
  });
}

}  // namespace vl3::http
