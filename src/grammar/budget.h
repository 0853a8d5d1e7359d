#pragma once
// What compiling a constraint may cost. Counted as it goes, so that hostile input ends early.

#include <cstdint>

#include "base/check.h"
#include "base/clock.h"

namespace vl3::grammar {

class Budget {
 public:
  Budget(int64_t max_states, double max_seconds)
      : max_states_(max_states), max_seconds_(max_seconds), begun_s_(now_s()) {}

  // So many states or edges more. Throws kLimitExceeded.
  void spend(int64_t states = 1) {
    spent_ += states;
    require(spent_ <= max_states_, ErrorCode::kLimitExceeded,
            "[constraint] needs more than {} states (counts such as {{1,1000}}, maxLength and maxItems cost "
            "one for each time)",
            max_states_);
    tick();
  }
  // A step of work that makes no state; asks the clock now and then.
  void tick() {
    if ((++ticks_ & 1023) != 0) return;
    const double taken_s = now_s() - begun_s_;
    require(taken_s <= max_seconds_, ErrorCode::kLimitExceeded,
            "[constraint] takes longer than {} s to compile", max_seconds_);
  }
  int64_t spent() const noexcept { return spent_; }

 private:
  int64_t max_states_;
  double max_seconds_, begun_s_;
  int64_t spent_ = 0;
  uint64_t ticks_ = 0;
};

}  // namespace vl3::grammar
