#include "hub/client.h"

#include <utility>

#include "base/check.h"
#include "base/web_address.h"
#include "download/download.h"
#include "download/reply_fields.h"
#include "download/retry.h"
#include "hub/name.h"

namespace vl3::hub {
namespace {

using download::DownloadError;
using download::Failure;
using download::Outcome;
using download::ReplyHead;
using download::Url;

constexpr int kMaxRedirects = 5;
constexpr int kMaxPages = 1000;
constexpr size_t kMaxAnswerBytes = 64 << 20;
constexpr std::chrono::minutes kLongestWait{5};

std::string shown(const Url& url) { return shown_address(url.text()); }

[[noreturn]] void refuse_with(HubFailure failure, const Wanted& wanted, const std::string& words) {
  throw HubError(failure, fmt::format("[{}] {}", wanted.repository, words));
}

}  // namespace

std::string quoted(std::string_view text, bool keep_slashes) {
  std::string result;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '~' || (keep_slashes && c == '/');
    if (plain)
      result += c;
    else
      result += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return result;
}

Client::Client(const Settings& settings, std::function<bool()> cancelled)
    : settings_(settings),
      cancelled_(std::move(cancelled)),
      origin_(Url(settings.endpoint).origin()),
      exchanger_(true) {}

// --- one request after the other

std::vector<std::string> Client::with_token(const Url& url, std::vector<std::string> fields) const {
  if (!settings_.token.empty() && url.origin() == origin_)
    fields.push_back("Authorization: Bearer " + settings_.token);
  return fields;
}

std::optional<Url> Client::redirected(const Url& from, const ReplyHead& head) const {
  const std::string location = head.value("location");
  if (!download::is_redirect(head.status) || location.empty()) return {};
  try {
    return download::url_redirected_to(from, location);
  } catch (const DownloadError& error) {
    throw HubError(HubFailure::kBadAnswer, fmt::format("[{}] {}", shown(from), error.what()));
  }
}

std::optional<Client::Reply> Client::ask_once(const std::string& address, bool head_alone, std::string& why) {
  Url url{address};
  for (int redirects = 0; redirects <= kMaxRedirects; ++redirects) {
    download::ExchangeOptions asked;
    asked.head_alone = head_alone;
    asked.fields = with_token(url, {});
    asked.environment_proxy = true;
    asked.connect_timeout = asked.stall_timeout = settings_.answer_timeout;
    std::string body;
    const download::ReplySink sink{
        nullptr, [&](std::string_view piece) {
          if (body.size() + piece.size() > kMaxAnswerBytes)
            throw HubError(HubFailure::kBadAnswer, fmt::format("[{}] the hub's answer has more than {} bytes",
                                                               shown(url), kMaxAnswerBytes));
          body += piece;
        }};
    Outcome outcome = exchanger_.run(url, asked, sink, cancelled_);
    try {
      outcome.check_head();
      outcome.check_end();
    } catch (const DownloadError& error) {
      // The name of the host is not known, or its certificate is not accepted: asking again helps nobody.
      if (error.failure() == Failure::kRefused || error.failure() == Failure::kUntrusted)
        throw HubError(HubFailure::kUnreachable, fmt::format("[{}] the hub cannot be reached: it {}",
                                                             settings_.endpoint, error.what()));
      why = error.failure() == Failure::kTimeout
                ? fmt::format("did not answer within {} s", settings_.answer_timeout.count())
                : error.what();
      return {};
    }
    if (!head_alone && outcome.head.status == 200 && download::is_packed(outcome.head))
      throw HubError(HubFailure::kBadAnswer,
                     fmt::format("[{}] the hub's answer comes compressed, though it was asked for as it is",
                                 shown(url)));
    std::optional<Url> next = redirected(url, outcome.head);
    // HEAD stops where the hub ends: what it says of a file stands there.
    if (!next.has_value() || (head_alone && next->origin() != origin_))
      return Reply{std::move(outcome.head), std::move(body), std::move(url)};
    url = std::move(*next);
  }
  throw HubError(HubFailure::kBadAnswer,
                 fmt::format("[{}] is redirected more than {} times", shown(Url(address)), kMaxRedirects));
}

Client::Reply Client::ask(const std::string& address, bool head_alone, const Wanted& wanted, int tries) {
  for (int tried = 1;; ++tried) {
    std::string why;
    std::optional<Reply> reply = ask_once(address, head_alone, why);
    if (reply.has_value() && !download::may_change(reply->head.status)) {
      if (reply->head.status >= 400) refuse(reply->head, wanted);
      return std::move(*reply);
    }
    if (reply.has_value()) why = fmt::format("answered with status {}", reply->head.status);
    if (tried >= tries)
      throw HubError(HubFailure::kUnreachable,
                     fmt::format("[{}] the hub cannot be reached: {} {}, {} tr{}", settings_.endpoint,
                                 shown(Url(address)), why, tried, tried == 1 ? "y" : "ies"));
    wait(tried, reply.has_value() ? reply->head : ReplyHead());
  }
}

void Client::wait(int fruitless, const ReplyHead& last) const {
  const auto pause = download::pause_after(fruitless, settings_.first_wait, last);
  if (pause > kLongestWait)
    throw HubError(HubFailure::kUnreachable,
                   fmt::format("[{}] the hub asks to wait for {} s: too many requests came from here",
                               settings_.endpoint, pause.count() / 1000));
  download::sleep_unless(pause, cancelled_);
}

// --- refusals

void Client::refuse(const ReplyHead& head, const Wanted& wanted) const {
  const std::string code = head.value("x-error-code"), message = head.value("x-error-message");
  const std::string page = fmt::format("{}/{}", settings_.endpoint, wanted.repository);
  const bool token = !settings_.token.empty();
  const auto say = [&](HubFailure failure, const std::string& words) { refuse_with(failure, wanted, words); };
  if (code == "RevisionNotFound")
    say(HubFailure::kRevision, fmt::format("has no revision \"{}\": {}/tree/main lists branches and tags",
                                           printable(wanted.revision), page));
  if (code == "EntryNotFound" || (code.empty() && head.status == 404 && !wanted.path.empty()))
    say(HubFailure::kFile, fmt::format("has no file \"{}\" at revision \"{}\"", printable(wanted.path),
                                       printable(wanted.revision)));
  if (code == "GatedRepo")
    say(HubFailure::kGated,
        token
            ? fmt::format("is gated, and the account of this token ({}) was not let in: ask for access at {}",
                          settings_.token_source, page)
            : fmt::format(
                  "is gated: accept its conditions at {}, and set HF_TOKEN to a token of that account",
                  page));
  if (message == "Access to this resource is disabled.")
    say(HubFailure::kDisabled, fmt::format("was disabled by the hub: {}", page));
  if (head.status == 401 && message.starts_with("Invalid credentials"))
    say(HubFailure::kToken,
        fmt::format("the hub does not know the token of {}: it is wrong, or was revoked. {}",
                    settings_.token_source,
                    "A new one is made at " + settings_.endpoint + "/settings/tokens"));
  if (code == "RepoNotFound" || head.status == 401 || head.status == 404)
    say(HubFailure::kRepository,
        token
            ? fmt::format(
                  "there is no such model on {}, or it is private and the token of {} may not read it",
                  settings_.endpoint, settings_.token_source)
            : fmt::format("there is no such model on {}, or it is private: then set HF_TOKEN to a token that "
                          "may read it",
                          settings_.endpoint));
  refuse_with(HubFailure::kUnreachable, wanted,
              fmt::format("the hub {} refused it with status {}", settings_.endpoint, head.status));
}

// --- questions

std::string Client::commit(const Wanted& wanted, int tries) {
  const std::string address = fmt::format("{}/api/models/{}/revision/{}", settings_.endpoint,
                                          wanted.repository, quoted(wanted.revision, false));
  return commit_of(ask(address, false, wanted, tries).body, address);
}

Listing Client::listing(const Wanted& wanted) {
  std::string address = fmt::format("{}/api/models/{}/tree/{}?recursive=true&expand=false",
                                    settings_.endpoint, wanted.repository, quoted(wanted.revision, false));
  Listing listing;
  for (int page = 0; page < kMaxPages; ++page) {
    const Reply reply = ask(address, false, wanted, settings_.tries);
    add_page(listing, reply.body, shown(reply.url));
    const std::string next = download::next_link(reply.head.value("link"));
    if (next.empty()) {
      check_folders(listing, shown(reply.url));
      return listing;
    }
    try {
      const Url url = reply.url.follow(next);
      if (url.origin() != origin_)
        throw HubError(HubFailure::kBadAnswer,
                       fmt::format("[{}] the list of files goes on at another host", shown(reply.url)));
      address = url.text();
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kInvalidArgument) throw;
      throw HubError(HubFailure::kBadAnswer,
                     fmt::format("[{}] the list of files goes on at what is no address", shown(reply.url)));
    }
  }
  throw HubError(HubFailure::kBadAnswer,
                 fmt::format("[{}] the list of files has more than {} pages", wanted.repository, kMaxPages));
}

Place Client::place(const Wanted& wanted) {
  const std::string address = fmt::format("{}/{}/resolve/{}/{}", settings_.endpoint, wanted.repository,
                                          quoted(wanted.revision, false), quoted(wanted.path, true));
  const Reply reply = ask(address, true, wanted, settings_.tries);
  const std::string commit = reply.head.value("x-repo-commit");
  if (!commit.empty() && commit != wanted.revision)
    throw HubError(HubFailure::kWrongBytes,
                   fmt::format("[{}] {}: the hub gives commit {} where {} was asked for", wanted.repository,
                               wanted.path, printable(commit), wanted.revision));
  Place place;
  const std::optional<Url> elsewhere = redirected(reply.url, reply.head);
  place.address = elsewhere.has_value() ? elsewhere->text() : reply.url.text();
  const std::string linked = reply.head.value("x-linked-etag"), size = reply.head.value("x-linked-size");
  place.etag = download::entity_tag(linked.empty() ? reply.head.value("etag") : linked);
  if (!size.empty())
    place.size = download::byte_count(size);
  else if (!elsewhere.has_value())
    place.size = download::byte_count(reply.head.value("content-length"));
  return place;
}

Outcome Client::get(const std::string& address, std::vector<std::string> fields,
                    const download::ReplySink& sink, bool& of_hub) {
  Url url{address};
  for (int redirects = 0;; ++redirects) {
    of_hub = url.origin() == origin_;
    download::ExchangeOptions asked;
    asked.fields = with_token(url, fields);
    asked.environment_proxy = true;
    asked.connect_timeout = asked.stall_timeout = settings_.stall_timeout;
    Outcome outcome = exchanger_.run(url, asked, sink, cancelled_);
    if (!outcome.head_came()) return outcome;
    std::optional<Url> next = redirected(url, outcome.head);
    if (!next.has_value()) return outcome;
    if (redirects >= kMaxRedirects)
      throw HubError(HubFailure::kBadAnswer,
                     fmt::format("[{}] is redirected more than {} times", shown(url), kMaxRedirects));
    url = std::move(*next);
  }
}

}  // namespace vl3::hub
