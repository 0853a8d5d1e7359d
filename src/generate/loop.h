#pragma once
// The one generation loop: every step feeds all tasks that are under way through the model together.

#include <exception>
#include <memory>
#include <vector>

#include "generate/task.h"

namespace vl3 {

class GenerationLoop {
 public:
  GenerationLoop(Context& context, CausalDecoder& decoder) : context_(context), decoder_(decoder) {}

  // Tasks may be added, cancelled and taken between steps. Returns a place.
  size_t add(std::unique_ptr<Task> task);
  // One step of the model for every task that is not done; false when none was left. A cancelled context
  // cancels them all. What a task throws ends that task only; what the model throws ends the step.
  bool step();
  bool done(size_t place) const;
  void cancel(size_t place);
  // The results of a task that is done, and its place is free. Throws what the task threw.
  std::vector<GenerationResult> take(size_t place);
  // Throws what the first failed task threw, if one did.
  void check_failures() const;

 private:
  struct Slot {
    std::unique_ptr<Task> task;  // null: free
    std::exception_ptr failure;
  };
  void cancel_all();

  Context& context_;
  CausalDecoder& decoder_;
  std::vector<Slot> slots_;
};

// The task that settings ask for.
std::unique_ptr<Task> make_task(TaskSetup setup, Prompt prompt);

}  // namespace vl3
