#include "report.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "bench/weight_change.h"
#include "vl3/model.h"

namespace vl3::cli {
namespace {

const char* to_string(CacheType type) {
  return type == CacheType::kInt8 ? "int8" : type == CacheType::kF16 ? "f16" : "f32";
}

ComparedModel compared(const ReportSide& side, const ForConditionalGeneration& model) {
  ComparedModel result{model, side.compute == "f32" ? Compute::kF32 : Compute::kAuto, {}};
  if (!side.cache.empty())
    result.cache = side.cache == "int8"  ? CacheType::kInt8
                   : side.cache == "f16" ? CacheType::kF16
                                         : CacheType::kF32;
  return result;
}

Json side_as_json(const ReportSide& side, const ForConditionalGeneration& model, CacheType cache,
                  double perplexity, int64_t targets) {
  return {{"path", side.folder},
          {"weights", vl3::to_string(model.weights_dtype())},
          {"weight_bytes", model.weight_bytes()},
          {"compute", side.compute},
          {"cache", to_string(cache)},
          {"perplexity", targets > 0 ? Json(perplexity) : Json(nullptr)}};
}

void print_side(const Json& side, size_t width) {
  fmt::print("{:{}}  {:>7}  {:>7}  {:>5}  {:>8.0f}  {:>10}\n", side["path"].get<std::string>(), width,
             side["weights"].get<std::string>(), side["compute"].get<std::string>(),
             side["cache"].get<std::string>(), side["weight_bytes"].get<double>() / 1048576.0,
             side["perplexity"].is_null() ? "-" : fmt::format("{:.4f}", side["perplexity"].get<double>()));
}

}  // namespace

void ReportOptions::add_to(CLI::App& command) {
  command.add_flag("--json", json, "one JSON object in place of text, with every tensor");
  command.add_option("--worst", worst, "matrices to name whose weights, and whose outputs, changed most")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
}

Json make_report(Context& context, const ReportSide& model, const ReportSide& other,
                 const ReportInputs& inputs) {
  const auto opened = ForConditionalGeneration::from_pretrained(model.folder);
  const bool same = other.folder.empty();
  const auto changed = same ? opened : ForConditionalGeneration::from_pretrained(other.folder);
  Progress progress;
  const LogitChange change =
      compare_logits(context, compared(model, opened), compared(other, changed), inputs.prompts(context),
                     [&](int64_t done, int64_t total) { progress.update("report", done, total); });
  progress.clear();
  Json tensors = Json::array(), products = Json::array(), stages = Json::array();
  if (!same) {
    for (const TensorChange& tensor : compare_weights(context, opened, changed)) {
      tensors.push_back({{"name", tensor.name},
                         {"from", vl3::to_string(tensor.before)},
                         {"to", vl3::to_string(tensor.after)},
                         {"error", tensor.error}});
    }
  }
  for (const ProductChange& product : change.products)
    products.push_back({{"name", product.name}, {"error", product.error}});
  for (const StageChange& stage : change.stages)
    stages.push_back({{"name", stage.name}, {"error", stage.error}});
  ReportSide named = other;
  if (same) named.folder = model.folder;
  return {{"model", side_as_json(model, opened, change.cache, change.perplexity, change.targets)},
          {"other",
           side_as_json(named, changed, change.changed_cache, change.changed_perplexity, change.targets)},
          {"predictions", change.predictions},
          {"targets", change.targets},
          {"kl", {{"mean", change.mean_kl}, {"largest", change.largest_kl}}},
          {"same_top_token", change.top1_agreement},
          {"tensors", tensors},
          {"products", products},
          {"stages", stages}};
}

namespace {

// The first `most` of a list whose worst come first, as long as they say anything.
void print_worst(const Json& list, const char* title, int64_t most) {
  int64_t told = 0;
  for (const Json& one : list) {
    const double error = one["error"].get<double>();
    if (told == most || error == 0) break;
    if (told++ == 0) fmt::print("\n{}\n", title);
    fmt::print("{:>9.5f}  {:>4}  {}\n", error, one.contains("to") ? one["to"].get<std::string>() : "",
               one["name"].get<std::string>());
  }
}

}  // namespace

void print_report(const Json& report, int64_t worst) {
  fmt::print(
      "{} predictions: KL divergence {:.5f} nats on average, {:.5f} at most; the likeliest token is the same "
      "in {:.2f} %\n\n",
      report["predictions"].get<int64_t>(), report["kl"]["mean"].get<double>(),
      report["kl"]["largest"].get<double>(), report["same_top_token"].get<double>() * 100);
  const Json &model = report["model"], &other = report["other"];
  const size_t width =
      std::max({model["path"].get<std::string>().size(), other["path"].get<std::string>().size(), size_t{5}});
  fmt::print("{:{}}  {:>7}  {:>7}  {:>5}  {:>8}  {:>10}\n", "model", width, "weights", "compute", "cache",
             "MiB", "perplexity");
  print_side(model, width);
  print_side(other, width);
  print_worst(report["tensors"], "weights that changed most, |w - w'| / |w|", worst);
  print_worst(report["products"],
              "matrices whose outputs changed most for the same inputs, |y - y'| / |y| of a row on average",
              worst);
  bool first = true;
  for (const Json& stage : report["stages"]) {
    if (first) fmt::print("\nwhat stages give, |x - x'| / |x| of a token on average\n");
    first = false;
    fmt::print("{:>9.5f}  {}\n", stage["error"].get<double>(), stage["name"].get<std::string>());
  }
}

}  // namespace vl3::cli
