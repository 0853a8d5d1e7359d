// videollama3 generate: new ids for prepared tensors.

#include "base/json_once.h"
#include "cli.h"
#include "vl3/checkpoint.h"
#include "vl3/forward_io.h"
#include "vl3/generation.h"
#include "vl3/model.h"

namespace vl3::cli {

void add_generate(CLI::App& app) {
  struct Options {
    std::string model, adapter, in, prefix = "in.", settings = "{}";
    ComputeOptions compute;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("generate", "generate ids from prepared tensors; prints {\"new_ids\": [[...]]}");
  add_model_to(*command, options->model);
  command->add_option("--in", options->in, "safetensors file with the inputs")->type_name("FILE")->required();
  command->add_option("--prefix", options->prefix, "what the names of the inputs begin with")
      ->capture_default_str();
  command->add_option("--settings", options->settings, "settings of generation as JSON (docs/generation.md)")
      ->capture_default_str();
  add_adapter_to(*command, options->adapter);
  options->compute.add_to(*command, "f32");
  finish_help(*command,
              {{"generate MODEL --in inputs.safetensors --prefix '' --settings '{\"max_new_tokens\": 24}'",
                "inputs as process writes them"}});
  command->callback([options] {
    const auto context = options->compute.make_context();
    const InterruptScope interrupt(*context);
    const auto settings =
        GenerationConfig::from_json(parse_json_once(options->settings, "--settings"),
                                    GenerationConfig::from_pretrained(options->model), "--settings");
    const auto model = ForConditionalGeneration::from_pretrained(options->model, options->adapter);
    const ForwardInput input = read_forward_input(SafetensorsFile::open(options->in), options->prefix);
    const auto results = model.generate(*context, input, settings);
    context->check_cancelled();
    print_json(Json{{"new_ids", pad_new_ids(results, settings)}});
  });
}

}  // namespace vl3::cli
