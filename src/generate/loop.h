#pragma once
// The one generation loop: every step feeds all tasks that are under way through the model together.

#include <memory>
#include <vector>

#include "generate/task.h"

namespace vl3 {

class GenerationLoop {
 public:
  GenerationLoop(Context& context, CausalDecoder& decoder) : context_(context), decoder_(decoder) {}

  // Tasks may be added between steps. Returns a place for task().
  size_t add(std::unique_ptr<Task> task);
  // One step of the model for every task that is not done; false when none was left. A cancelled context
  // cancels them all.
  bool step();
  Task& task(size_t place) { return *tasks_[place]; }

 private:
  void cancel_all();

  Context& context_;
  CausalDecoder& decoder_;
  std::vector<std::unique_ptr<Task>> tasks_;
};

// The task that settings ask for.
std::unique_ptr<Task> make_task(TaskSetup setup, Prompt prompt);

}  // namespace vl3
