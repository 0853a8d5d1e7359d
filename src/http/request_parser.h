#pragma once
// Bytes of a connection → one request. Boost.Beast parses heads and bodies; HeadCheck refuses before it what
// could be read in two ways, and what frames the body is checked after it. No input or output: tests and the
// fuzzer give it bytes.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "http/head_check.h"
#include "http/message.h"

namespace vl3::http {

class RequestParser {
 public:
  RequestParser(const HeadLimits& limits, uint64_t max_body_bytes);
  ~RequestParser();
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  // kHead: until the whole head is there. kAdmission: the head is there, begin_body() or skip_body() goes on.
  // kBody: until the whole body is. kDone: further bytes belong to the next request. kWrong: wrong() says how
  // it is refused, and nothing more can be read from this connection.
  enum class State : uint8_t { kHead, kAdmission, kBody, kDone, kWrong };
  State state() const noexcept { return state_; }

  // Takes what of bytes it can; returns how many it took. The rest is to be given again, with more behind it.
  size_t feed(std::string_view bytes);
  bool begun() const noexcept { return check_.begun(); }  // a byte of the request came
  const Wrong& wrong() const noexcept { return wrong_; }

  // From kAdmission on.
  const Request& request() const noexcept { return request_; }
  Request& request() noexcept { return request_; }
  int minor_version() const noexcept;  // of HTTP/1.x
  bool keep_alive() const noexcept;    // as the client wants it
  bool expects_continue() const noexcept { return expects_continue_; }
  std::optional<uint64_t> content_length() const noexcept;  // none: there is no body, or it is chunked

  // The body is read into request().body; one above the limit is refused with 413, without reading it where
  // its length was told.
  void begin_body();
  void skip_body();  // it is read over, up to the limit

 private:
  class Beast;
  size_t feed_head(std::string_view bytes);
  size_t feed_body(std::string_view bytes);
  void head_done();
  void check_framing();
  void set_target(std::string_view target);
  void refuse(int status, const char* code, std::string message);

  HeadCheck check_;
  uint64_t max_body_bytes_;
  State state_ = State::kHead;
  std::string head_;
  bool expects_continue_ = false;
  Request request_;
  Wrong wrong_;
  std::unique_ptr<Beast> beast_;
};

}  // namespace vl3::http
