#include "checkpoint/gptq.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "vl3/thread_pool.h"

namespace vl3 {
namespace {

constexpr size_t kSide = kQuantGroup;
constexpr double kDamping = 0.05;    // of the mean of the diagonal, added to it: the paper has 0.01
using Square = std::vector<double>;  // [kSide][kSide]

// Σ x xᵀ of a group whose inputs are divided by 2^exponents and rotated.
Square rotated_moments(std::span<const float> products, std::span<const int8_t> exponents, size_t count) {
  std::vector<float> rows(products.begin(), products.end()), columns(kSide * kSide);
  const auto exponent = [&](size_t i) { return i < exponents.size() ? exponents[i] : int8_t{0}; };
  for (size_t i = 0; i < count; ++i) {
    for (size_t j = 0; j < count; ++j)
      rows[i * kSide + j] = std::ldexp(rows[i * kSide + j], -exponent(i) - exponent(j));
    rotate_groups(std::span(rows).subspan(i * kSide, count));
  }
  for (size_t i = 0; i < kSide; ++i)
    for (size_t j = 0; j < kSide; ++j) columns[j * kSide + i] = rows[i * kSide + j];
  for (size_t j = 0; j < count; ++j) rotate_groups(std::span(columns).subspan(j * kSide, count));
  return {columns.begin(), columns.end()};
}

// h = v vᵀ with v upper triangular, in place; what is below the diagonal stays as it was. False where h is
// not positive definite.
bool factorise(Square& h) {
  for (size_t j = kSide; j-- > 0;) {
    double diagonal = h[j * kSide + j];
    for (size_t m = j + 1; m < kSide; ++m) diagonal -= h[j * kSide + m] * h[j * kSide + m];
    if (!(diagonal > 0)) return false;
    h[j * kSide + j] = std::sqrt(diagonal);
    for (size_t i = 0; i < j; ++i) {
      double sum = h[i * kSide + j];
      for (size_t m = j + 1; m < kSide; ++m) sum -= h[i * kSide + m] * h[j * kSide + m];
      h[i * kSide + j] = sum / h[j * kSide + j];
    }
  }
  return true;
}

// The inverse of upper triangular v: u with uᵀ u = h⁻¹.
Square inverse_of(const Square& v) {
  Square u(kSide * kSide);
  for (size_t column = 0; column < kSide; ++column) {
    for (size_t i = column + 1; i-- > 0;) {
      double sum = i == column ? 1 : 0;
      for (size_t m = i + 1; m <= column; ++m) sum -= v[i * kSide + m] * u[m * kSide + column];
      u[i * kSide + column] = sum / v[i * kSide + i];
    }
  }
  return u;
}

}  // namespace

Gptq::Gptq(ThreadPool& threads, DType dtype, const InputMoments& moments, int64_t k,
           std::span<const int8_t> exponents)
    : dtype_(dtype) {
  const int64_t groups = quant_groups(k);
  require(moments.k == k && moments.products.size() == static_cast<size_t>(groups) * kSide * kSide,
          ErrorCode::kInvalidArgument, "[gptq] inputs of width {} for a matrix of width {}", moments.k, k);
  shares_.resize(moments.products.size());
  threads.parallel_for(groups, 1, [&](int64_t group, int64_t, int) {
    const auto g = static_cast<size_t>(group);
    const size_t first = g * kSide, count = std::min(kSide, static_cast<size_t>(k) - first);
    const auto scaled = exponents.empty() ? exponents : exponents.subspan(first, count);
    Square h =
        rotated_moments(std::span(moments.products).subspan(first * kSide, kSide * kSide), scaled, count);
    double mean = 0;
    for (size_t i = 0; i < count; ++i) mean += h[i * kSide + i] / static_cast<double>(count);
    for (size_t i = 0; i < kSide; ++i) h[i * kSide + i] += i < count ? kDamping * mean : 1.0;
    if (!(mean > 0) || !std::isfinite(mean) || !factorise(h)) return;  // inputs that never were: to nearest
    const Square u = inverse_of(h);
    for (size_t j = 0; j < kSide; ++j)
      for (size_t i = j + 1; i < kSide; ++i)
        shares_[(first + j) * kSide + i] = static_cast<float>(u[j * kSide + i] / u[j * kSide + j]);
  });
}

void Gptq::operator()(std::span<float> row, std::span<GroupCode> codes, std::span<uint8_t> q) const {
  for (size_t g = 0; g < codes.size(); ++g) {
    const size_t first = g * kSide, count = std::min(kSide, row.size() - first);
    const auto group = row.subspan(first, count);
    GroupCode& code = codes[g] = fit_group(dtype_, group);
    for (size_t j = 0; j < count; ++j) {
      if (dtype_ == DType::kInt4 && j % kQuantPart == 0)
        fit_part(code, static_cast<int64_t>(j / kQuantPart),
                 group.subspan(j, std::min<size_t>(kQuantPart, count - j)));
      const float error = group[j] - code.rounded(dtype_, static_cast<int64_t>(j), group[j], &q[first + j]);
      const float* shares = shares_.data() + (first + j) * kSide;
      for (size_t i = j + 1; i < count; ++i) group[i] -= error * shares[i];
    }
  }
}

}  // namespace vl3
