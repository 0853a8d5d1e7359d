#include "serve/batch.h"

#include <fmt/format.h>

#include <condition_variable>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "base/check.h"
#include "base/clock.h"
#include "serve/api_error.h"
#include "serve/field_reader.h"
#include "serve/strict_json.h"

namespace vl3::serve {
namespace {

constexpr std::chrono::milliseconds kGlance{500};
constexpr double kFlushEvery_s = 1;

// One row on its way; its answer is told once.
class RowExchange final : public http::Exchange {
 public:
  explicit RowExchange(std::function<void(http::Reply)> told) : told_(std::move(told)) {}
  void send(http::Reply reply) override {
    if (const auto told = std::exchange(told_, nullptr)) told(std::move(reply));
  }
  void begin(int, http::Fields) override {}
  void write(std::string) override {}
  void finish() override {}
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
  void leave() {
    std::function<void()> then;
    {
      const std::lock_guard lock(mutex_);
      gone_ = true;
      then = then_;
    }
    if (then) then();
  }

 private:
  mutable std::mutex mutex_;
  bool gone_ = false;
  std::function<void()> then_;
  std::function<void(http::Reply)> told_;
};

struct Row {
  std::optional<std::string> id;  // as far as it could be read
  std::string url, body;
};

// Throws ApiError for what is no row; id is set where there is one.
Row read_row(const std::string& line, Row& row) {
  const Json json = parse_strictly(line);
  const FieldReader fields(json);
  row.id = fields.text("custom_id");
  if (!row.id) refuse("custom_id", "The row has no \"custom_id\".", "missing_field");
  if (fields.text("method").value_or("POST") != "POST") fields.wrong("method", "POST");
  row.url = fields.text("url").value_or("");
  const auto body = fields.object("body");
  if (!body) refuse("body", "The row has no \"body\".", "missing_field");
  if (body->boolean("stream").value_or(false))
    refuse("body.stream", "Rows of a batch cannot be streamed.", "unsupported");
  row.body = body->json().dump();
  return row;
}

// A line of at most so many bytes; what is beyond is passed over, and too_long set.
bool next_line(std::istream& input, uint64_t most, std::string& line, bool& too_long, uint64_t& bytes) {
  line.clear();
  too_long = false;
  int c = input.get();
  if (c == std::istream::traits_type::eof()) return false;
  for (; c != std::istream::traits_type::eof() && c != '\n'; c = input.get()) {
    ++bytes;
    if (line.size() < most)
      line += static_cast<char>(c);
    else
      too_long = true;
  }
  ++bytes;
  return true;
}

class Batch {
 public:
  Batch(Api& api, BatchFile& output, const BatchOptions& options)
      : api_(api), output_(output), options_(options) {}

  ~Batch() { end_all(); }

  BatchProgress run(std::istream& input) {
    std::string line;
    bool too_long = false;
    uint64_t bytes = 0;
    for (int64_t number = 1; next_line(input, options_.max_line_bytes, line, too_long, bytes); ++number) {
      {
        const std::lock_guard lock(mutex_);
        progress_.bytes_read = bytes;
      }
      if (line.find_first_not_of(" \t\r") != std::string::npos) take(line, number, too_long);
      glance();
    }
    require(!input.bad(), ErrorCode::kIo, "[batch] the input cannot be read to its end");
    wait([this] { return live_.empty(); });
    output_.flush();
    if (options_.progress) options_.progress(progress_);
    return progress_;
  }

 private:
  void take(const std::string& line, int64_t number, bool too_long) {
    Row row;
    try {
      if (too_long)
        throw ApiError(413, "line_too_long",
                       fmt::format("The line has more than {} bytes.", options_.max_line_bytes));
      read_row(line, row);
    } catch (const ApiError& error) {
      if (!row.id) return refuse_line(number, error.code, error.what());
      if (!claim(*row.id, number)) return;
      return write(*row.id, error_reply(error));
    }
    if (!claim(*row.id, number)) return;
    start(std::move(row));
  }

  // False where there is an answer, or another row of this id.
  bool claim(const std::string& id, int64_t number) {
    if (seen_here_.contains(std::hash<std::string>()(id))) {
      const bool first = output_.claim(id);  // another id of the same hash
      if (!first) {
        refuse_line(number, "duplicate_custom_id",
                    fmt::format("Another row has the custom_id \"{}\".", id.substr(0, 80)), true);
        return false;
      }
      return true;
    }
    seen_here_.insert(std::hash<std::string>()(id));
    if (output_.claim(id)) return true;
    const std::lock_guard lock(mutex_);
    ++progress_.skipped;
    return false;
  }

  // A row without an id that could be answered under.
  void refuse_line(int64_t number, const std::string& code, const std::string& message,
                   bool repeated = false) {
    if (!output_.claim_line(number)) {
      const std::lock_guard lock(mutex_);
      ++progress_.skipped;
      return;
    }
    output_.append(
        {{"id", "batch_req_" + random_hex(24)},
         {"custom_id", nullptr},
         {"response", nullptr},
         {"error",
          {{"code", code}, {"message", fmt::format("Line {}: {}", number, message)}, {"line", number}}}});
    const std::lock_guard lock(mutex_);
    ++progress_.refused;
    progress_.repeated += repeated ? 1 : 0;
  }

  void start(Row row) {
    const uint64_t bytes = row.body.size();
    wait([&] {
      return live_.empty() || (static_cast<int64_t>(live_.size()) < options_.at_once &&
                               bytes_ + bytes <= options_.bytes_at_once);
    });
    uint64_t number = 0;
    std::shared_ptr<RowExchange> exchange;
    {
      const std::lock_guard lock(mutex_);
      number = next_++;
      exchange = std::make_shared<RowExchange>([this, number, bytes, id = *row.id](http::Reply reply) {
        ended(number, bytes, id, std::move(reply));
      });
      live_.emplace(number, exchange);
      bytes_ += bytes;
    }
    if (api_.post(row.url, std::move(row.body), "", *row.id, exchange)) return;
    exchange->send(
        error_reply({404, "unknown_url", fmt::format("There is no POST route {}.", shown(row.url)), "url"}));
  }

  void ended(uint64_t number, uint64_t bytes, const std::string& id, http::Reply reply) {
    std::exception_ptr failure;
    try {
      // What was cut off has no answer: the next run asks again.
      if (!ending() && !(options_.cancelled && options_.cancelled())) write(id, reply);
    } catch (...) {
      failure = std::current_exception();
    }
    const std::lock_guard lock(mutex_);
    if (failure && !failure_) failure_ = failure;
    live_.erase(number);
    bytes_ -= bytes;
    changed_.notify_all();
  }

  void write(const std::string& id, const http::Reply& reply) {
    output_.append({{"id", "batch_req_" + random_hex(24)},
                    {"custom_id", id},
                    {"response",
                     {{"status_code", reply.status},
                      {"request_id", "req_" + random_hex(24)},
                      {"body", Json::parse(reply.body, nullptr, false)}}},
                    {"error", nullptr}});
    const std::lock_guard lock(mutex_);
    ++(reply.status == 200 ? progress_.answered : progress_.refused);
  }

  bool ending() {
    const std::lock_guard lock(mutex_);
    return ending_;
  }

  template <typename There>
  void wait(const There& there) {
    for (;;) {
      {
        std::unique_lock lock(mutex_);
        if (changed_.wait_for(lock, kGlance, [&] { return failure_ || there(); })) {
          if (failure_) std::rethrow_exception(failure_);
          return;
        }
      }
      glance();
    }
  }

  // Twice a second: what is to be told, asked and written through.
  void glance() {
    const double now = now_s();
    if (now - glanced_s_ < std::chrono::duration<double>(kGlance).count()) return;
    glanced_s_ = now;
    BatchProgress progress;
    {
      const std::lock_guard lock(mutex_);
      progress = progress_;
      if (failure_) std::rethrow_exception(failure_);
    }
    if (options_.progress) options_.progress(progress);
    if (options_.cancelled && options_.cancelled())
      fail(ErrorCode::kCancelled, "[batch] interrupted; the same command goes on behind what was answered");
    if (now - flushed_s_ < kFlushEvery_s) return;
    flushed_s_ = now;
    output_.flush();
  }

  // Nothing calls back here afterwards.
  void end_all() {
    std::vector<std::shared_ptr<RowExchange>> all;
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
      for (const auto& [number, exchange] : live_) all.push_back(exchange);
    }
    for (const auto& exchange : all) exchange->leave();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return live_.empty(); });
  }

  Api& api_;
  BatchFile& output_;
  const BatchOptions& options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<uint64_t, std::shared_ptr<RowExchange>> live_;
  uint64_t next_ = 1, bytes_ = 0;
  std::exception_ptr failure_;
  bool ending_ = false;
  BatchProgress progress_;
  std::unordered_set<size_t> seen_here_;  // hashes of the ids of this run's rows
  double glanced_s_ = 0, flushed_s_ = 0;
};

}  // namespace

BatchProgress run_batch(Api& api, std::istream& input, BatchFile& output, const BatchOptions& options) {
  return Batch(api, output, options).run(input);
}

}  // namespace vl3::serve
