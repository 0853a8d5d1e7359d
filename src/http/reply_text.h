#pragma once
// Replies as bytes.

#include <ctime>
#include <optional>
#include <string>

#include "http/message.h"

namespace vl3::http {

// What the server adds to the fields of a reply.
struct ReplyFrame {
  std::string date, request_id;
  bool close = false;                   // the connection ends with this reply
  bool keep_alive = false;              // HTTP/1.0 must be told that it goes on
  bool chunked = false;                 // the body comes in chunks
  std::optional<uint64_t> length;       // of a body that comes at once
  const Fields* every_reply = nullptr;  // fields of every reply that has no such field itself
};

// Status line and fields, with the empty line behind them. Line ends in fields become spaces: what a client
// said cannot begin a field of a reply. Fields that frame the reply are the server's and are left out.
std::string head_text(int status, const Fields& fields, const ReplyFrame& frame);
std::string chunk_text(const std::string& piece);
inline constexpr const char* kLastChunk = "0\r\n\r\n";

// "Sun, 06 Nov 1994 08:49:37 GMT"
std::string http_date(std::time_t time);

// The client's id where it is 1 to 128 letters, digits, and - _ . : alone.
bool is_sane_request_id(std::string_view id) noexcept;

}  // namespace vl3::http
