// Addresses that requests name, where they redirect to, and blocks of addresses that are allowed.

#include <arpa/inet.h>

#include <algorithm>

#include "download/addresses.h"
#include "download/url.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vl3;
  using namespace vl3::download;
  const std::string_view text = fuzz::text_of(data, size);
  static const AddressRules rules;
  const auto look = [](const Url& url) {
    // What is let through is fetched: one host, no user, nothing that ends a line.
    const std::string whole = url.text();
    const bool clean = std::none_of(whole.begin(), whole.end(), [](char c) {
      return static_cast<uint8_t>(c) <= 0x20 || c == 0x7f || c == '\\';
    });
    if (!clean || url.host().empty() || !(whole.starts_with("http://") || whole.starts_with("https://")))
      std::abort();
    // Read again it is the same: no second parser would find another host.
    if (Url(whole).host() != url.host()) std::abort();
    if (const auto address = parse_address(url.host())) (void)rules.allows(*address);
  };
  fuzz::read_or_refuse([&] { look(Url(text)); });
  fuzz::read_or_refuse([&] { look(Url("http://example.com/a/b?c").follow(text)); });
  fuzz::read_or_refuse([&] {
    const Block block = parse_block(text);
    if (!block.contains(block.address)) std::abort();
  });
  return 0;
}
