#pragma once
// What quantize --report and compare say: how far the predictions and weights of one model are from
// another's.

#include <memory>
#include <optional>
#include <string>

#include "bench/logit_change.h"
#include "cli.h"

namespace vl3 {
class Processor;
class Tokenizer;
}  // namespace vl3

namespace vl3::cli {

// What both models read: lines of text, or requests with pictures and clips.
class ReportInputs {
 public:
  // file: - for standard input. JSON where it begins with an object or a list that parses: one request as
  // `run --request` takes it, a list of them, or one a line; text, a prompt a line, else. A byte order mark
  // at the beginning is none of the text. model: the folder whose tokenizer, template and processor make the
  // prompts. Throws kInvalidArgument where there is nothing to read, kFormat for broken JSON, naming its
  // line, and what requests and the headers of their pictures and clips throw: all of it before anything is
  // run.
  static ReportInputs read(const std::string& file, const std::string& model);
  // A prompt on every line. Throws what Tokenizer::from_pretrained throws.
  static ReportInputs of_text(const std::string& text, const std::string& model);
  ReportInputs(ReportInputs&&) noexcept;
  ~ReportInputs();

  // config: the model's, for the ids of placeholders. The result needs *this and the context.
  ComparedPrompts prompts(Context& context) const;

 private:
  struct Prompt;
  ReportInputs();
  void read_lines(const std::string& text, const std::string& model);
  void read_requests(const std::string& text, const std::string& file, const std::string& model);
  void add_request(const Json& json, const std::string& origin);

  std::unique_ptr<const Processor> processor_;  // of requests
  std::vector<Prompt> prompts_;
};

void add_compare(CLI::App& app);

// Options of both commands.
struct ReportOptions {
  bool json = false;
  int64_t worst = 10;

  void add_to(CLI::App& command);
};

// A model as it is run in a report.
struct ReportSide {
  std::string folder, compute = "f32", cache;  // as ComputeOptions has them
};

// Runs both over the inputs; {"model", "other", "predictions", "targets", "kl", "same_top_token", "tensors",
// "products", "stages"} as docs/quantization.md has them. other.folder empty: the same model.
Json make_report(Context& context, const ReportSide& model, const ReportSide& other,
                 const ReportInputs& inputs);
// The same for people, on stdout.
void print_report(const Json& report, int64_t worst);

}  // namespace vl3::cli
