#pragma once
// Running the program as a user does.

#include <sys/wait.h>

#include <cstdlib>
#include <string>

#include "support/support.h"

namespace vl3::test {

struct Outcome {
  int status = -1;
  std::string out, err;
};

// Runs the program with these words of a shell, behind what stands before it (a pipe's beginning, variables);
// in: standard input.
inline Outcome run(const std::string& words, const std::string& in = "", const std::string& before = "") {
  const TemporaryFolder folder;
  write_text(folder / "in", in);
  const std::string from = before.find('|') == std::string::npos ? " <" + (folder / "in").string() : "";
  const std::string command = before + " " + VL3_PROGRAM + " " + words + from + " >" +
                              (folder / "out").string() + " 2>" + (folder / "err").string();
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_text(folder / "out"),
          read_text(folder / "err")};
}

inline std::string model() { return data_path("../../models/tiny").string(); }
inline std::string picture() { return data_path("../../examples/media/shapes.png").string(); }
inline std::string clip() { return data_path("../../examples/media/moving.mp4").string(); }

}  // namespace vl3::test
