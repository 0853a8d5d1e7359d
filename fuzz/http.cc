// Bytes of a connection: one request after the other, in pieces whose sizes the input's first byte says.
// Whatever the pieces, the same requests come out.

#include <memory>

#include "fuzz.h"
#include "http/request_parser.h"

namespace {

using vl3::http::RequestParser;

struct Read {
  std::string requests;  // all of them, as text
  int refused = 0;
};

Read read_all(std::string_view bytes, size_t step) {
  Read read;
  std::string input;
  auto parser = std::make_unique<RequestParser>(vl3::http::HeadLimits{1024, 256, 16}, 4096);
  for (size_t at = 0; at < bytes.size(); at += step) {
    input += bytes.substr(at, step);
    for (bool goes_on = true; goes_on;) {
      const size_t taken = parser->feed(input);
      input.erase(0, taken);
      goes_on = taken > 0;
      if (parser->state() == RequestParser::State::kAdmission) {
        parser->begin_body();
        goes_on = true;
      }
      if (parser->state() == RequestParser::State::kWrong) {
        read.refused = parser->wrong().status;
        return read;
      }
      if (parser->state() == RequestParser::State::kDone) {
        const vl3::http::Request& request = parser->request();
        read.requests +=
            request.method + " " + request.path + "?" + request.query + "\n" + request.body + "\n";
        for (const auto& [name, value] : request.fields) read.requests += name + ": " + value + "\n";
        parser = std::make_unique<RequestParser>(vl3::http::HeadLimits{1024, 256, 16}, 4096);
        goes_on = true;
      }
      if (input.empty() && parser->state() != RequestParser::State::kAdmission) goes_on = false;
    }
  }
  return read;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Read whole = read_all(bytes, bytes.size());
  const Read pieces = read_all(bytes, 1 + data[0] % 61);
  // What is refused early in pieces may be refused for another reason as a whole, but it is refused.
  if (whole.requests != pieces.requests || (whole.refused == 0) != (pieces.refused == 0)) std::abort();
  return 0;
}
