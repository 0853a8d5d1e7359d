#pragma once
// What training adds to a forward pass: operations record their backward step, and backward() walks the list
// in reverse.
//
// A gradient belongs to a piece of memory: it is found by a tensor's storage, first element and number of
// elements, so a reshaped tensor shares it and weights used twice (a tied head) add up. Gradients are f32 and
// accumulate: +=, for parameters and activations alike; those of activations are freed as soon as they have
// been passed on.

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <tuple>
#include <vector>

#include "runtime/context_parts.h"
#include "vl3/context.h"
#include "vl3/tensor.h"

namespace vl3 {

// Which tensor it is. Holds no memory: what goes back needs to know its inputs, seldom what they held.
class Variable {
 public:
  Variable(const Tensor& tensor)  // NOLINT(google-explicit-constructor): every tensor is one
      : storage_(tensor.defined() ? tensor.storage()->id() : 0),
        first_(tensor.address()),
        numel_(tensor.numel()),
        shape_(tensor.shape()) {}
  int64_t numel() const noexcept { return numel_; }
  const Shape& shape() const noexcept { return shape_; }

 private:
  friend class Tape;
  uint64_t storage_;  // 0: of an undefined tensor
  const void* first_;
  int64_t numel_;
  Shape shape_;
};

class Tape {
 public:
  // A leaf whose gradient is wanted: a parameter, f32 or bf16.
  void watch(const Tensor& parameter);
  bool needs_gradient(const Tensor& tensor) const { return needs(key(tensor)); }
  bool needs_gradient(const Variable& variable) const { return needs(key(variable)); }

  // output was made from tensors of which at least one needs a gradient. backward receives output's gradient
  // (f32, its shape) and calls add_gradient for its inputs; whatever it captures stays alive until the tape
  // goes back over it.
  using Backward = std::function<void(Context& context, Tape& tape, const Tensor& gradient)>;
  void record(const Tensor& output, Backward backward);

  // Whether a part of a tensor's gradient has arrived.
  bool has_gradient(const Variable& variable) const { return gradients_.contains(key(variable)); }
  // Adds to the gradient of a tensor; does nothing for tensors that need none. The first one is kept as it
  // is, without a copy: its memory must not be written afterwards.
  void add_gradient(Context& context, const Variable& variable, const Tensor& gradient);
  // The sum itself, to add to in place: zeros where nothing has arrived yet. For tensors that need a
  // gradient.
  Tensor gradient_sum(Context& context, const Variable& variable);

  // y = f(x). With recompute() f's operations keep nothing for the backward pass: f, which must outlive what
  // it refers to and give the same bits, runs again when backward gets there, and one segment at a time has
  // its activations in memory.
  using Segment = std::function<Tensor(const Tensor& x)>;
  Tensor segment(const Tensor& x, const Segment& f);
  void set_recompute(bool recompute) noexcept { recompute_ = recompute; }

  // Gradients of everything watched with respect to loss, a tensor of one element times seed. The recorded
  // steps are used up; watched parameters and their gradients stay.
  void backward(Context& context, const Tensor& loss, float seed = 1.0f);

  // In the shape asked with; undefined where no gradient arrived.
  Tensor gradient(const Tensor& parameter) const;
  void clear_gradients() { gradients_.clear(); }
  // Forgets recorded steps without going back over them, also after a backward that threw.
  void clear_steps();

 private:
  using Key = std::tuple<uint64_t, const void*, int64_t>;
  static Key key(const Tensor& tensor) {
    return {tensor.defined() ? tensor.storage()->id() : 0, tensor.address(), tensor.numel()};
  }
  static Key key(const Variable& v) { return {v.storage_, v.first_, v.numel_}; }
  bool needs(const Key& key) const { return watched_.contains(key) || made_.contains(key); }
  void forget_steps_from(size_t first);
  struct Step {
    Variable output;
    Backward backward;
  };
  std::map<Key, Tensor> watched_;
  std::map<Key, int> made_;  // outputs of recorded steps
  std::vector<Step> steps_;
  std::map<Key, Tensor> gradients_;
  bool recompute_ = false;
};

// Tape::segment where there is a tape, else f(x) alone.
template <class F>
Tensor segment(Context& context, const Tensor& x, const F& f) {
  return tape_of(context) == nullptr ? f(x) : tape_of(context)->segment(x, f);
}

// Runs a part of the backward pass without recording it.
class TapePause {
 public:
  explicit TapePause(Context& context) : context_(context), tape_(tape_of(context)) {
    set_tape(context_, nullptr);
  }
  ~TapePause() { set_tape(context_, tape_); }
  TapePause(const TapePause&) = delete;
  TapePause& operator=(const TapePause&) = delete;

 private:
  Context& context_;
  Tape* tape_;
};

// The tape to record on when one of the inputs needs a gradient; null otherwise, which costs one branch.
inline Tape* tape_for(Context& context, std::initializer_list<const Tensor*> inputs) {
  Tape* tape = tape_of(context);
  if (tape == nullptr) return nullptr;
  for (const Tensor* input : inputs) {
    if (input->defined() && tape->needs_gradient(*input)) return tape;
  }
  return nullptr;
}

}  // namespace vl3
