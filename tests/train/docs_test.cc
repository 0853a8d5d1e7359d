// docs/training.md knows every key and every stage.

#include "support/support.h"
#include "vl3/train.h"

namespace vl3 {
namespace {

TEST(TrainingGuide, HasEveryKeyAndStage) {
  const std::string guide = test::read_text("docs/training.md");
  for (const TrainKey& key : train_keys())
    EXPECT_NE(guide.find("\n| `" + std::string(key.name) + "` | " + key.type + " |"), std::string::npos)
        << "no row for \"" << key.name << "\" of type " << key.type;
  for (const std::string& stage : stage_names())
    EXPECT_NE(guide.find("\n| `" + stage + "` |"), std::string::npos) << "no row for " << stage;
}

}  // namespace
}  // namespace vl3
