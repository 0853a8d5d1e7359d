#pragma once
// What operations see of a context and users of the library do not: the functions of the instruction set that
// it computes with, and the tape of training.

#include "vl3/context.h"

namespace vl3 {

struct ContextParts {
  static const KernelSet& kernels(const Context& context) noexcept { return *context.kernels_; }
  static Tape* tape(const Context& context) noexcept { return context.tape_; }
  static void set_tape(Context& context, Tape* tape) noexcept { context.tape_ = tape; }
};

inline const KernelSet& kernels_of(const Context& context) noexcept { return ContextParts::kernels(context); }

// The tape (autograd/tape.h) that operations record on, or null. Set by training only.
inline Tape* tape_of(const Context& context) noexcept { return ContextParts::tape(context); }
inline void set_tape(Context& context, Tape* tape) noexcept { ContextParts::set_tape(context, tape); }

}  // namespace vl3
