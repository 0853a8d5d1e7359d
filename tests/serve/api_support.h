#pragma once
// The API without HTTP: requests are given to it as a server would, and answers are caught.

#include <gtest/gtest.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "http/server.h"
#include "serve/api.h"
#include "support/support.h"

namespace vl3::test {

// What a client would see.
class CaughtExchange final : public http::Exchange {
 public:
  void send(http::Reply reply) override {
    const std::lock_guard lock(mutex_);
    ++replies_;
    if (done_) return;
    status_ = reply.status;
    fields_ = reply.fields;
    body_ = std::move(reply.body);
    done_ = true;
    changed_.notify_all();
  }
  void begin(int status, http::Fields fields) override {
    const std::lock_guard lock(mutex_);
    ++replies_;
    status_ = status;
    fields_ = std::move(fields);
    begun_ = true;
    changed_.notify_all();
  }
  void write(std::string piece) override {
    std::function<void()> then;
    {
      const std::lock_guard lock(mutex_);
      body_ += piece;
      pieces_.push_back(std::move(piece));
      if (pieces_.size() == at_piece_) then = at_piece_then_;
      changed_.notify_all();
    }
    if (then) then();
  }
  // What is done as soon as so many pieces were written, by who writes; to be said before any is.
  void at_piece(size_t pieces, std::function<void()> then) {
    at_piece_ = pieces;
    at_piece_then_ = std::move(then);
  }
  void finish() override {
    const std::lock_guard lock(mutex_);
    done_ = true;
    changed_.notify_all();
  }
  size_t unsent() const override { return 0; }
  bool gone() const override {
    const std::lock_guard lock(mutex_);
    return gone_;
  }
  void when_gone(std::function<void()> then) override {
    {
      const std::lock_guard lock(mutex_);
      then_ = then;
      if (!gone_) return;
    }
    then();
  }

  // The client goes away.
  void leave() {
    std::function<void()> then;
    {
      const std::lock_guard lock(mutex_);
      gone_ = true;
      then = then_;
    }
    if (then) then();
  }
  // Until it is answered, or so much was written.
  void wait(size_t pieces = SIZE_MAX) {
    std::unique_lock lock(mutex_);
    const bool in_time =
        changed_.wait_for(lock, std::chrono::seconds(600), [&] { return done_ || pieces_.size() >= pieces; });
    ASSERT_TRUE(in_time) << "no answer in time";
  }
  int status() const { return status_; }
  const std::string& body() const { return body_; }
  const http::Fields& fields() const { return fields_; }
  const std::vector<std::string>& pieces() const { return pieces_; }
  size_t written() const {
    const std::lock_guard lock(mutex_);
    return pieces_.size();
  }
  int replies() const { return replies_; }
  Json json() const { return Json::parse(body_); }
  // The events of a stream, without the last, which must be [DONE] where with_done.
  std::vector<Json> events(bool with_done = true) const {
    std::vector<Json> list;
    bool done = false;
    for (size_t at = 0; at < body_.size();) {
      const size_t end = body_.find("\n\n", at);
      EXPECT_NE(end, std::string::npos) << "an event without an end";
      if (end == std::string::npos) break;
      for (size_t line = at; line < end;) {
        const size_t stop = std::min(body_.find('\n', line), end);
        const std::string text = body_.substr(line, stop - line);
        if (text == "data: [DONE]")
          done = true;
        else if (text.starts_with("data: "))
          list.push_back(Json::parse(text.substr(6)));
        line = stop + 1;
      }
      at = end + 2;
    }
    EXPECT_EQ(done, with_done);
    return list;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> then_, at_piece_then_;
  size_t at_piece_ = 0;
  int status_ = 0, replies_ = 0;
  http::Fields fields_;
  std::string body_;
  std::vector<std::string> pieces_;
  bool begun_ = false, done_ = false, gone_ = false;
};

inline std::filesystem::path project() { return data_path("").parent_path().parent_path().parent_path(); }

// The demo's model behind an API.
class ApiTest : public ::testing::Test {
 protected:
  using ApiOptions = serve::ApiOptions;

  static const Engine& engine() {
    static const Engine opened = [] {
      EngineOptions options;
      options.feature_cache_bytes = int64_t{64} << 20;
      options.prefix_cache_bytes = int64_t{64} << 20;
      return Engine::open(project() / "models/demo", options);
    }();
    return opened;
  }
  static ApiOptions usual_options() {
    ApiOptions options;
    options.models.names = {"demo"};
    options.parsing_threads = 2;
    options.fetching_threads = 2;
    return options;
  }
  serve::Api& api() {
    if (api_ == nullptr) api_ = std::make_unique<serve::Api>(options_, context_, engine(), intake_, metrics_);
    return *api_;
  }

  std::shared_ptr<CaughtExchange> start(
      const std::string& path, const std::string& body, const std::string& client = "",
      std::shared_ptr<CaughtExchange> exchange = std::make_shared<CaughtExchange>()) {
    EXPECT_TRUE(api().post(path, body, client, "req-test", exchange)) << path;
    return exchange;
  }
  std::shared_ptr<CaughtExchange> ask(const std::string& path, const Json& body,
                                      const std::string& client = "") {
    auto exchange = start(path, body.dump(), client);
    exchange->wait();
    return exchange;
  }
  // A chat's body with these things in it.
  static Json chat_body(const Json& content, const Json& more = Json::object()) {
    Json body = {{"model", "demo"},
                 {"messages", {{{"role", "user"}, {"content", content}}}},
                 {"max_tokens", 16},
                 {"temperature", 0}};
    for (const auto& [key, value] : more.items()) body[key] = value;
    return body;
  }
  std::shared_ptr<CaughtExchange> chat(const Json& content, const Json& more = Json::object(),
                                       const std::string& client = "") {
    return ask("/v1/chat/completions", chat_body(content, more), client);
  }
  static std::string text_of(const Json& answer, size_t choice = 0) {
    return answer.at("choices").at(choice).at("message").at("content").get<std::string>();
  }
  std::string say(const Json& content, const Json& more = Json::object()) {
    const auto exchange = chat(content, more);
    EXPECT_EQ(exchange->status(), 200) << exchange->body();
    return exchange->status() == 200 ? text_of(exchange->json()) : "";
  }
  static void expect_error(const CaughtExchange& exchange, int status, const std::string& param = "",
                           const std::string& code = "") {
    EXPECT_EQ(exchange.status(), status) << exchange.body();
    if (exchange.status() < 400) return;
    const Json error = exchange.json().at("error");
    EXPECT_GE(error.at("message").get<std::string>().size(), 8u);
    EXPECT_TRUE(error.at("type").is_string());
    EXPECT_TRUE(param.empty() || error.at("param") == param) << error.dump();
    EXPECT_TRUE(code.empty() || error.at("code") == code) << error.dump();
  }

  // "data:" with the bytes of a file of the project.
  static std::string data_url(const std::string& file, const std::string& type) {
    return "data:" + type + ";base64," + base64(read_text(project() / file));
  }
  static std::string base64(const std::string& bytes) {
    constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    for (size_t i = 0; i < bytes.size(); i += 3) {
      uint32_t group = 0;
      for (size_t j = 0; j < 3; ++j)
        group = group << 8 | (i + j < bytes.size() ? static_cast<uint8_t>(bytes[i + j]) : 0);
      for (size_t j = 0; j < 4; ++j) text += i + j > bytes.size() ? '=' : kDigits[group >> (18 - 6 * j) & 63];
    }
    return text;
  }
  static Json picture_part(const Json& more = Json::object()) {
    Json part = {{"type", "image_url"},
                 {"image_url", {{"url", data_url("examples/media/scenes/shapes.png", "image/png")}}}};
    for (const auto& [key, value] : more.items()) part[key] = value;
    return part;
  }
  static Json clip_part(const Json& more = Json::object()) {
    Json part = {{"type", "video_url"},
                 {"video_url", {{"url", data_url("examples/media/scenes/count.mp4", "video/mp4")}}}};
    for (const auto& [key, value] : more.items()) part[key] = value;
    return part;
  }
  static Json words(const std::string& text) { return {{"type", "text"}, {"text", text}}; }

  ApiOptions options_ = usual_options();
  Context context_{ContextOptions{.num_threads = 2}};
  serve::MediaIntake intake_{serve::MediaIntakeOptions()};
  serve::Metrics metrics_{"demo", 8192};
  std::unique_ptr<serve::Api> api_;  // the last member: it uses the others
};

}  // namespace vl3::test
