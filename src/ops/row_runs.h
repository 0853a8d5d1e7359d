#pragma once
// Which rows of a step are computed as few rows are.
//
// Products and attention of few rows (decode) and of many (prefill) have kernels of their own, which add in
// different orders. A row gets those of the feed that it comes in, the rows of one sequence in a step: what
// else is in the step changes no bit of it.

#include <cstdint>
#include <span>
#include <vector>

namespace vl3::ops {

inline constexpr int64_t kFewRows = 16;  // of a feed, at most

// Rows one behind the other that are computed alike.
struct RowRun {
  int64_t rows;
  bool few;
};

// Of feeds one behind the other, whose borders among the rows are given [feeds + 1].
std::vector<RowRun> runs_of_feeds(std::span<const int64_t> borders);
// Of some of the rows that runs cover, in their order.
std::vector<RowRun> runs_of_rows(std::span<const RowRun> runs, std::span<const int64_t> rows);

}  // namespace vl3::ops
