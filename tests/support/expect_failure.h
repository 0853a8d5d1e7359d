#pragma once
// That something is refused: with which code, and what the message names.

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "vl3/error.h"

namespace vl3::test {

inline void expect_failure(ErrorCode code, const std::vector<std::string>& words,
                           const std::function<void()>& f) {
  try {
    f();
    ADD_FAILURE() << "nothing was thrown; expected " << words[0];
  } catch (const Error& error) {
    EXPECT_STREQ(to_string(error.code()), to_string(code)) << error.what();
    for (const std::string& word : words)
      EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << word << " in " << error.what();
  }
}

}  // namespace vl3::test
