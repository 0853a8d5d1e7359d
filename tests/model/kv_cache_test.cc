#include "model/kv_cache.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "vl3/error.h"

namespace vl3 {
namespace {

constexpr KvShape kShape{3, 2, 4};

// What token number id looks like: every number of it tells layer, head, place, and key or value.
float number(int64_t id, int64_t layer, int64_t head, int64_t d, bool value) {
  return static_cast<float>(id * 1000 + layer * 100 + head * 10 + d) + (value ? 0.5f : 0.0f);
}

using Ids = std::vector<int64_t>;

Context& context() {
  static Context one(
      ContextOptions{.num_threads = 1, .compute = Compute::kAuto, .cache = {}, .cpu = {}, .log = {}});
  return one;
}

float float_at(const std::byte* p) {
  float value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

void feed(KvCache& cache, const Ids& ids) {
  const int64_t count = static_cast<int64_t>(ids.size());
  cache.reserve(count);
  for (int64_t layer = 0; layer < kShape.num_layers; ++layer) {
    std::vector<float> k, v;
    for (int64_t i = 0; i < count * 8; ++i) {
      const int64_t id = ids[static_cast<size_t>(i / 8)];
      k.push_back(number(id, layer, i / 4 % 2, i % 4, false));
      v.push_back(number(id, layer, i / 4 % 2, i % 4, true));
    }
    const Shape shape = {count, kShape.num_kv_heads, kShape.head_dim};
    cache.append(context(), layer, Tensor::from(shape, k), Tensor::from(shape, v));
  }
  cache.advance(count);
}

// All numbers of all layers, through the view.
void expect_holds(const KvCache& cache, const Ids& ids) {
  ASSERT_EQ(cache.length(), static_cast<int64_t>(ids.size()));
  for (int64_t layer = 0; layer < kShape.num_layers; ++layer) {
    const ops::KeyValueView view = cache.view(layer, cache.length());
    ASSERT_EQ(view.length, cache.length());
    ASSERT_EQ(view.blocks.size(), (ids.size() + 63) / 64);
    for (int64_t t = 0; t < view.length; ++t) {
      for (int64_t i = 0; i < 8; ++i) {
        const int64_t block = t / view.block_tokens;
        const int64_t at = t % view.block_tokens * view.token_stride + i / 4 * view.head_stride + i % 4 * 4;
        const int64_t id = ids[static_cast<size_t>(t)];
        ASSERT_EQ(float_at(view.keys(block) + at), number(id, layer, i / 4, i % 4, false)) << t;
        ASSERT_EQ(float_at(view.values(block) + at), number(id, layer, i / 4, i % 4, true)) << t;
      }
    }
  }
}

Ids range(int64_t begin, int64_t end) {
  Ids ids;
  for (int64_t i = begin; i < end; ++i) ids.push_back(i);
  return ids;
}

Ids joined(Ids a, const Ids& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

template <class F>
void expect_refused(F&& f) {
  try {
    f();
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument) << error.what();
    EXPECT_NE(std::string(error.what()).find("[kv_cache]"), std::string::npos) << error.what();
  }
}

TEST(KvCache, AppendsAcrossBlocks) {
  for (const int64_t step : {1, 7, 63, 64, 65, 200}) {
    KvCache cache(kShape);
    Ids all;
    expect_holds(cache, all);
    while (all.size() < 200) {
      const Ids next = range(static_cast<int64_t>(all.size()), static_cast<int64_t>(all.size()) + step);
      feed(cache, next);
      all = joined(all, next);
    }
    expect_holds(cache, all);
    EXPECT_EQ(cache.bytes(), (all.size() + 63) / 64 * 3 * 2 * 2 * 64 * 4 * sizeof(float));
  }
}

TEST(KvCache, AViewSeesWhatWasAppendedBeforeAdvance) {
  KvCache cache(kShape);
  feed(cache, range(0, 63));
  cache.reserve(2);
  std::vector<float> numbers(16);
  numbers[8] = 42;
  const Tensor k = Tensor::from<float>({2, 2, 4}, numbers);
  cache.append(context(), 1, k, k);
  EXPECT_EQ(cache.length(), 63);
  const ops::KeyValueView view = cache.view(1, 65);
  EXPECT_EQ(float_at(view.keys(1)), 42);
  EXPECT_EQ(view.length, 65);
}

TEST(KvCache, ForksShareBlocksUntilOneWrites) {
  KvCache a(kShape);
  feed(a, range(0, 100));
  KvCache b = a.fork();
  for (int64_t i = 0; i < 2; ++i) EXPECT_EQ(a.view(0, 100).keys(i), b.view(0, 100).keys(i));
  feed(b, {500});
  EXPECT_EQ(a.view(0, 100).keys(0), b.view(0, 100).keys(0)) << "a full block stays shared";
  EXPECT_NE(a.view(0, 100).keys(1), b.view(0, 100).keys(1)) << "the written one does not";
  feed(a, {600, 601});
  expect_holds(a, joined(range(0, 100), {600, 601}));
  expect_holds(b, joined(range(0, 100), {500}));
  const std::byte* mine = b.view(0, 1).keys(0);
  { const KvCache dropped = std::move(a); }
  b.truncate(10);
  feed(b, {7});
  EXPECT_EQ(b.view(0, 1).keys(0), mine) << "the last holder writes in place";
  expect_holds(b, joined(range(0, 10), {7}));
}

TEST(KvCache, TruncatingAForkLeavesTheOtherAlone) {
  KvCache a(kShape);
  feed(a, range(0, 130));
  for (const int64_t length : {0, 1, 63, 64, 65, 128, 130}) {
    KvCache b = a.fork();
    b.truncate(length);
    expect_holds(b, range(0, length));
    feed(b, range(1000, 1070));
    expect_holds(b, joined(range(0, length), range(1000, 1070)));
    expect_holds(a, range(0, 130));
  }
}

TEST(KvCache, RandomStepsOnManyForksEqualPlainLists) {
  std::mt19937 random(7);  // fixed: the same steps every time
  std::vector<KvCache> caches;
  std::vector<Ids> lists;
  caches.emplace_back(kShape);
  lists.emplace_back();
  int64_t next = 0;
  for (int step = 0; step < 400; ++step) {
    const size_t i = random() % caches.size();
    switch (random() % 4) {
      case 0:
        if (caches.size() < 6) {
          caches.push_back(caches[i].fork());
          lists.push_back(Ids(lists[i]));
        } else {
          caches.erase(caches.begin() + static_cast<int64_t>(i));
          lists.erase(lists.begin() + static_cast<int64_t>(i));
        }
        break;
      case 1: {
        const size_t length = random() % (lists[i].size() + 1);
        caches[i].truncate(static_cast<int64_t>(length));
        lists[i].resize(length);
        break;
      }
      default: {
        const Ids ids = range(next, next + static_cast<int64_t>(random() % 40));
        next = (next + 40) % 8000;  // so that the numbers stay exact in f32
        if (lists[i].size() < 400) {
          feed(caches[i], ids);
          lists[i] = joined(lists[i], ids);
        }
      }
    }
    if (step % 20 == 0) {
      for (size_t j = 0; j < caches.size(); ++j) expect_holds(caches[j], lists[j]);
    }
  }
  for (size_t j = 0; j < caches.size(); ++j) expect_holds(caches[j], lists[j]);
}

TEST(KvCache, RefusesWhatItCannotHold) {
  KvCache cache(kShape);
  feed(cache, range(0, 5));
  expect_refused([&] { cache.truncate(6); });
  expect_refused([&] { cache.truncate(-1); });
  expect_refused([&] { cache.reserve(-1); });
  const Tensor one = Tensor::zeros({1, 2, 4}, DType::kF32), wide = Tensor::zeros({1, 2, 5}, DType::kF32);
  expect_refused([&] { cache.append(context(), 3, one, one); });
  expect_refused([&] { cache.append(context(), -1, one, one); });
  expect_refused([&] { cache.append(context(), 0, wide, wide); });
  expect_refused([&] { cache.append(context(), 0, one, wide); });
  const Tensor many = Tensor::zeros({60, 2, 4}, DType::kF32);
  expect_refused([&] { cache.append(context(), 0, many, many); });  // nobody reserved room for so many
  expect_refused([&] { cache.view(0, 65); });
  expect_refused([&] { cache.view(3, 5); });
  expect_refused([&] { cache.advance(60); });
  expect_refused([&] { cache.advance(-1); });
  expect_holds(cache, range(0, 5));
}

}  // namespace
}  // namespace vl3
