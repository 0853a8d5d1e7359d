#pragma once
// What a head of a request must look like to be parsed at all. Stricter than the parser behind it: whatever
// two implementations might read in two ways (a line that ends in LF alone, folded fields, spaces before a
// colon, control characters) is refused, at the byte where it comes.

#include <cstdint>
#include <string>
#include <string_view>

namespace vl3::http {

// A request that cannot be answered as it was meant: how it is refused. The connection ends with that.
struct Wrong {
  int status = 0;  // 0: nothing is wrong
  std::string code, message;
};

struct HeadLimits {
  uint32_t max_head_bytes = 16 << 10;
  uint32_t max_target_bytes = 8 << 10;
  uint32_t max_fields = 100;
};

class HeadCheck {
 public:
  explicit HeadCheck(const HeadLimits& limits) : limits_(limits) {}
  // Looks at bytes after those of earlier calls, up to the head's end; returns how many it looked at.
  size_t feed(std::string_view bytes);
  bool done() const noexcept { return state_ == State::kDone; }
  bool begun() const noexcept { return begun_; }  // something besides empty lines came
  const Wrong& wrong() const noexcept { return wrong_; }
  // Bytes before the start line: empty lines, which some clients send after a body.
  size_t skipped() const noexcept { return skipped_; }

 private:
  enum class State : uint8_t {
    kEmptyLine,
    kEmptyLineEnd,
    kMethod,
    kTarget,
    kVersion,
    kLineEnd,
    kField,
    kName,
    kValue,
    kHeadEnd,
    kDone
  };
  void next(char c);
  void start(char c);
  void start_line(char c);
  void version_end();
  void field(char c);
  void go(State state) { state_ = state, length_ = 0; }
  void refuse(int status, const char* code, std::string message);

  HeadLimits limits_;
  State state_ = State::kEmptyLine;
  bool begun_ = false;
  size_t length_ = 0;  // of the part that state_ is in
  size_t total_ = 0, fields_ = 0, skipped_ = 0;
  std::string version_;
  Wrong wrong_;
};

// Characters of methods and of fields' names.
bool is_token_character(char c) noexcept;

}  // namespace vl3::http
