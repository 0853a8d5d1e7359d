#include <algorithm>

#include "base/check.h"
#include "model/packed_batch.h"
#include "train/data/batches.h"
#include "vl3/forward_io.h"

namespace vl3 {
namespace {

class TensorBatches : public Batches {
 public:
  explicit TensorBatches(const TrainConfig& config) : batch_(config.batch) {
    for (const TrainSource& source : config.data) {
      const SafetensorsFile file = SafetensorsFile::open(source.tensors);
      inputs_.push_back(read_forward_input(file, source.prefix));
      require(inputs_.back().labels.defined(), ErrorCode::kFormat, "[{}] has no \"{}labels\"",
              source.tensors.string(), source.prefix);
      const PackedBatch packed = pack(inputs_.back());
      const auto& targets = packed.targets;
      counts_.push_back({packed.rows(), static_cast<int64_t>(targets.size()) -
                                            std::count(targets.begin(), targets.end(), kIgnoredLabel)});
      require(counts_.back().targets > 0, ErrorCode::kFormat, "[{}] \"{}labels\" has nothing to predict",
              source.tensors.string(), source.prefix);
    }
  }

  int64_t steps_per_epoch() const override { return 0; }

  StepBatch at(int64_t step) override {
    StepBatch result;
    for (int64_t i = 0; i < batch_; ++i) {
      const size_t n = static_cast<size_t>(step * batch_ + i) % inputs_.size();
      result.passes.push_back(inputs_[n]);
      result.samples += inputs_[n].labels.dim(0);
      result.tokens += counts_[n].tokens;
      result.targets += counts_[n].targets;
    }
    return result;
  }

 private:
  struct Counts {
    int64_t tokens, targets;
  };
  int64_t batch_;
  std::vector<ForwardInput> inputs_;
  std::vector<Counts> counts_;
};

}  // namespace

std::unique_ptr<Batches> tensor_batches(const TrainConfig& config) {
  return std::make_unique<TensorBatches>(config);
}

}  // namespace vl3
