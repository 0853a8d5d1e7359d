#pragma once
// How far what the matrices of a model give is from what those of another one give for the same inputs.

#include <map>
#include <string>
#include <vector>

#include "bench/logit_change.h"

namespace vl3 {

// Inputs are those of the first model, so that an error is of one matrix alone (its weights and how its
// products are computed) and not of what came before it.
class ProductSums {
 public:
  ProductSums(const ComparedModel& model, const ComparedModel& changed);

  // While it lives, products of the first model with this context are compared. One at a time.
  class Watch {
   public:
    Watch(Context& context, ProductSums& sums);
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

   private:
    Context& context_;
  };

  // Of all matrices that were multiplied with, the worst first.
  std::vector<ProductChange> means() const;

 private:
  struct Matrix {
    std::string name;
    const Tensor weight, changed;  // [N, K]
    double errors = 0;
    int64_t rows = 0;
  };

  void add(Context& context, const Tensor& inputs, Matrix& matrix);

  const Compute compute_, changed_compute_;
  std::map<const void*, Matrix> by_address_;  // of the first model's weight
  bool busy_ = false;                         // with products of its own
};

}  // namespace vl3
