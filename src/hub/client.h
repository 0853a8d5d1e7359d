#pragma once
// Questions to the hub: its interface below /api/models, and where the bytes of a file are.

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "download/exchange.h"
#include "hub/listing.h"
#include "hub/settings.h"
#include "vl3/hub.h"

namespace vl3::hub {

// A repository at a commit or another revision, and a file in it where one is asked for: what a refusal
// names.
struct Wanted {
  std::string repository, revision;
  std::string path;  // "": the whole of it
};

// Where a file's bytes are now, and what the hub says of them.
struct Place {
  std::string address;
  std::string etag;
  std::optional<int64_t> size;
};

// Of one thread. The token goes to the origin of the endpoint and nowhere else; nothing is asked of an
// address without encryption where the one before had it.
class Client {
 public:
  Client(const Settings& settings, std::function<bool()> cancelled);

  // The commit that a revision is now. tries: how often to ask while there is no answer.
  std::string commit(const Wanted& wanted, int tries);
  // All files of a commit, page after page.
  Listing listing(const Wanted& wanted);
  // HEAD of the file, as far as it is redirected within the hub. Throws HubError kWrongBytes where its commit
  // is another.
  Place place(const Wanted& wanted);

  // One GET of a place, redirects followed: what comes goes to the sink, and the caller judges the outcome.
  // fields: of the request. of_hub: whether it was the hub's own origin that answered.
  download::Outcome get(const std::string& address, std::vector<std::string> fields,
                        const download::ReplySink& sink, bool& of_hub);

  // Waits before another try, after so many in a row (from 1) that brought nothing. Throws HubError
  // kUnreachable where the last reply asks for more than five minutes, and kCancelled.
  void wait(int fruitless, const download::ReplyHead& last) const;
  // The HubError that a refusal means, with what to do about it.
  [[noreturn]] void refuse(const download::ReplyHead& head, const Wanted& wanted) const;

  const Settings& settings() const noexcept { return settings_; }

 private:
  struct Reply {
    download::ReplyHead head;
    std::string body;
    download::Url url;  // that answered, after redirects
  };
  Reply ask(const std::string& address, bool head_alone, const Wanted& wanted, int tries);
  std::optional<Reply> ask_once(const std::string& address, bool head_alone, std::string& why);
  std::optional<download::Url> redirected(const download::Url& from, const download::ReplyHead& head) const;
  std::vector<std::string> with_token(const download::Url& url, std::vector<std::string> fields) const;

  const Settings& settings_;
  std::function<bool()> cancelled_;
  std::string origin_;
  download::Exchanger exchanger_;
};

// A path as it stands in an address; slashes stay where they are to stay.
std::string quoted(std::string_view text, bool keep_slashes);

}  // namespace vl3::hub
