#pragma once
// Pictures and clips that are named by an http(s) address: how they are fetched.

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "cli.h"
#include "vl3/media_fetch.h"
#include "vl3/media_limits.h"

namespace vl3::cli {

class AddressOptions {
 public:
  void add_to(CLI::App& command);

  // Addresses that were typed, by whoever runs the program: they may lie in an inner network.
  void trust(const std::string& address) { typed_.insert(address); }

  // Fetches what the request's messages name by address into request.media; a line of progress on a terminal.
  // limits: of which max_file_bytes counts for pictures. Throws what MediaFetcher throws.
  void open(ProcessorRequest& request, const MediaLimits& limits,
            const std::function<bool()>& cancelled) const;
  // One address alone, so that what is wrong with it is told at once.
  void open(const std::string& address, bool video, const MediaLimits& limits,
            const std::function<bool()>& cancelled) const;

 private:
  MediaSource fetch(const std::string& address, bool video, const MediaLimits& limits,
                    const std::function<bool()>& cancelled) const;
  MediaFetchOptions fetch_;
  double cache_gib_ = 4, timeout_s_ = 0;
  std::set<std::string> typed_;
  // Made when the first address is opened, and shared by copies: each is fetched once.
  struct Shared {
    std::unique_ptr<MediaFetcher> fetcher;
    Progress* progress = nullptr;
  };
  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

// Whether a word names a picture or clip by what is no path: an http(s) address, or a data: URL.
bool is_address(std::string_view word) noexcept;

}  // namespace vl3::cli
