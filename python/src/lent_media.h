#pragma once
// Pictures and clips that a program has in memory: the engine reads them where they are.

#include <nanobind/nanobind.h>

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "vl3/media_source.h"

namespace vl3::python {

// Python objects whose memory the engine reads. Its threads let go of them without the interpreter's lock, so
// that they wait here until somebody has it. What is left when nobody comes any more stays: Python has ended.
class Loans : public std::enable_shared_from_this<Loans> {
 public:
  class Loan {  // holds the object
   public:
    virtual ~Loan() = default;

   private:
    friend class Loans;
    Loan* next_ = nullptr;
  };

  template <class T>
  std::shared_ptr<const T> lend(const T* data, std::unique_ptr<Loan> loan) {
    return {data, [self = shared_from_this(), held = loan.release()](const T*) { self->give_back(held); }};
  }
  // With the lock held.
  void settle();

 private:
  void give_back(Loan* loan) noexcept;
  std::mutex mutex_;
  Loan* back_ = nullptr;  // the latest; each has the one before it
};

// What a file of pictures or a clip would hold: bytes, bytearray, memoryview, … without a copy. Throws
// TypeError for what has no buffer, and what MediaSource::lent_bytes throws.
MediaSource lend_bytes(Loans& loans, nanobind::handle data, const std::string& name);

// Pixels, 8 bits each, R, G and B: arrays of numpy, torch and others [H, W, 3] or [3, H, W], or of several
// frames [T, H, W, 3] or [T, 3, H, W]; or tuples (buffer, height, width) of dense [H, W, 3]. Copied only
// where they are not dense or the colours come first. Throws TypeError for what is none of these,
// kInvalidArgument with the shape or dtype that is wrong, and what MediaSource::frames throws.
MediaSource lend_pixels(Loans& loans, nanobind::sequence frames, std::vector<double> times_s,
                        const std::string& name);

// An open file by a duplicate of its descriptor. Throws kIo.
MediaSource open_copy(int descriptor, const std::string& name);

}  // namespace vl3::python
