#pragma once
// How the columns of matrices are scaled before they are rounded, so that neither an input that is large nor
// a column that is costs the others. Reference: SmoothQuant (Xiao et al., 2023), equation 4 with α = 1/2.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "vl3/checkpoint.h"
#include "vl3/quantize.h"

namespace vl3 {

// For every matrix that is scaled, by its canonical name: exponents of 2 [K], the same for all that read the
// same inputs. How large inputs are is known from the calibration, or else from the weights of the norm that
// they come from. The embedding and the head are not scaled: their rows are read as they are.
std::map<std::string, std::shared_ptr<const std::vector<int8_t>>> column_exponents(
    ThreadPool& threads, const Checkpoint& checkpoint, const Calibration& calibration);

}  // namespace vl3
