#include "ops/row_runs.h"

namespace vl3::ops {
namespace {

void add(std::vector<RowRun>& runs, int64_t rows, bool few) {
  if (rows == 0) return;
  if (!runs.empty() && runs.back().few == few)
    runs.back().rows += rows;
  else
    runs.push_back({rows, few});
}

}  // namespace

std::vector<RowRun> runs_of_feeds(std::span<const int64_t> borders) {
  std::vector<RowRun> runs;
  for (size_t i = 1; i < borders.size(); ++i) {
    const int64_t rows = borders[i] - borders[i - 1];
    add(runs, rows, rows <= kFewRows);
  }
  return runs;
}

std::vector<RowRun> runs_of_rows(std::span<const RowRun> runs, std::span<const int64_t> rows) {
  std::vector<RowRun> some;
  for (const int64_t row : rows) {
    int64_t end = 0;
    for (const RowRun& run : runs) {
      end += run.rows;
      if (row >= end) continue;
      add(some, 1, run.few);
      break;
    }
  }
  return some;
}

}  // namespace vl3::ops
