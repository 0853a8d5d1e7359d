#include "http/request_parser.h"

#include <gtest/gtest.h>

#include <string>

namespace vl3::http {
namespace {

constexpr uint64_t kMaxBody = 1000;

struct Parsed {
  RequestParser::State state;
  Request request;
  Wrong wrong;
  std::string rest;
};

// All bytes, `step` at a time, the rest of one feed in front of the next.
Parsed parse(const std::string& bytes, size_t step) {
  RequestParser parser({.max_head_bytes = 512, .max_target_bytes = 64, .max_fields = 8}, kMaxBody);
  std::string input;
  for (size_t at = 0; at < bytes.size() && parser.state() != RequestParser::State::kWrong; at += step) {
    input += bytes.substr(at, step);
    for (size_t before = input.size() + 1; before != input.size();) {
      before = input.size();
      input.erase(0, parser.feed(input));
      if (parser.state() == RequestParser::State::kAdmission) parser.begin_body();
    }
  }
  return {parser.state(), parser.request(), parser.wrong(), input};
}

// The same, whatever the pieces it comes in.
Parsed parse(const std::string& bytes) {
  Parsed whole = parse(bytes, bytes.size() + 1);
  for (const size_t step : {1, 2, 3, 7}) {
    const Parsed pieces = parse(bytes, step);
    EXPECT_EQ(static_cast<int>(pieces.state), static_cast<int>(whole.state)) << step << ": " << bytes;
    EXPECT_EQ(pieces.wrong.status, whole.wrong.status) << step << ": " << bytes;
    EXPECT_EQ(pieces.request.body, whole.request.body) << step;
    EXPECT_EQ(pieces.request.path, whole.request.path) << step;
  }
  return whole;
}

int refused(const std::string& bytes) {
  const Parsed parsed = parse(bytes);
  EXPECT_EQ(static_cast<int>(parsed.state), static_cast<int>(RequestParser::State::kWrong)) << bytes;
  EXPECT_FALSE(parsed.wrong.message.empty());
  return parsed.wrong.status;
}

std::string get(const std::string& fields) { return "GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n"; }
std::string post(const std::string& fields, const std::string& body) {
  return "POST /x HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" + body;
}

TEST(RequestParser, ReadsAHead) {
  const Parsed p = parse(
      "GET /v1/models?a=b?c HTTP/1.1\r\nHost: localhost:80\r\nX-Thing:\t a  b \t\r\nEmpty:\r\n\r\nnext");
  ASSERT_EQ(p.state, RequestParser::State::kDone);
  EXPECT_EQ(p.request.method, "GET");
  EXPECT_EQ(p.request.path, "/v1/models");
  EXPECT_EQ(p.request.query, "a=b?c");
  ASSERT_NE(p.request.fields.find("x-thing"), nullptr);
  EXPECT_EQ(*p.request.fields.find("x-thing"), "a  b");
  EXPECT_EQ(*p.request.fields.find("empty"), "");
  EXPECT_EQ(p.rest, "next");
}

TEST(RequestParser, ReadsBodiesOfBothFramings) {
  Parsed p = parse(post("Content-Length: 5\r\n", "helloGET /"));
  ASSERT_EQ(p.state, RequestParser::State::kDone);
  EXPECT_EQ(p.request.body, "hello");
  EXPECT_EQ(p.rest, "GET /");
  p = parse(post("Transfer-Encoding: Chunked\r\n",
                 "3\r\nabc\r\n0A;name=\"v\"\r\n0123456789\r\n0\r\nX-Sum: 9\r\nHost: evil\r\n\r\nGET /"));
  ASSERT_EQ(p.state, RequestParser::State::kDone) << p.wrong.message;
  EXPECT_EQ(p.request.body, "abc0123456789");
  EXPECT_EQ(p.rest, "GET /");
  EXPECT_EQ(p.request.fields.count("host"), 1u) << "a field behind the body counts as one of the header";
}

TEST(RequestParser, EmptyLinesBeforeARequestAreReadOver) {
  EXPECT_EQ(parse("\r\n" + get("")).state, RequestParser::State::kDone);
  EXPECT_EQ(refused("\r\n\r\n\r\n" + get("")), 400);
  EXPECT_EQ(refused("\n" + get("")), 400);
}

TEST(RequestParser, WhatTwoReadersMayReadInTwoWaysIsRefused) {
  EXPECT_EQ(refused(post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello")), 400);
  EXPECT_EQ(refused(post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello!")), 400);
  EXPECT_EQ(refused(post("Content-Length: 5, 5\r\n", "hello")), 400);
  EXPECT_EQ(refused(post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")), 400);
  EXPECT_EQ(refused(post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n")), 400);
  EXPECT_EQ(refused(post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n")), 400);
  EXPECT_EQ(refused(post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n")), 501);
  EXPECT_EQ(refused(post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n")), 501);
  EXPECT_EQ(refused(post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n")), 400);
  EXPECT_EQ(refused(post("Transfer-Encoding:\x0b"
                         "chunked\r\n",
                         "0\r\n\r\n")),
            400);
  EXPECT_EQ(refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400);
  for (const char* length : {"+5", "-5", "0x5", "5 5", "", "99999999999999999999", "5a", "1e3"})
    EXPECT_EQ(refused(post("Content-Length: " + std::string(length) + "\r\n", "hello")), 400) << length;
}

TEST(RequestParser, MalformedHeadsAreRefused) {
  EXPECT_EQ(refused("GET / HTTP/1.1\nHost: a\n\n"), 400);
  EXPECT_EQ(refused("GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"), 400);
  EXPECT_EQ(refused("GET / HTTP/1.1\rHost: a\r\n\r\n"), 400);
  EXPECT_EQ(refused(get("A: b\r\n c\r\n")), 400);
  EXPECT_EQ(refused(get("\tA: b\r\n")), 400);
  EXPECT_EQ(refused(get("A b: c\r\n")), 400);
  EXPECT_EQ(refused(get(": c\r\n")), 400);
  EXPECT_EQ(refused(get("A\r\n")), 400);
  EXPECT_EQ(refused(get(std::string("A: b\0c\r\n", 8))), 400);
  EXPECT_EQ(refused(get("A: b\x7f\r\n")), 400);
  EXPECT_EQ(refused("GET /\r\n"), 400);
  EXPECT_EQ(refused("GET  / HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(refused("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(refused("GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(refused("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(refused("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505);
  EXPECT_EQ(refused("GET / HTTP/1.2\r\nHost: a\r\n\r\n"), 505);
  EXPECT_EQ(refused("GET / http/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(refused("\x16\x03\x01\x02"), 400) << "TLS to a plain port";
  EXPECT_EQ(refused("GET / HTTP/1.1\r\n\r\n"), 400) << "no Host";
  EXPECT_EQ(refused(get("Host: b\r\n")), 400);
  EXPECT_EQ(refused(get("Expect: the-unexpected\r\n")), 417);
  EXPECT_EQ(refused("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"), 400);
}

TEST(RequestParser, LimitsAreKept) {
  EXPECT_EQ(refused("GET /" + std::string(64, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n"), 414);
  EXPECT_EQ(parse("GET /" + std::string(63, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n").state,
            RequestParser::State::kDone);
  EXPECT_EQ(refused(get("A: " + std::string(600, 'b') + "\r\n")), 431);
  std::string fields;
  for (int i = 0; i < 8; ++i) fields += "A: b\r\n";
  EXPECT_EQ(refused(get(fields)), 431) << "with Host it is one too many";
  EXPECT_EQ(refused(post("Content-Length: 1001\r\n", "")), 413) << "before the body comes";
  EXPECT_EQ(
      refused(post("Transfer-Encoding: chunked\r\n", "3e8\r\n" + std::string(1000, 'a') + "\r\n1\r\na")),
      413);
  EXPECT_EQ(parse(post("Content-Length: 1000\r\n", std::string(1000, 'a'))).state,
            RequestParser::State::kDone);
}

TEST(RequestParser, MalformedChunksAreRefused) {
  const std::string chunked = "Transfer-Encoding: chunked\r\n";
  for (const char* body : {"x\r\n", "+3\r\nabc\r\n", "-1\r\n", "0x3\r\nabc\r\n", "3\nabc\n", "3\r\nabcd\r\n",
                           "3\r\nabc\n0\r\n\r\n", "fffffffffffffffff\r\n", " 3\r\nabc\r\n", "\r\n"})
    EXPECT_EQ(refused(post(chunked, body)), 400) << body;
  EXPECT_EQ(refused(post(chunked, "0\r\nContent-Length: 9\r\n\r\n")), 400);
  EXPECT_EQ(refused(post(chunked, "3;a=\"\n\"\r\nabc\r\n0\r\n\r\n")), 400);
  EXPECT_EQ(refused(post(chunked, "3;" + std::string(6000, 'x'))), 400);
}

TEST(RequestParser, TheFormOfProxiesMustNameTheHost) {
  const Parsed p = parse("GET http://A:80/x?y HTTP/1.1\r\nHost: a:80\r\n\r\n");
  ASSERT_EQ(p.state, RequestParser::State::kDone) << p.wrong.message;
  EXPECT_EQ(p.request.path, "/x");
  EXPECT_EQ(p.request.query, "y");
  EXPECT_EQ(refused("GET http://evil/x HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(refused("GET ftp://a/x HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(parse("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").request.path, "*");
}

TEST(RequestParser, ABodyThatIsSkippedIsReadOver) {
  RequestParser parser({}, kMaxBody);
  parser.feed(post("Content-Length: 5\r\n", ""));
  ASSERT_EQ(parser.state(), RequestParser::State::kAdmission);
  parser.skip_body();
  EXPECT_EQ(parser.feed("helloGET"), 5u);
  EXPECT_EQ(parser.state(), RequestParser::State::kDone);
  EXPECT_EQ(parser.request().body, "");
}

}  // namespace
}  // namespace vl3::http
