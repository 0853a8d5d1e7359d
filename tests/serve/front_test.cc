#include "serve/front.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>

#include "http/content_coding.h"
#include "serve/page.h"

namespace vl3::serve {
namespace {

// Keeps what was answered.
class Kept : public http::Exchange {
 public:
  void send(http::Reply given) override { reply = std::move(given); }
  void begin(int, http::Fields) override {}
  void write(std::string) override {}
  void finish() override {}
  size_t unsent() const override { return 0; }
  bool gone() const override { return false; }
  void when_gone(std::function<void()>) override {}
  std::optional<http::Reply> reply;
};

std::string code_of(const http::Reply& reply) {
  const Json body = Json::parse(reply.body, nullptr, false);
  return body.is_object() && body.contains("error") ? body["error"]["code"].get<std::string>() : "";
}

class FrontTest : public testing::Test {
 protected:
  static constexpr const char* kStyle =
      "p { color: red; }\np { color: red; }\np { color: red; }\np { color: red; }\np { color: red; }\n";

  FrontTest() {
    EXPECT_EQ(pipe(pipe_.data()), 0);
    log_ = std::make_unique<Log>(pipe_[1], false);
    front_ = std::make_unique<Front>(keys_, hosts_, *log_);
    add_own_routes(routes_, *front_, metrics_, {.version = "1.2.3"});
    add_page(routes_, {{"index.html", "<html>"}, {"app.js", "x()"}, {"app.css", kStyle}});
    routes_.add({.method = "POST",
                 .path = "/v1/things",
                 .handler =
                     [this](const Call& call) {
                       client_ = call.client;
                       call.exchange->send({200, {}, call.request.body});
                     },
                 .summary = "things",
                 .reads_body = true});
    routes_.add({.method = "GET", .path = "/v1/things/{id}", .handler = [](const Call& call) {
                   if (call.id == "bad") throw std::runtime_error("/home/secret");
                   call.exchange->send({200, {}, call.id});
                 }});
    front_->open(routes_, metrics_);
  }
  ~FrontTest() override {
    front_.reset();
    log_.reset();
    for (const int fd : pipe_) close(fd);
  }

  // What is answered, by admission or by the route.
  http::Reply ask(const std::string& method, const std::string& path, http::Fields fields = {},
                  const std::string& host = "localhost:8080") {
    http::Request request;
    request.method = method;
    request.path = path;
    request.fields = std::move(fields);
    if (!host.empty()) request.fields.add("host", host);
    request.id = "id-1";
    if (std::optional<http::Reply> refused = front_->admit(request)) return *refused;
    const auto kept = std::make_shared<Kept>();
    front_->handle(std::move(request), kept);
    return kept->reply.value_or(http::Reply{0, {}, ""});
  }
  std::string logged() {
    log_.reset();
    std::array<char, 8192> buffer{};
    const ssize_t n = read(pipe_[0], buffer.data(), buffer.size());
    return {buffer.data(), static_cast<size_t>(std::max<ssize_t>(n, 0))};
  }

  std::array<int, 2> pipe_{};
  KeyRing keys_;
  HostRules hosts_{"127.0.0.1", {}};
  Metrics metrics_{"demo", 1000};
  Routes routes_;
  std::unique_ptr<Log> log_;
  std::unique_ptr<Front> front_;
  std::string client_;
};

TEST_F(FrontTest, RoutesAreFoundByPathAndMethod) {
  EXPECT_EQ(ask("GET", "/health").status, 200);
  EXPECT_EQ(ask("HEAD", "/v1/health").status, 200);
  EXPECT_EQ(ask("GET", "/v1/things/a%2Fb").body, "a/b");
  EXPECT_EQ(ask("GET", "/v1/things/a/b").body, "a/b");
  EXPECT_EQ(ask("GET", "/v1/things/%zz").status, 404);
  for (const char* path : {"/v1/none", "//health", "/health/", "/V1/health", "/v1/things/",
                           "/health/../health", "/%68ealth", "*", "/app.js/", "/./app.js"})
    EXPECT_EQ(ask("GET", path).status, 404) << path;
  const http::Reply wrong = ask("DELETE", "/v1/things");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(*wrong.fields.find("allow"), "POST");
  EXPECT_EQ(*ask("POST", "/health").fields.find("allow"), "GET, HEAD");
}

TEST_F(FrontTest, EveryRouteButHealthAndThePageWantsAKey) {
  keys_.set({"sk-one", "sk-two"});
  for (const char* path : {"/health", "/v1/health", "/", "/index.html", "/app.js"})
    EXPECT_EQ(ask("GET", path).status, 200) << path;
  for (const char* path :
       {"/version", "/metrics", "/openapi.json", "/v1/things/x", "/v1/none", "//", "/health/../x"}) {
    const http::Reply reply = ask("GET", path);
    EXPECT_EQ(reply.status, 401) << path;
    EXPECT_EQ(code_of(reply), "invalid_api_key");
    EXPECT_TRUE(reply.fields.find("www-authenticate"));
  }
  EXPECT_EQ(ask("OPTIONS", "/v1/things").status, 401);
  for (const char* key : {"Bearer sk-one", "bearer sk-one", "BEARER  sk-two"})
    EXPECT_EQ(ask("GET", "/version", {{"authorization", key}}).status, 200) << key;
  for (const char* key :
       {"", "Bearer", "Bearer ", "Bearer sk-on", "Bearer sk-onee", "Bearer SK-ONE", "sk-one", "Basic sk-one",
        "Bearer sk-one, Bearer x", "Bearer sk-one sk-two", "Bearersk-one"}) {
    const http::Reply reply = ask("GET", "/version", {{"authorization", key}});
    EXPECT_EQ(reply.status, 401) << key;
    EXPECT_EQ(reply.body.find("sk-"), std::string::npos);
  }
  EXPECT_EQ(
      ask("GET", "/version", {{"authorization", "Bearer sk-one"}, {"authorization", "Bearer sk-one"}}).status,
      401);
}

TEST_F(FrontTest, ClientsAreToldApartByTheirKeysAndNotNamedByThem) {
  ask("POST", "/v1/things");
  EXPECT_EQ(client_, "");
  keys_.set({"sk-one", "sk-two"});
  ask("POST", "/v1/things", {{"authorization", "Bearer sk-one"}});
  const std::string one = client_;
  ask("POST", "/v1/things", {{"authorization", "Bearer sk-two"}});
  EXPECT_NE(one, client_);
  EXPECT_EQ(one.size(), 16u);
  EXPECT_EQ(one.find("one"), std::string::npos);
  // Keys that are read again keep their names.
  keys_.set({"sk-three", "sk-one"});
  ask("POST", "/v1/things", {{"authorization", "Bearer sk-one"}});
  EXPECT_EQ(one, client_);
}

TEST_F(FrontTest, ForeignHostsAndOriginsAreRefused) {
  for (const char* host :
       {"evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example",
        "localhost@evil.example", "93.184.216.34", "localhost, evil.example", "<script>"}) {
    EXPECT_EQ(ask("GET", "/version", {}, host).status, 403) << host;
    EXPECT_EQ(ask("GET", "/", {}, host).status, 403) << host;
    EXPECT_EQ(ask("GET", "/health", {}, host).status, 200) << "whatever watches may ask by any name";
  }
  EXPECT_EQ(ask("GET", "/version", {}, "").status, 200) << "HTTP/1.0 without Host";
  EXPECT_EQ(ask("GET", "/version", {{"origin", "http://localhost:8080"}}).status, 200);
  for (const char* origin : {"https://evil.example", "null", "file://", "http://localhost.evil.example",
                             "http://localhost:9", "http://localhost", ""}) {
    EXPECT_EQ(code_of(ask("GET", "/version", {{"origin", origin}})), "foreign_origin") << origin;
    EXPECT_EQ(code_of(ask("OPTIONS", "/v1/things", {{"origin", origin}})), "foreign_origin") << origin;
  }
}

TEST_F(FrontTest, BodiesMustBeJson) {
  for (const char* type : {"application/json", "Application/JSON; charset=utf-8"})
    EXPECT_EQ(ask("POST", "/v1/things", {{"content-type", type}}).status, 200) << type;
  EXPECT_EQ(ask("POST", "/v1/things").status, 200);
  for (const char* type :
       {"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""})
    EXPECT_EQ(ask("POST", "/v1/things", {{"content-type", type}}).status, 415) << type;
  EXPECT_EQ(ask("POST", "/v1/things", {{"content-encoding", "gzip"}}).status, 415);
}

TEST_F(FrontTest, WhatIsWrongInsideIsNotTold) {
  const http::Reply reply = ask("GET", "/v1/things/bad");
  EXPECT_EQ(reply.status, 500);
  EXPECT_EQ(reply.body.find("secret"), std::string::npos);
  const std::string log = logged();
  EXPECT_NE(log.find("error failed id=id-1: /home/secret"), std::string::npos) << log;
}

TEST_F(FrontTest, WhileLoadingAndWhenDrainingRequestsAreToldSo) {
  front_->drain();
  EXPECT_EQ(code_of(ask("POST", "/v1/things")), "shutting_down");
  EXPECT_EQ(ask("GET", "/health").status, 503);
  EXPECT_EQ(ask("GET", "/").status, 200);
  Front closed(keys_, hosts_, *log_);
  http::Head head;
  head.method = "GET";
  head.path = "/health";
  const std::optional<http::Reply> reply = closed.admit(head);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 503);
  EXPECT_EQ(code_of(*reply), "loading");
  EXPECT_TRUE(reply->fields.find("retry-after"));
}

TEST_F(FrontTest, EveryRequestIsALineOfTheLogAndACount) {
  keys_.set({"sk-one"});
  http::Served one;
  one.head.method = "GET";
  one.head.path = "/x%0aFORGED\n2026 FORGED";
  one.head.query = "api_key=sk-one";
  one.head.peer = "127.0.0.1";
  one.head.id = "req-7";
  one.head.fields = {{"authorization", "Bearer sk-one"}, {"user-agent", "agent\nFORGED"}};
  one.status = 404;
  front_->served(one);
  one.head.path = "/v1/things/somebodys-name";
  one.status = 0;
  one.cut_off = true;
  front_->served(one);
  one.head.path = "/health";
  one.status = 200;
  front_->served(one);
  const std::string log = logged();
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 2) << log;
  EXPECT_NE(log.find("id=req-7"), std::string::npos);
  EXPECT_NE(log.find("path=/v1/things/{id} status=499"), std::string::npos) << log;
  for (const char* hidden : {"sk-one", "\n2026 FORGED", "somebody", "agent"})
    EXPECT_EQ(log.find(hidden), std::string::npos) << hidden;
  const std::string metrics = metrics_.text();
  EXPECT_NE(metrics.find("route=\"none\",status=\"4xx\"} 1"), std::string::npos);
  EXPECT_NE(metrics.find("route=\"/v1/things/{id}\",status=\"4xx\"} 1"), std::string::npos);
  EXPECT_EQ(metrics.find("FORGED"), std::string::npos);
}

TEST_F(FrontTest, ThePageIsKeptByItsTagAndHasAStrictPolicy) {
  const http::Reply page = ask("GET", "/");
  EXPECT_EQ(page.body, "<html>");
  EXPECT_EQ(*page.fields.find("content-type"), "text/html; charset=utf-8");
  const std::string policy = *page.fields.find("content-security-policy");
  for (const char* part :
       {"default-src 'self'", "frame-ancestors 'none'", "object-src 'none'", "base-uri 'none'"})
    EXPECT_NE(policy.find(part), std::string::npos) << part;
  EXPECT_EQ(policy.find("unsafe"), std::string::npos);
  const http::Reply script = ask("GET", "/app.js");
  EXPECT_EQ(*script.fields.find("content-type"), "text/javascript; charset=utf-8");
  const std::string etag = *script.fields.find("etag");
  EXPECT_NE(etag, *page.fields.find("etag"));
  EXPECT_EQ(ask("GET", "/app.js", {{"if-none-match", "W/" + etag + ", \"x\""}}).status, 304);
  EXPECT_EQ(ask("GET", "/app.js", {{"if-none-match", "\"x\""}}).status, 200);
}

TEST_F(FrontTest, ThePageComesCompressedToWhoTakesThat) {
  const http::Reply plain = ask("GET", "/app.css");
  EXPECT_EQ(plain.body, kStyle);
  EXPECT_EQ(plain.fields.find("content-encoding"), nullptr);
  EXPECT_EQ(*plain.fields.find("vary"), "accept-encoding");
  const http::Reply packed = ask("GET", "/app.css", {{"accept-encoding", "gzip, br"}});
  EXPECT_EQ(packed.body, http::gzip(kStyle));
  EXPECT_EQ(*packed.fields.find("content-encoding"), "gzip");
  EXPECT_EQ(*packed.fields.find("vary"), "accept-encoding");
  const std::string etag = *packed.fields.find("etag");
  EXPECT_NE(etag, *plain.fields.find("etag"));
  EXPECT_EQ(ask("GET", "/app.css", {{"accept-encoding", "gzip"}, {"if-none-match", etag}}).status, 304);
  EXPECT_EQ(ask("GET", "/app.css", {{"if-none-match", etag}}).body, kStyle);
  // What would not be smaller comes as it is.
  const http::Reply script = ask("GET", "/app.js", {{"accept-encoding", "gzip"}});
  EXPECT_EQ(script.body, "x()");
  EXPECT_EQ(script.fields.find("content-encoding"), nullptr);
}

TEST_F(FrontTest, TheDocumentOfTheApiListsTheRoutes) {
  const Json document = Json::parse(ask("GET", "/openapi.json").body);
  EXPECT_EQ(document["openapi"], "3.1.0");
  EXPECT_EQ(document["info"]["version"], "1.2.3");
  EXPECT_TRUE(document["paths"]["/v1/things"]["post"].contains("requestBody"));
  EXPECT_EQ(document["paths"]["/v1/things/{id}"]["get"]["parameters"][0]["name"], "id");
  EXPECT_EQ(document["paths"]["/health"]["get"]["security"], Json::array());
  EXPECT_FALSE(document["paths"].contains("/app.js"));
}

}  // namespace
}  // namespace vl3::serve
