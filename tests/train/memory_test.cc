// What a dry run says of memory, against what a step takes.

#include "train/train_support.h"

namespace vl3 {
namespace {

// Most bytes that operations held at once in two steps: activations, and the gradients of weights. On the
// path whose panels of weights are the smallest: they are no part of the estimate, and with AVX-512 they are
// 57 kB more, of the few hundred that these batches take.
double measured_bytes(const Json& settings) {
  Context context(test::one_thread("baseline"));
  train(context, test::config_of(settings));
  return static_cast<double>(context.peak_bytes());
}

void compare(Json settings, const std::string& what) {
  test::TemporaryFolder folder;
  settings["output"] = (folder / "out").string();
  settings["steps"] = 2;
  const Json plan = plan_training(test::config_of(settings));
  double trained = 0;
  for (const auto& [part, p] : plan["parts"].items())
    trained += p["trains"].get<bool>() ? p["parameters"].get<double>() : 0;
  const double estimate = plan["memory_bytes"]["activations"].get<double>() + 4 * trained;
  const double measured = measured_bytes(settings);
  EXPECT_GT(estimate, 0.85 * measured) << what;
  EXPECT_LT(estimate, 1.5 * measured) << what;
}

TEST(TrainingMemory, TheEstimateIsNearWhatAStepTakes) {
  for (const char* batch : {"pictures", "mixed", "clips"}) {
    for (const bool recompute : {false, true}) {
      Json settings = test::small_settings("");
      settings["data"] =
          Json::array({{{"tensors", test::data_path("train/" + std::string(batch) + ".safetensors").string()},
                        {"prefix", "in."}}});
      settings["recompute"] = recompute;
      const std::string what = std::string(batch) + (recompute ? " recomputed" : "");
      compare(settings, what + ", all");
      settings["rates"] = {{"llm", 1e-3}};
      compare(settings, what + ", llm");
      settings["rates"] = {{"vision_encoder", 1e-3}, {"projector", 1e-3}};
      compare(settings, what + ", vision");
    }
  }
}

TEST(TrainingMemory, FreshPartsNeedNoWeightsInTheFolder) {
  test::TemporaryFolder folder;
  for (const auto& entry : std::filesystem::directory_iterator(test::small_model())) {
    if (entry.path().extension() != ".safetensors") std::filesystem::copy(entry.path(), folder.path());
  }
  Json settings = test::small_settings(folder / "out");
  settings["model"] = folder.path().string();
  settings["fresh"] = {"vision_encoder", "projector", "llm"};
  const Json plan = plan_training(test::config_of(settings));
  EXPECT_EQ(plan["memory_bytes"]["frozen_weights"], 0);
  EXPECT_GT(plan["first_step"]["gflop"].get<double>(), 0);
}

}  // namespace
}  // namespace vl3
