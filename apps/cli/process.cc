// videollama3 process: what the processors make of a request.

#include "request_options.h"
#include "vl3/checkpoint.h"
#include "vl3/processor.h"
#include "vl3/thread_pool.h"

namespace vl3::cli {

namespace {

ProcessorOutput processed(const Processor& processor, ProcessorRequest request,
                          const AddressOptions& addresses, Context& context) {
  const InterruptScope interrupt(context);
  const std::function<bool()> cancelled = [&] { return context.cancelled(); };
  addresses.open(request, {}, cancelled);
  ProcessHooks hooks;
  hooks.cancelled = cancelled;
  return processor.process(context.threads(), request, {}, hooks);
}

}  // namespace

void add_process(CLI::App& app) {
  struct Options {
    std::string model, request, out, backend = "torchvision";
    AddressOptions addresses;
    int threads = 0;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("process", "pictures, clips and messages to the model's inputs, as safetensors");
  add_model_to(*command, options->model, ModelParts::kSettings);
  command->add_option("--request", options->request, "request as JSON (docs/tools.md); - for standard input")
      ->type_name("FILE")
      ->required();
  command->add_option("--out", options->out, "safetensors file to write")->type_name("FILE")->required();
  command->add_option("--backend", options->backend, "whose arithmetic resizes pictures")
      ->check(CLI::IsMember({"pil", "torchvision"}))
      ->capture_default_str();
  command
      ->add_option("--threads", options->threads,
                   "threads to compute with; 0: as many as this process may use")
      ->check(CLI::Range(0, 1024));
  options->addresses.add_to(*command);
  finish_help(*command, {{"process MODEL --request r.json --out inputs.safetensors", ""}});
  command->callback([options] {
    const Processor processor = Processor::from_pretrained(options->model);
    ProcessorRequest request =
        processor.parse_request(read_json_argument(options->request), options->request, {"generate"});
    sample_as_trained(request);
    request.backend = options->backend == "pil" ? ResizeBackend::kPil : ResizeBackend::kTorchvision;
    Context context({.num_threads = options->threads});
    const ProcessorOutput got = processed(processor, std::move(request), options->addresses, context);
    const PaddedIds padded = pad(got, processor.tokenizer().pad_id().value_or(0), request.padding_left);
    std::vector<std::pair<std::string, Tensor>> tensors = {
        {"input_ids", padded.input_ids},
        {"attention_mask", padded.attention_mask},
        {"pixel_values", got.images.pixel_values},
        {"image_grid_thw", got.images.image_grid_thw},
        {"image_merge_sizes", got.images.image_merge_sizes},
        {"pixel_values_videos", got.videos.pixel_values_videos},
        {"video_grid_thw", got.videos.video_grid_thw},
        {"video_merge_sizes", got.videos.video_merge_sizes},
        {"video_compression_mask", got.videos.video_compression_mask},
    };
    std::erase_if(tensors, [](const auto& entry) { return !entry.second.defined(); });
    write_safetensors(options->out, tensors);
    tell_notes(got.videos.clips);
    print_json(Json{{"ids", got.ids}, {"videos", to_json(got.videos.clips)}});
  });
}

}  // namespace vl3::cli
