// videollama3 forward: one pass, named tensors in and out.

#include "cli.h"
#include "vl3/checkpoint.h"
#include "vl3/forward_io.h"
#include "vl3/model.h"

namespace vl3::cli {

void add_forward(CLI::App& app) {
  struct Options {
    std::string model, adapter, in, out, prefix = "in.";
    ComputeOptions compute;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("forward", "run the network on prepared tensors and save every stage");
  add_model_to(*command, options->model);
  command->add_option("--in", options->in, "safetensors file with the inputs")->type_name("FILE")->required();
  command->add_option("--out", options->out, "safetensors file to write")->type_name("FILE")->required();
  command->add_option("--prefix", options->prefix, "what the names of the inputs begin with")
      ->capture_default_str();
  add_adapter_to(*command, options->adapter);
  options->compute.add_to(*command, "f32");
  finish_help(*command, {{"forward MODEL --in inputs.safetensors --out stages.safetensors --prefix \"\"",
                          "inputs as process writes them"}});
  command->callback([options] {
    const auto context = options->compute.make_context();
    const InterruptScope interrupt(*context);
    const auto model = ForConditionalGeneration::from_pretrained(options->model, options->adapter);
    const ForwardInput input = read_forward_input(SafetensorsFile::open(options->in), options->prefix);
    auto outputs = forward_all_stages(*context, model, input);
    for (auto& [name, tensor] : outputs) name = "out." + name;
    write_safetensors(options->out, outputs);
  });
}

}  // namespace vl3::cli
