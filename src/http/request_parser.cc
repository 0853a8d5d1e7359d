#include "http/request_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <limits>

#include "base/ascii.h"

namespace vl3::http {
namespace {

namespace beast = boost::beast;
using ErrorCode = beast::error_code;
using Text = beast::string_view;

// A line before a chunk, or fields behind the last one, that are longer than this are no use to anybody.
constexpr size_t kMaxChunkLine = 4096;
constexpr size_t kShortestLastChunk = std::string_view("0\r\n\r\n").size();
constexpr std::string_view kBlanks = " \t";
constexpr uint32_t kNoLimit = 1u << 30;

// Whether the line before a chunk, as far as it came, can still become one. Beast waits for the whole of it,
// and where the last chunk is concerned for all that follows.
bool can_be_chunk_line(std::string_view line, bool first) {
  if (!first) {  // the line end behind the chunk before
    constexpr std::string_view kLineEnd = "\r\n";
    const std::string_view end = line.substr(0, kLineEnd.size());
    if (end != kLineEnd.substr(0, end.size())) return false;
    line.remove_prefix(end.size());
  }
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\n' && (i == 0 || line[i - 1] != '\r')) return false;
    if (line[i] == '\r' && i + 1 < line.size() && line[i + 1] != '\n') return false;
  }
  const size_t digits = std::min(line.find_first_not_of("0123456789abcdefABCDEF"), line.size());
  return digits == line.size() ||
         (digits > 0 && std::string_view("; \t\r").find(line[digits]) != std::string::npos);
}

}  // namespace

// Beast's parser, and what it finds.
class RequestParser::Beast final : public beast::http::basic_parser<true> {
 public:
  explicit Beast(RequestParser& owner) : owner_(owner) {
    // The greatest, since none would refuse every length.
    this->body_limit(std::numeric_limits<uint64_t>::max());  // counted here, since a refusal with 401 goes
                                                             // before one with 413
    this->header_limit(kNoLimit);                            // HeadCheck has it
  }
  std::string target;
  int minor = 1;
  bool keep_body = true, too_long = false, chunks = false;
  uint64_t body_bytes = 0, chunk_left = 0;
  // The line before a chunk is next.
  bool at_chunk_line() const { return chunked() && chunk_left == 0; }

 private:
  void on_request_impl(beast::http::verb, Text method, Text address, int version, ErrorCode& ec) override {
    ec = {};
    owner_.request_.method.assign(method.data(), method.size());
    target.assign(address.data(), address.size());
    minor = version - 10;
  }
  void on_response_impl(int, Text, int, ErrorCode& ec) override { ec = {}; }
  void on_field_impl(beast::http::field, Text name, Text value, ErrorCode& ec) override {
    ec = {};
    // Fields behind a chunked body are nobody's business.
    if (is_header_done()) return;
    owner_.request_.fields.add(ascii_lower({name.data(), name.size()}),
                               std::string(trimmed({value.data(), value.size()}, kBlanks)));
  }
  void on_header_impl(ErrorCode& ec) override { ec = {}; }
  void on_body_init_impl(const boost::optional<uint64_t>&, ErrorCode& ec) override { ec = {}; }
  size_t on_body_impl(Text bytes, ErrorCode& ec) override { return take(bytes, ec); }
  void on_chunk_header_impl(uint64_t size, Text extensions, ErrorCode& ec) override {
    ec = {};
    chunks = true;
    chunk_left = size;
    // In a quoted one Beast takes any bytes, line ends as well.
    const bool visible = std::all_of(extensions.begin(), extensions.end(),
                                     [](char c) { return c == '\t' || (c >= 0x20 && c != 0x7f); });
    if (!visible) ec = beast::http::error::bad_chunk_extension;
  }
  size_t on_chunk_body_impl(uint64_t, Text bytes, ErrorCode& ec) override {
    const size_t taken = take(bytes, ec);
    chunk_left -= taken;
    return taken;
  }
  void on_finish_impl(ErrorCode& ec) override { ec = {}; }

  size_t take(Text bytes, ErrorCode& ec) {
    ec = {};
    body_bytes += bytes.size();
    if (body_bytes > owner_.max_body_bytes_) {
      too_long = true;
      ec = beast::http::error::body_limit;
      return 0;
    }
    if (keep_body) owner_.request_.body.append(bytes.data(), bytes.size());
    return bytes.size();
  }

  RequestParser& owner_;
};

RequestParser::RequestParser(const HeadLimits& limits, uint64_t max_body_bytes)
    : check_(limits), max_body_bytes_(max_body_bytes), beast_(std::make_unique<Beast>(*this)) {}

RequestParser::~RequestParser() = default;

int RequestParser::minor_version() const noexcept { return beast_->minor; }
bool RequestParser::keep_alive() const noexcept { return beast_->keep_alive(); }

std::optional<uint64_t> RequestParser::content_length() const noexcept {
  const auto length = beast_->content_length();
  return length ? std::optional<uint64_t>(*length) : std::nullopt;
}

size_t RequestParser::feed(std::string_view bytes) {
  if (state_ == State::kHead) return feed_head(bytes);
  if (state_ == State::kBody && !bytes.empty()) return feed_body(bytes);
  return 0;
}

size_t RequestParser::feed_head(std::string_view bytes) {
  const size_t taken = check_.feed(bytes);
  head_.append(bytes.data(), taken);
  if (check_.wrong().status != 0) {
    wrong_ = check_.wrong();
    state_ = State::kWrong;
  } else if (check_.done()) {
    head_done();
  }
  return taken;
}

void RequestParser::head_done() {
  const std::string_view head = std::string_view(head_).substr(check_.skipped());
  ErrorCode ec;
  beast_->eager(false);
  // The start line and the fields, and what a head without a body still needs to be complete.
  for (size_t at = 0; at < head.size() && !ec && !beast_->is_header_done();)
    at += beast_->put({head.data() + at, head.size() - at}, ec);
  if (ec || !beast_->is_header_done())
    return refuse(400, "malformed_request", fmt::format("The header cannot be read: {}.", ec.message()));
  set_target(beast_->target);
  if (state_ == State::kHead) check_framing();
  if (state_ == State::kHead) state_ = State::kAdmission;
  head_.clear();
}

// What says where the body ends must say so once, and in one way.
void RequestParser::check_framing() {
  const Fields& fields = request_.fields;
  const size_t lengths = fields.count("content-length"), codings = fields.count("transfer-encoding");
  if (lengths > 1 || codings > 1 || (lengths > 0 && codings > 0))
    return refuse(400, "malformed_request", "The header says in two ways how long the body is.");
  if (codings > 0) {
    if (beast_->minor == 0) return refuse(400, "malformed_request", "HTTP/1.0 has no Transfer-Encoding.");
    if (ascii_lower(*fields.find("transfer-encoding")) != "chunked")
      return refuse(501, "unsupported_transfer_encoding", "Of transfer encodings, \"chunked\" is read here.");
  }
  if (const std::string* length = fields.find("content-length")) {
    if (length->find_first_not_of("0123456789") != std::string::npos)
      return refuse(400, "malformed_request", "Content-Length is no number.");
  }
  const size_t hosts = fields.count("host");
  if (hosts > 1 || (hosts == 0 && beast_->minor > 0))
    return refuse(400, "malformed_request", "A request must have one field \"Host\".");
  if (const std::string* expect = fields.find("expect")) {
    if (ascii_lower(*expect) != "100-continue")
      return refuse(417, "expectation_failed", "Of expectations, \"100-continue\" is met here.");
    expects_continue_ = beast_->minor > 0;
  }
}

// "/path?query", "*", or the form that proxies send, "http://host/path", whose host must be that of Host.
void RequestParser::set_target(std::string_view target) {
  if (!target.starts_with("/") && target != "*") {
    const size_t scheme = target.find("://");
    const size_t authority = scheme == std::string_view::npos ? scheme : scheme + 3;
    const std::string_view name = ascii_lower(target.substr(0, scheme)) == "http" ? "http" : "https";
    if (authority == std::string_view::npos || ascii_lower(target.substr(0, scheme)) != name)
      return refuse(400, "malformed_request", "The address must begin with \"/\".");
    const size_t path = std::min(target.find_first_of("/?", authority), target.size());
    const std::string* host = request_.fields.find("host");
    if (host == nullptr || ascii_lower(*host) != ascii_lower(target.substr(authority, path - authority)))
      return refuse(400, "malformed_request", "The address names another host than the field \"Host\".");
    target.remove_prefix(path);
  }
  const size_t query = std::min(target.find('?'), target.size());
  request_.path = target.substr(0, query);
  if (request_.path.empty()) request_.path.assign(1, '/');
  request_.query = query < target.size() ? target.substr(query + 1) : "";
}

void RequestParser::begin_body() {
  const std::optional<uint64_t> length = content_length();
  if (length && *length > max_body_bytes_) {
    return refuse(413, "body_too_large",
                  fmt::format("The body has {} bytes, and {} are read here.", *length, max_body_bytes_));
  }
  state_ = beast_->is_done() ? State::kDone : State::kBody;
  beast_->eager(true);
}

void RequestParser::skip_body() {
  beast_->keep_body = false;
  begin_body();
}

size_t RequestParser::feed_body(std::string_view bytes) {
  ErrorCode ec;
  size_t taken = 0;
  while (taken < bytes.size() && !ec && !beast_->is_done()) {
    const size_t left = bytes.size() - taken;
    // Beast relies on it that the last chunk has so many bytes when it is asked a second time.
    if (beast_->at_chunk_line() && left < kShortestLastChunk)
      ec = beast::http::error::need_more;
    else
      taken += beast_->put({bytes.data() + taken, left}, ec);
  }
  const std::string_view rest = beast_->is_done() ? std::string_view{} : bytes.substr(taken);
  const char* wrong = nullptr;
  if (ec == beast::http::error::need_more) {
    ec = {};
    if (rest.size() > kMaxChunkLine) wrong = "a line before a chunk is too long";
    if (!can_be_chunk_line(rest, !beast_->chunks)) wrong = "a line before a chunk is malformed";
  }
  if (beast_->too_long) {
    refuse(413, "body_too_large",
           fmt::format("The body has more than the {} bytes that are read here.", max_body_bytes_));
  } else if (ec || wrong != nullptr) {
    refuse(400, "malformed_request", fmt::format("The body cannot be read: {}.", ec ? ec.message() : wrong));
  } else if (beast_->is_done()) {
    state_ = State::kDone;
  }
  return taken;
}

void RequestParser::refuse(int status, const char* code, std::string message) {
  wrong_ = {status, code, std::move(message)};
  state_ = State::kWrong;
}

}  // namespace vl3::http
