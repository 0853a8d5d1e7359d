#pragma once
// One medium from the web, over as many requests as it takes.

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "download/addresses.h"
#include "download/exchange.h"
#include "fetch/part_file.h"

namespace vl3 {

// What a server says of content, so that it need not come again.
struct Validators {
  std::string etag, last_modified;
  bool empty() const noexcept { return etag.empty() && last_modified.empty(); }
  // What If-Range may have: a strong ETag, else the time of change; empty where there is none.
  std::string for_range() const;
  bool operator==(const Validators&) const = default;
};

struct TransferOptions {
  std::vector<std::string> allow_addresses;  // blocks beside the public addresses
  std::vector<std::string> connect_to;       // "HOST:PORT:ADDRESS:PORT", of which ADDRESS is allowed
  std::string certificates;                  // a file of authorities (PEM); empty: the system's
  int max_redirects = 5;
  int attempts = 5;  // in a row that bring no byte
  std::chrono::seconds stall_timeout{30};
  std::chrono::milliseconds connect_timeout{10'000};
  std::chrono::milliseconds first_pause{250};  // before the second attempt; twice as long before each other
};

struct TransferRequest {
  std::string address;
  // Whoever runs this asked for the address themselves, so that it may lie in an inner network. What it is
  // redirected to may lie there as long as it comes from there: never from a public address, nor from one of
  // connect_to.
  bool trusted = false;
  uint64_t max_bytes = 0;
  std::chrono::milliseconds timeout{0};  // of everything
  Validators known = {};                 // of content that is at hand: it need not come unless it changed
  std::function<bool()> cancelled = {};
  std::function<void(uint64_t received, uint64_t total)> progress = {};  // total 0: not known
};

struct TransferReply {
  bool unchanged = false;  // content has nothing: what is at hand is right
  Validators validators;
  bool may_be_kept = true;  // no "Cache-Control: no-store"
};

// GET. What was cut off, reset or stalled goes on where it stopped, if the server says (by If-Range) that the
// content is the same, else from its beginning; each attempt asks the first address again, as what it
// redirects to may have been signed for a time. Throws DownloadError, and Error kCancelled within a tenth of
// a second of cancelled() saying so. Thread-safe.
class WebTransfer {
 public:
  // Throws kInvalidArgument for a block of addresses, or an entry of connect_to, that is none.
  explicit WebTransfer(TransferOptions options);
  TransferReply get(const TransferRequest& request, PartFile& content) const;

 private:
  TransferOptions options_;
  download::AddressRules reachable_;  // public addresses, those of connect_to, and what was allowed
  download::AddressRules any_;
};

}  // namespace vl3
