#pragma once
// The topics of the module, each a file bind_TOPIC.cc.

#include <nanobind/nanobind.h>

namespace vl3::python {

void bind_runtime(nanobind::module_& module);    // Runtime, Media
void bind_processor(nanobind::module_& module);  // Tokenizer, ChatTemplate, Processor
void bind_model(nanobind::module_& module);      // Model, Settings
void bind_llm(nanobind::module_& module);        // Llm, Job, Mailbox

void bind_hub(nanobind::module_& module);  // models by name

}  // namespace vl3::python
