#include "http/server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "http/refusal.h"
#include "support/raw_client.h"
#include "vl3/error.h"

namespace vl3::http {
namespace {

using namespace std::chrono_literals;

bool eventually(const std::function<bool()>& what, std::chrono::milliseconds patience = 60s) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (std::chrono::steady_clock::now() < end) {
    if (what()) return true;
    std::this_thread::sleep_for(2ms);
  }
  return what();
}

// A server whose routes are those of these tests:
//   /echo: the body; /refused: by admission; /held: kept in `held`, answered by the test; /thrown: an
//   exception; /dropped: the exchange is let go; /large: 32 MiB
class Fixture : public testing::Test {
 protected:
  // Of nothing that a test does on a slow machine.
  static ServerOptions patient() {
    return {.head_timeout = 600s, .body_timeout = 600s, .idle_timeout = 600s, .write_timeout = 600s};
  }
  void serve(ServerOptions options = patient()) {
    options.port = 0;
    options.every_reply = {{"x-content-type-options", "nosniff"}};
    options.served = [this](const Served& one) {
      const std::scoped_lock lock(mutex_);
      served_.push_back(one);
    };
    server_ = std::make_unique<Server>(
        std::move(options),
        [](const Head& head) -> std::optional<Reply> {
          if (head.path != "/refused") return std::nullopt;
          return refusal(401, "no_key", "A key is wanted.");
        },
        [this](Request request, std::shared_ptr<Exchange> exchange) {
          handle(std::move(request), exchange);
        });
    thread_ = std::thread([this] { server_->run(); });
  }

  void handle(Request request, const std::shared_ptr<Exchange>& exchange) {
    if (request.path == "/thrown") throw std::runtime_error("secret");
    if (request.path == "/dropped") return;
    if (request.path == "/large") return exchange->send({200, {}, std::string(32 << 20, 'x')});
    if (request.path == "/held") {
      const std::scoped_lock lock(mutex_);
      held_.push_back(exchange);
      return;
    }
    exchange->send({200, {{"content-type", "text/plain"}}, request.method + " " + request.body});
  }

  std::shared_ptr<Exchange> held(size_t n = 1) {
    eventually([&] {
      const std::scoped_lock lock(mutex_);
      return held_.size() >= n;
    });
    const std::scoped_lock lock(mutex_);
    return held_.size() >= n ? held_[n - 1] : nullptr;
  }
  std::vector<Served> served() {
    const std::scoped_lock lock(mutex_);
    return served_;
  }

  void TearDown() override {
    if (!server_) return;
    server_->stop();
    if (thread_.joinable()) thread_.join();
    held_.clear();
    server_.reset();
  }

  std::mutex mutex_;
  std::vector<std::shared_ptr<Exchange>> held_;
  std::vector<Served> served_;
  std::unique_ptr<Server> server_;
  std::thread thread_;
};
using HttpServer = Fixture;

const std::string kEnd = " HTTP/1.1\r\nHost: a\r\n\r\n";
std::string post(const std::string& path, const std::string& body, const std::string& fields = "") {
  return "POST " + path + " HTTP/1.1\r\nHost: a\r\n" + fields +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

TEST_F(HttpServer, AnswersOnAConnectionThatIsKept) {
  serve();
  RawClient client(server_->port());
  for (int i = 0; i < 3; ++i) {
    const std::string reply = client.ask(post("/echo", "hello"), "POST hello");
    EXPECT_EQ(status_of(reply), "200");
    EXPECT_NE(reply.find("Content-Length: 10\r\n"), std::string::npos) << reply;
    for (const char* field :
         {"\r\nDate: ", "\r\nX-Request-Id: req-", "\r\nx-content-type-options: nosniff\r\n"})
      EXPECT_NE(reply.find(field), std::string::npos) << field;
    EXPECT_EQ(reply.find("Connection:"), std::string::npos);
  }
  EXPECT_FALSE(client.ended());
}

TEST_F(HttpServer, PipelinedRequestsAreAnsweredInOrder) {
  serve();
  RawClient client(server_->port());
  std::string all;
  for (int i = 0; i < 50; ++i) all += post("/echo", "n" + std::to_string(i) + ".");
  client.send(all);
  client.end_writing();
  const std::string got = client.read();
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(times(got, "HTTP/1.1 200 OK"), 50u);
  size_t at = 0;
  for (int i = 0; i < 50; ++i) {
    at = got.find("POST n" + std::to_string(i) + ".", at);
    ASSERT_NE(at, std::string::npos) << i;
  }
}

TEST_F(HttpServer, BytesMayComeOneByOne) {
  serve();
  RawClient client(server_->port());
  for (const char c : post("/echo", "slow")) {
    client.send({&c, 1});
    std::this_thread::sleep_for(200us);
  }
  EXPECT_EQ(status_of(client.read("POST slow")), "200");
}

TEST_F(HttpServer, HeadHasNoBody) {
  serve();
  RawClient client(server_->port());
  const std::string got =
      client.ask("HEAD /echo" + kEnd + "GET /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(times(got, "HTTP/1.1 200 OK"), 2u);
  EXPECT_EQ(times(got, "GET "), 1u);
  EXPECT_EQ(times(got, "HEAD "), 0u);
  EXPECT_NE(got.find("Content-Length: 5\r\n"), std::string::npos);
  EXPECT_TRUE(client.ended());
}

TEST_F(HttpServer, OldVersionsAreAnsweredInTheirWay) {
  serve();
  RawClient client(server_->port());
  EXPECT_NE(client.ask("GET /echo HTTP/1.0\r\n\r\n").find("Connection: close"), std::string::npos);
  EXPECT_TRUE(client.ended());
  RawClient kept(server_->port());
  EXPECT_NE(
      kept.ask("GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET ").find("Connection: keep-alive"),
      std::string::npos);
  RawClient stream(server_->port());
  stream.send("GET /held HTTP/1.0\r\n\r\n");
  const auto exchange = held();
  ASSERT_TRUE(exchange);
  exchange->begin(200, {});
  exchange->write("piece");
  exchange->finish();
  const std::string got = stream.read();
  EXPECT_TRUE(got.ends_with("\r\n\r\npiece")) << got;
  EXPECT_EQ(got.find("chunked"), std::string::npos);
}

TEST_F(HttpServer, AClientIsToldToGoOnWhereItAsks) {
  serve();
  RawClient client(server_->port());
  client.send("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  EXPECT_EQ(client.read("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_EQ(status_of(client.ask("body", "POST body")), "200");
  RawClient refused(server_->port());
  EXPECT_EQ(
      status_of(refused.ask(
          "POST /refused HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n", "}}")),
      "401");
}

TEST_F(HttpServer, AnAnswerComesInPieces) {
  serve();
  RawClient client(server_->port());
  client.send("GET /held" + kEnd + "GET /echo" + kEnd);
  const auto exchange = held();
  ASSERT_TRUE(exchange);
  exchange->begin(200, {{"content-type", "text/event-stream"}});
  exchange->write("data: 1\n\n");
  EXPECT_NE(client.read("data: 1\n\n").find("Transfer-Encoding: chunked"), std::string::npos);
  exchange->write("");
  exchange->write(std::string(20, 'x'));
  exchange->finish();
  exchange->write("after the end");
  exchange->send({500, {}, "a second answer"});
  const std::string rest = client.read("GET ");
  EXPECT_NE(rest.find("14\r\n" + std::string(20, 'x') + "\r\n0\r\n\r\nHTTP/1.1 200"), std::string::npos)
      << rest;
  EXPECT_EQ(rest.find("after"), std::string::npos);
  EXPECT_TRUE(eventually([&] { return exchange->unsent() == 0; }));
}

TEST_F(HttpServer, ARefusalComesBeforeTheBodyIsRead) {
  serve();
  RawClient client(server_->port());
  const std::string got =
      client.ask("POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n{", "}}");
  EXPECT_EQ(status_of(got), "401");
  EXPECT_NE(got.find("Connection: close"), std::string::npos);
  // A client that goes on sending can still read it.
  RawClient sending(server_->port());
  sending.send("POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n");
  EXPECT_TRUE(sending.send(std::string(4000000, 'x')));
  EXPECT_EQ(status_of(sending.read("}}")), "401");
  // After a short body that is there already the connection goes on.
  RawClient kept(server_->port());
  EXPECT_EQ(status_of(kept.ask(post("/refused", "{}"), "}}")), "401");
  EXPECT_EQ(status_of(kept.ask(post("/echo", "on"), "POST on")), "200");
}

TEST_F(HttpServer, WrongRequestsAreToldInTheEnvelopeAndEndTheConnection) {
  serve({.max_body_bytes = 100});
  const std::pair<const char*, std::string> wrongs[] = {
      {"400", "GET / HTTP/1.1\nHost: a\n\n"},
      {"400", "nonsense\r\n\r\n"},
      {"413", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n"},
      {"413",
       "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n" + std::string(101, 'x')},
      {"414", "GET /" + std::string(9000, 'a') + kEnd},
      {"431", "GET / HTTP/1.1\r\nA: " + std::string(20000, 'a')},
      {"505", "PRI * HTTP/2.0\r\n\r\n"}};
  for (const auto& [status, bytes] : wrongs) {
    RawClient client(server_->port());
    const std::string got = client.ask(bytes + "GET /echo" + kEnd);
    EXPECT_EQ(status_of(got), status) << bytes.substr(0, 40);
    EXPECT_TRUE(client.ended());
    EXPECT_EQ(times(got, "X-Request-Id"), 1u) << "what came behind is answered";
    EXPECT_NE(got.find("{\"error\":{\"message\":\""), std::string::npos) << got;
    EXPECT_NE(got.find("content-type: application/json\r\n"), std::string::npos);
  }
  RawClient after(server_->port());
  EXPECT_EQ(status_of(after.ask("GET /echo" + kEnd, "GET ")), "200");
}

TEST_F(HttpServer, WhatHandlersThrowOrForgetIsAnswered) {
  serve();
  for (const char* path : {"/thrown", "/dropped"}) {
    RawClient client(server_->port());
    const std::string got = client.ask("GET " + std::string(path) + kEnd, "}}");
    EXPECT_EQ(status_of(got), "500") << path;
    EXPECT_EQ(got.find("secret"), std::string::npos);
  }
  RawClient client(server_->port());
  client.send("GET /held" + kEnd);
  ASSERT_TRUE(held());
  held()->begin(200, {});
  held()->write("half");
  {
    const std::scoped_lock lock(mutex_);
    held_.clear();
  }
  const std::string got = client.read();
  EXPECT_TRUE(client.ended());
  EXPECT_FALSE(got.ends_with("0\r\n\r\n")) << "half an answer looks whole";
}

TEST_F(HttpServer, ADisconnectIsToldWhileAnAnswerIsMade) {
  serve();
  for (const bool reset : {false, true}) {
    for (const bool begun : {false, true}) {
      const size_t n = held_.size() + 1;
      RawClient client(server_->port());
      client.send(post("/held", "x"));
      const auto exchange = held(n);
      ASSERT_TRUE(exchange);
      std::atomic<int> told{0};
      exchange->when_gone([&] { ++told; });
      EXPECT_FALSE(exchange->gone());
      if (begun) {
        exchange->begin(200, {});
        exchange->write("x");
        client.read("1\r\nx\r\n");
      }
      if (reset) {
        const linger at_once{1, 0};
        setsockopt(client.socket(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
      }
      client.close();
      // A stream that is ended by the client in the regular way shows it with the next piece.
      EXPECT_TRUE(eventually([&] {
        if (begun) exchange->write("x");
        return told == 1;
      })) << reset
          << begun;
      EXPECT_TRUE(exchange->gone());
      exchange->write("to nobody");
      exchange->finish();
      exchange->when_gone([&] { told += 10; });
      EXPECT_TRUE(eventually([&] { return told == 11; }));
    }
  }
  EXPECT_TRUE(eventually([&] { return server_->connections() == 0; }));
  for (const Served& one : served()) EXPECT_TRUE(one.cut_off);
}

TEST_F(HttpServer, AClientThatShutsItsSideAloneIsAnswered) {
  serve();
  RawClient client(server_->port());
  client.send(post("/held", "x"));
  const auto exchange = held();
  ASSERT_TRUE(exchange);
  client.end_writing();
  std::this_thread::sleep_for(50ms);
  EXPECT_FALSE(exchange->gone());
  exchange->send({200, {}, "late"});
  EXPECT_TRUE(client.read().ends_with("late"));
  RawClient half(server_->port());
  half.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
  half.end_writing();
  EXPECT_EQ(status_of(half.read()), "400");
}

// One limit at a time: whoever is slow here may be so because the machine is.
TEST_F(HttpServer, ASlowHeadIsCutOff) {
  ServerOptions options = patient();
  options.head_timeout = 200ms;
  serve(options);
  RawClient head(server_->port());
  EXPECT_EQ(status_of(head.ask("GET / HT", "}}")), "408");
}

TEST_F(HttpServer, ASlowBodyIsCutOff) {
  ServerOptions options = patient();
  options.body_timeout = 200ms;
  serve(options);
  const std::string begun = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n";
  RawClient body(server_->port()), trickle(server_->port());
  EXPECT_EQ(status_of(body.ask(begun + "abc", "}}")), "408");
  trickle.send(begun);
  std::string got;
  for (int i = 0; i < 3000 && got.empty() && !trickle.ended(); ++i) {
    trickle.send("x");
    got = trickle.read("}}", 0.02);
  }
  EXPECT_EQ(status_of(got), "408") << "a byte now and then is no progress";
}

TEST_F(HttpServer, WhoAsksNothingIsCutOff) {
  ServerOptions options = patient();
  options.idle_timeout = 300ms;
  serve(options);
  RawClient idle(server_->port());
  EXPECT_EQ(idle.read(), "");
  EXPECT_TRUE(idle.ended());
}

TEST_F(HttpServer, SlowReadersAreCutOff) {
  serve({.write_timeout = 200ms, .max_unsent_bytes = 1 << 20});
  RawClient whole(server_->port());
  whole.send("GET /large" + kEnd);
  EXPECT_TRUE(eventually([&] { return served().size() == 1 && served()[0].cut_off; }));
  RawClient stream(server_->port());
  stream.send("GET /held" + kEnd);
  const auto exchange = held();
  ASSERT_TRUE(exchange);
  exchange->begin(200, {});
  for (int i = 0; i < 4000 && !exchange->gone(); ++i) {
    exchange->write(std::string(16 << 10, 'x'));
    if (i % 16 == 0) std::this_thread::sleep_for(1ms);
  }
  EXPECT_TRUE(eventually([&] { return exchange->gone(); }));
}

TEST_F(HttpServer, ConnectionsAreLimitedAndThoseWithoutARequestGiveWay) {
  serve({.max_connections = 2});
  RawClient idle(server_->port()), busy(server_->port());
  busy.send("GET /held" + kEnd);
  ASSERT_TRUE(held());
  ASSERT_EQ(status_of(idle.ask("GET /echo" + kEnd, "GET ")), "200");
  RawClient third(server_->port());
  third.send("GET /held" + kEnd);
  ASSERT_TRUE(held(2));
  idle.read();
  EXPECT_TRUE(idle.ended());
  RawClient fourth(server_->port());
  EXPECT_EQ(status_of(fourth.read()), "503");
  held(1)->send({200, {}, "done"});
  EXPECT_EQ(status_of(busy.read("done")), "200");
  busy.close();
  ASSERT_TRUE(eventually([&] { return server_->connections() == 1; }));
  RawClient slow(server_->port());
  slow.send("GET / HT");
  ASSERT_TRUE(eventually([&] { return server_->connections() == 2; }));
  RawClient quick(server_->port());
  EXPECT_EQ(status_of(quick.ask("GET /echo" + kEnd, "GET ")), "200");
  held(2)->send({200, {}, "done"});
  EXPECT_EQ(status_of(third.read("done")), "200");
}

TEST_F(HttpServer, DrainingLetsAnswersEnd) {
  serve();
  RawClient idle(server_->port()), busy(server_->port());
  ASSERT_EQ(status_of(idle.ask("GET /echo" + kEnd, "GET ")), "200");
  busy.send("GET /held" + kEnd);
  const auto exchange = held();
  ASSERT_TRUE(exchange);
  server_->drain();
  EXPECT_EQ(idle.read(), "");
  EXPECT_TRUE(idle.ended());
  EXPECT_FALSE(RawClient(server_->port()).connected());
  exchange->send({200, {}, "last"});
  const std::string got = busy.read();
  EXPECT_NE(got.find("Connection: close"), std::string::npos);
  EXPECT_TRUE(got.ends_with("last"));
  busy.close();
  thread_.join();
  EXPECT_EQ(server_->connections(), 0u);
}

TEST_F(HttpServer, StoppingCutsAnswersOff) {
  serve();
  RawClient busy(server_->port());
  busy.send("GET /held" + kEnd);
  const auto exchange = held();
  ASSERT_TRUE(exchange);
  std::atomic<bool> told{false};
  exchange->when_gone([&] { told = true; });
  server_->stop();
  thread_.join();
  EXPECT_TRUE(told);
  server_.reset();
  // What outlives the server does nothing.
  exchange->begin(200, {});
  exchange->write("x");
  exchange->finish();
  std::atomic<bool> late{false};
  exchange->when_gone([&] { late = true; });
  EXPECT_TRUE(late);
}

TEST_F(HttpServer, RequestIdsAreTheClientsWhereTheyAreSane) {
  serve();
  RawClient client(server_->port());
  const auto ask = [&](const std::string& id) {
    return client.ask("GET /echo HTTP/1.1\r\nHost: a\r\nX-Request-Id: " + id + "\r\n\r\n", "GET ");
  };
  EXPECT_NE(ask("abc-12.3:4_5").find("X-Request-Id: abc-12.3:4_5\r\n"), std::string::npos);
  EXPECT_NE(ask("<script>").find("X-Request-Id: req-"), std::string::npos);
  EXPECT_NE(ask(std::string(200, 'a')).find("X-Request-Id: req-"), std::string::npos);
}

TEST_F(HttpServer, APortInUseIsNamed) {
  serve();
  try {
    Server second({.port = server_->port()}, {}, {});
    FAIL() << "it listens";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(std::string(error.what()).find(std::to_string(server_->port())), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("in use"), std::string::npos);
  }
  EXPECT_THROW(Server({.host = "192.0.2.1", .port = 0}, {}, {}), Error);
  EXPECT_THROW(Server({.tls_certificate = "one.pem"}, {}, {}), Error);
  EXPECT_THROW(Server({.listening = {0}}, {}, {}), Error);
}

}  // namespace
}  // namespace vl3::http
