#pragma once
// Whose turn it is.

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>

namespace vl3 {

// What a request is worth in the order of things.
struct Rank {
  int priority = 0;
  std::string client;
  uint64_t arrival = 0;
};

// Whether a goes on longer than b when memory is short: the higher priority, then the earlier arrival.
inline bool outranks(const Rank& a, const Rank& b) {
  return a.priority != b.priority ? a.priority > b.priority : a.arrival < b.arrival;
}

// Round robin between clients, within a priority. Not thread-safe.
class Turns {
 public:
  // The candidate that is next: of the highest priority there is, from the client whose last turn was longest
  // ago, the earliest. Candidates may not be empty.
  size_t next(std::span<const Rank> candidates) const;
  // It had its turn.
  void served(const Rank& rank);

 private:
  static constexpr size_t kMostClients = 4096;  // remembered; of others it was longest ago

  uint64_t last_turn(const Rank& rank) const;
  std::map<std::string, uint64_t> turns_;
  uint64_t count_ = 0;
};

}  // namespace vl3
