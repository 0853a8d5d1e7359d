#include "fetch/web_transfer.h"

#include <algorithm>

#include "base/ascii.h"
#include "base/check.h"
#include "download/download.h"
#include "download/reply_fields.h"
#include "download/retry.h"
#include "download/url.h"

namespace vl3 {
namespace {

using namespace download;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr long kOk = 200, kPartial = 206, kNotModified = 304, kBadRange = 416;

[[noreturn]] void fail_with(Failure failure, const std::string& words) {
  throw DownloadError(failure, words);
}

// What is sent back to a server is short, and has no characters that could end a line.
std::string validator(const ReplyHead& head, std::string_view name) {
  constexpr size_t kMaxBytes = 1024;
  std::string value = head.value(name);
  const bool plain = std::all_of(value.begin(), value.end(), [](char c) { return c >= 0x20 && c != 0x7f; });
  return plain && value.size() <= kMaxBytes ? value : std::string();
}

Validators validators_of(const ReplyHead& head) {
  return {validator(head, "etag"), validator(head, "last-modified")};
}

[[noreturn]] void refuse_status(long status) {
  if (may_change(status))
    fail_with(Failure::kUpstream,
              fmt::format("could not be fetched: its server answered with status {}", status));
  if (status == 401 || status == 403)
    fail_with(Failure::kRefused,
              fmt::format("was refused by its server with status {}: it may need a login, or what its query "
                          "allowed has ended",
                          status));
  if (status == 404 || status == 410)
    fail_with(Failure::kRefused, fmt::format("is not there: its server answered with status {}", status));
  if (status >= 400)
    fail_with(Failure::kRefused, fmt::format("was refused by its server with status {}", status));
  fail_with(Failure::kUnusable,
            fmt::format("was answered by its server with status {}, which has no content", status));
}

struct Rules {
  const AddressRules& reachable;  // public addresses, and those that were allowed
  const AddressRules& any;
};

// All attempts at one medium.
class Attempts {
 public:
  Attempts(const TransferOptions& options, const Rules& rules, const TransferRequest& request,
           PartFile& content)
      : options_(options),
        rules_(rules),
        request_(request),
        content_(content),
        deadline_(Clock::now() + request.timeout) {}

  TransferReply run() {
    for (int fruitless = 0;;) {
      const uint64_t before = furthest_;
      try {
        if (attempt()) return reply_;
        fail_with(Failure::kUpstream, "was changed while it was fetched");
      } catch (const DownloadError& error) {
        if (error.failure() != Failure::kUpstream && error.failure() != Failure::kTimeout) throw;
        furthest_ = std::max(furthest_, content_.size());
        last_words_ = error.what();
        fruitless = furthest_ > before ? 0 : fruitless + 1;
        if (fruitless >= options_.attempts) give_up(error);
      }
      wait(pause_after(fruitless, options_.first_pause, last_));
    }
  }

 private:
  // From the first address to the content's end; false where it has to begin again.
  bool attempt() {
    Url url = url_asked_for(request_.address);
    bool may_be_inner = request_.trusted;
    last_ = {};
    for (int redirects = 0;; ++redirects) {
      const Outcome outcome = hop(url, may_be_inner);
      outcome.check_head();
      last_ = outcome.head;
      const std::string location = outcome.head.value("location");
      if (!is_redirect(outcome.head.status) || location.empty()) return judge(outcome);
      if (redirects >= options_.max_redirects)
        fail_with(Failure::kTooManyRedirects,
                  fmt::format("is redirected more than {} times", options_.max_redirects));
      url = url_redirected_to(url, location);
    }
  }

  // may_be_inner: whether an address may be that is not public; whether it was one, behind the call.
  Outcome hop(const Url& url, bool& may_be_inner) {
    const bool tried_inner = may_be_inner;
    Outcome outcome = exchange(url, rules_.reachable);
    may_be_inner = false;
    if (!tried_inner) return outcome;
    try {
      outcome.check_head();
    } catch (const DownloadError& error) {
      if (error.failure() != Failure::kForbiddenAddress) throw;
      may_be_inner = true;
      return exchange(url, rules_.any);
    }
    return outcome;
  }

  Outcome exchange(const Url& url, const AddressRules& rules) {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline_ - Clock::now());
    if (left.count() <= 0) time_is_up();
    ExchangeOptions options;
    options.rules = &rules;
    options.connect_to = options_.connect_to;
    options.certificates = options_.certificates;
    options.connect_timeout = options_.connect_timeout;
    options.timeout = left;
    options.stall_timeout = options_.stall_timeout;
    const std::string range = content_.size() > 0 ? reply_.validators.for_range() : "";
    if (content_.size() > 0 && range.empty()) content_.restart();
    if (content_.size() > 0) {
      options.fields = {fmt::format("Range: bytes={}-", content_.size()), "If-Range: " + range};
    } else {
      const Validators& known = request_.known;
      if (!known.etag.empty()) options.fields.push_back("If-None-Match: " + known.etag);
      if (!known.last_modified.empty()) options.fields.push_back("If-Modified-Since: " + known.last_modified);
    }
    Exchanger exchanger;
    return exchanger.run(url, options,
                         {[this](const ReplyHead& head) { return wants(head); },
                          [this](std::string_view bytes) { take(bytes); }},
                         request_.cancelled);
  }

  bool wants(const ReplyHead& head) {
    if (head.status != kOk && head.status != kPartial) return false;
    if (is_packed(head)) fail_with(Failure::kUnusable, "comes compressed, though it was asked for as it is");
    if (head.status == kOk) {
      if (content_.size() > 0) content_.restart();
      reply_.validators = validators_of(head);
      reply_.may_be_kept = ascii_lower(head.value("cache-control")).find("no-store") == std::string::npos;
      total_ = byte_count(head.value("content-length"));
    } else {
      const auto range = parse_content_range(head.value("content-range"));
      const Validators now = validators_of(head);
      const bool same = range && range->first == content_.size() && content_.size() > 0 &&
                        (!range->total || !total_ || *range->total == *total_) &&
                        (now.etag.empty() || now.etag == reply_.validators.etag);
      if (!same) {
        changed_ = true;
        return false;
      }
      if (range->total) total_ = range->total;
    }
    if (total_ && *total_ > request_.max_bytes) too_large();
    return true;
  }

  void take(std::string_view bytes) {
    if (bytes.size() > request_.max_bytes - content_.size()) too_large();
    content_.add(bytes);
    if (request_.progress) request_.progress(content_.size(), total_.value_or(0));
  }

  bool judge(const Outcome& outcome) {
    const long status = outcome.head.status;
    if (changed_ || status == kBadRange) {
      changed_ = false;
      content_.restart();
      return false;
    }
    if (status == kNotModified && !request_.known.empty() && content_.size() == 0) {
      reply_.unchanged = true;
      reply_.validators = request_.known;
      return true;
    }
    if (status != kOk && status != kPartial) refuse_status(status);
    outcome.check_end();
    if (content_.size() == 0) fail_with(Failure::kUnusable, "is empty");
    if (total_ && content_.size() != *total_)
      fail_with(Failure::kUpstream, "was cut off by its server before its end");
    return true;
  }

  void wait(milliseconds pause) const {
    if (Clock::now() + pause >= deadline_) time_is_up();
    sleep_unless(pause, request_.cancelled);
  }

  std::string came() const {
    if (furthest_ == 0) return "nothing of it came";
    return fmt::format("{} of its {} bytes came", furthest_, total_ ? fmt::format("{}", *total_) : "?");
  }
  [[noreturn]] void give_up(const DownloadError& error) const {
    if (Clock::now() >= deadline_) time_is_up();
    const bool stalled = error.failure() == Failure::kTimeout;
    fail_with(error.failure(),
              fmt::format("{}; {} attempts in a row brought nothing, {}",
                          stalled ? "could not be fetched: its server does not answer, or sends nothing"
                                  : error.what(),
                          options_.attempts, came()));
  }
  [[noreturn]] void time_is_up() const {
    fail_with(Failure::kTimeout,
              fmt::format("could not be fetched within {:g} s, the limit: {}{}{}",
                          std::chrono::duration<double>(request_.timeout).count(), came(),
                          last_words_.empty() ? "" : ". The last attempt: it ", last_words_));
  }
  [[noreturn]] void too_large() const {
    fail_with(Failure::kTooLarge, fmt::format("has more than {} bytes, the limit", request_.max_bytes));
  }

  const TransferOptions& options_;
  const Rules rules_;
  const TransferRequest& request_;
  PartFile& content_;
  const Clock::time_point deadline_;
  TransferReply reply_;
  std::optional<uint64_t> total_;
  uint64_t furthest_ = 0;
  bool changed_ = false;
  std::string last_words_;  // of the attempt before
  ReplyHead last_;          // of the last reply: how long to wait may stand there
};

bool is_port(std::string_view text) {
  const auto value = byte_count(text);
  return value && *value > 0 && *value < 65536;
}

// The address of "HOST:PORT:ADDRESS:PORT"; one of IPv6 stands in brackets.
std::string pinned_address(const std::string& entry) {
  const size_t port = entry.find(':'), last = entry.rfind(':');
  const size_t address = port == std::string::npos ? port : entry.find(':', port + 1);
  std::string text;
  if (address != std::string::npos && address < last) text = entry.substr(address + 1, last - address - 1);
  const bool brackets = text.size() > 2 && text.front() == '[' && text.back() == ']';
  if (brackets) text = text.substr(1, text.size() - 2);
  const bool right = port != 0 && parse_address(text) && brackets == (text.find(':') != std::string::npos) &&
                     is_port(std::string_view(entry).substr(port + 1, address - port - 1)) &&
                     is_port(std::string_view(entry).substr(last + 1));
  require(right, ErrorCode::kInvalidArgument,
          "[connect-to] \"{}\" should be HOST:PORT:ADDRESS:PORT, as example.com:443:10.0.0.1:8443", entry);
  return text;
}

std::vector<std::string> reachable_blocks(const TransferOptions& options) {
  std::vector<std::string> blocks = options.allow_addresses;
  for (const std::string& entry : options.connect_to) blocks.push_back(pinned_address(entry));
  return blocks;
}

}  // namespace

std::string Validators::for_range() const {
  return !etag.empty() && !etag.starts_with("W/") ? etag : last_modified;
}

WebTransfer::WebTransfer(TransferOptions options)
    : options_(std::move(options)), reachable_(reachable_blocks(options_)), any_({"0.0.0.0/0", "::/0"}) {}

TransferReply WebTransfer::get(const TransferRequest& request, PartFile& content) const {
  return Attempts(options_, Rules{reachable_, any_}, request, content).run();
}

}  // namespace vl3
