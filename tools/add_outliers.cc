// add_outliers MODEL OUT [--factor C] [flags]: a checkpoint with outlier channels that leave the function as
// it is, for trying what rounding does to them (docs/quantization.md).

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <exception>

#include "bench/outliers.h"

int main(int argc, char** argv) {
  std::string source, out, dtype;
  std::vector<std::string> places = {"norms", "keys"}, parts = {"vision", "text"};
  vl3::OutlierOptions options;
  CLI::App app("outlier channels that leave a model's function as it is");
  app.add_option("model", source, "checkpoint folder")->required();
  app.add_option("out", out, "folder to write, which must not exist")->required();
  app.add_option("--factor", options.factor,
                 "how many times as large; a power of two changes no bit of what f32 computes")
      ->capture_default_str();
  app.add_option("--share", options.share, "of the channels")->capture_default_str();
  app.add_option("--places", places, "norms, keys, values, gates")->delimiter(',')->capture_default_str();
  app.add_option("--parts", parts, "vision, text")->delimiter(',')->capture_default_str();
  app.add_option("--seed", options.seed, "which channels")->capture_default_str();
  app.add_option("--dtype", dtype, "of all weights: f32, bf16 or f16 (default: as they are)");
  CLI11_PARSE(app, argc, argv);
  try {
    options.places = {places.begin(), places.end()};
    options.parts = {parts.begin(), parts.end()};
    if (!dtype.empty()) options.dtype = vl3::dtype_from_string(dtype);
    vl3::Context context;
    const vl3::OutlierReport report = vl3::add_outliers(context, source, out, options);
    fmt::print(stderr, "{} of {} tensors changed\n", report.changed, report.tensors);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "add_outliers: {}\n", error.what());
    return 1;
  }
}
