// The pool of blocks against counts kept by hand, and caches on a pool that runs out.

#include "model/kv_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <random>
#include <thread>

#include "model/kv_cache.h"
#include "support/fake_backend.h"

namespace vl3 {
namespace {

constexpr KvShape kShape{2, 1, 4};
constexpr int64_t kBytes = 2 * 2 * 64 * 4 * 4;  // of a block in f32

std::shared_ptr<KvPool> pool_of(int64_t blocks, int64_t slab_blocks = 4) {
  return KvPool::create(kShape, CacheType::kF32,
                        {.budget_bytes = blocks * kBytes + kBytes / 2, .slab_bytes = slab_blocks * kBytes});
}

void write(const KvBlockRef& block, int64_t number) { std::memcpy(block.data(), &number, sizeof number); }
int64_t read(const KvBlockRef& block) {
  int64_t number;
  std::memcpy(&number, block.data(), sizeof number);
  return number;
}

TEST(KvPool, CountsBlocksOfItsBudget) {
  const auto pool = pool_of(10);
  EXPECT_EQ(pool->block_bytes(), kBytes);
  EXPECT_EQ(KvPool::block_bytes_of(kShape, CacheType::kF32), kBytes);
  EXPECT_EQ(pool->max_blocks(), 10);
  EXPECT_EQ(pool->held_blocks(), 0) << "memory is taken when it is needed";
  std::vector<KvBlockRef> some = pool->allocate(3);
  const KvBlockRef again = some[0];
  EXPECT_EQ(pool->used_blocks(), 3);
  EXPECT_EQ(pool->free_blocks(), 7);
  EXPECT_TRUE(some[0].shared() && again.shared() && !some[1].shared());
  some.clear();
  EXPECT_EQ(pool->used_blocks(), 1) << "one is still held";
  EXPECT_EQ(pool->peak_blocks(), 3);
  EXPECT_FALSE(again.shared());
  const auto rest = pool->allocate(9);
  EXPECT_EQ(pool->free_blocks(), 0);
  EXPECT_EQ(pool->held_blocks(), 10) << "never more than the budget";
  EXPECT_FALSE(pool->make_free(1));
  EXPECT_TRUE(pool->make_free(0));
}

// Blocks are memory of the pool's device, and a cache's own copy of a shared block is made there.
TEST(KvPool, BlocksComeFromItsBackend) {
  const auto fake = std::make_shared<test::FakeBackend>();
  const auto pool = KvPool::create(kShape, CacheType::kF32, {.slab_bytes = 0, .backend = fake});
  KvCache cache(pool);
  cache.reserve(70);
  EXPECT_EQ(fake->allocations, 2);
  cache.advance(70);
  const KvCache fork = cache.fork();
  EXPECT_EQ(fake->copies, 0);
  cache.reserve(1);  // the second block is written to next
  EXPECT_EQ(fake->allocations, 3);
  EXPECT_EQ(fake->copies, 1);
  EXPECT_EQ(pool->used_blocks(), 3);
  EXPECT_GT(fake.use_count(), 1) << "the pool holds its backend";
}

TEST(KvPool, RefusalTakesNothing) {
  const auto pool = pool_of(4);
  const auto some = pool->allocate(3);
  try {
    pool->allocate(2);
    ADD_FAILURE() << "nothing was thrown";
  } catch (const KvPoolFull& full) {
    EXPECT_EQ(full.code(), ErrorCode::kLimitExceeded);
    EXPECT_EQ(full.wanted(), 2);
    EXPECT_EQ(full.free(), 1);
    EXPECT_NE(std::string(full.what()).find(std::to_string(4 * kBytes + kBytes / 2)), std::string::npos)
        << full.what();
  }
  EXPECT_EQ(pool->used_blocks(), 3);
  EXPECT_EQ(pool->allocate(1).size(), 1u);
  EXPECT_THROW(KvPool::create(kShape, CacheType::kF32, {.budget_bytes = kBytes - 1}), Error);
  EXPECT_THROW(KvPool::create(kShape, CacheType::kF32, {.budget_bytes = -1}), Error);
  EXPECT_THROW(KvPool::create({int64_t{1} << 40, int64_t{1} << 40, 4}, CacheType::kF32), Error);
  EXPECT_THROW(pool->allocate(-1), Error);
}

TEST(KvPool, MemoryGoesBackToTheSystem) {
  const auto pool = pool_of(64, 8);
  auto blocks = pool->allocate(20);
  blocks.resize(1);
  EXPECT_EQ(pool->held_blocks(), 20 + 4) << "slabs of 1 + ... + 8 with a budget stay";
  pool->release_unused();
  EXPECT_LE(pool->held_blocks(), 8);
  EXPECT_GE(pool->held_blocks(), 1);
  write(blocks[0], 42);
  EXPECT_EQ(pool->allocate(63).size(), 63u);
  EXPECT_EQ(read(blocks[0]), 42);

  const auto unlimited = KvPool::create(kShape, CacheType::kF16, {.slab_bytes = 0});
  { const auto many = unlimited->allocate(100); }
  EXPECT_EQ(unlimited->held_blocks(), 1) << "one is kept";
  EXPECT_EQ(unlimited->free_blocks(), KvPool::kNoLimit);
  EXPECT_EQ(unlimited->peak_blocks(), 100);
}

TEST(KvPool, LivesAsLongAsABlockOfIt) {
  std::weak_ptr<KvPool> watched;
  KvBlockRef block;
  {
    const auto pool = KvPool::create(kShape, CacheType::kF32);
    watched = pool;
    block = pool->allocate(2)[1];
  }
  ASSERT_FALSE(watched.expired());
  write(block, 7);
  EXPECT_EQ(read(block), 7);
  block = {};
  EXPECT_TRUE(watched.expired());
}

TEST(KvPool, AsksItsReclaimerBeforeItRefuses) {
  const auto pool = pool_of(6);
  std::vector<KvBlockRef> kept = pool->allocate(4);
  std::vector<int64_t> asked;
  pool->set_reclaimer([&](const KvPool& asking, int64_t missing) -> int64_t {
    EXPECT_EQ(&asking, pool.get());
    asked.push_back(missing);
    if (kept.empty()) return 0;
    kept.pop_back();  // one at a time: asked again
    return 1;
  });
  EXPECT_EQ(pool->allocate(2).size(), 2u);
  EXPECT_TRUE(asked.empty()) << "there were two";
  EXPECT_EQ(pool->allocate(4).size(), 4u);
  EXPECT_EQ(asked, (std::vector<int64_t>{2, 1}));
  const auto held = pool->allocate(4);
  EXPECT_THROW(pool->allocate(7), KvPoolFull) << "more than there are: nobody is asked";
  EXPECT_EQ(kept.size(), 2u);
  EXPECT_TRUE(pool->make_free(2));
  EXPECT_THROW(pool->allocate(3), KvPoolFull);
  EXPECT_TRUE(kept.empty());
  EXPECT_EQ(pool->free_blocks(), 2);
}

// Thousands of steps against a list of numbers: what a block holds stays, and counts are exact.
TEST(KvPool, RandomStepsEqualAModel) {
  for (const int64_t slab : {0, 1, 5}) {
    std::mt19937 random(11);
    const auto pool = pool_of(40, slab);
    struct Held {
      std::vector<KvBlockRef> refs;
      std::vector<int64_t> numbers;
    };
    std::vector<Held> holders(6);
    std::map<int64_t, int> model;  // number of a block → holders
    int64_t next = 0;
    for (int step = 0; step < 6000; ++step) {
      Held& one = holders[random() % holders.size()];
      switch (random() % 5) {
        case 0:
        case 1: {
          const auto count = static_cast<int64_t>(random() % 9);
          if (static_cast<int64_t>(model.size()) + count > 40) {
            EXPECT_THROW(pool->allocate(count), KvPoolFull);
            break;
          }
          for (KvBlockRef& block : pool->allocate(count)) {
            write(block, next);
            one.refs.push_back(std::move(block));
            one.numbers.push_back(next);
            ++model[next++];
          }
          break;
        }
        case 2: {
          Held& other = holders[random() % holders.size()];
          if (&other == &one || one.refs.size() > 60) break;
          for (size_t i = 0; i < other.refs.size(); i += 2) {
            one.refs.push_back(other.refs[i]);
            one.numbers.push_back(other.numbers[i]);
            ++model[other.numbers[i]];
          }
          break;
        }
        default:
          for (size_t count = random() % 12; count > 0 && !one.refs.empty(); --count) {
            if (--model[one.numbers.back()] == 0) model.erase(one.numbers.back());
            one.refs.pop_back();
            one.numbers.pop_back();
          }
          if (random() % 50 == 0) pool->release_unused();
      }
      ASSERT_EQ(pool->used_blocks(), static_cast<int64_t>(model.size()));
      ASSERT_EQ(pool->free_blocks(), 40 - static_cast<int64_t>(model.size()));
      if (step % 50 != 0) continue;
      for (const Held& holder : holders) {
        for (size_t i = 0; i < holder.refs.size(); ++i) {
          ASSERT_EQ(read(holder.refs[i]), holder.numbers[i]);
          ASSERT_EQ(holder.refs[i].shared(), model[holder.numbers[i]] > 1);
        }
      }
    }
    holders.clear();
    EXPECT_EQ(pool->free_blocks(), pool->max_blocks());
    pool->release_unused();
    EXPECT_EQ(pool->held_blocks(), 0);
  }
}

TEST(KvPool, ThreadsTakeShareAndGiveBack) {
  const auto pool = pool_of(64, 3);
  std::vector<KvBlockRef> common = pool->allocate(8);
  for (size_t i = 0; i < common.size(); ++i) write(common[i], static_cast<int64_t>(i));
  std::atomic<int64_t> refused{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(static_cast<unsigned>(t));
      std::vector<KvBlockRef> mine;
      for (int step = 0; step < 2000; ++step) {
        try {
          for (KvBlockRef& block : pool->allocate(static_cast<int64_t>(random() % 12))) {
            write(block, 1000 + t);
            mine.push_back(std::move(block));
          }
        } catch (const KvPoolFull&) {
          ++refused;
          mine.clear();
        }
        const KvBlockRef shared = common[random() % common.size()];
        EXPECT_LT(read(shared), 8);
        for (const KvBlockRef& block : mine) EXPECT_EQ(read(block), 1000 + t);
        if (random() % 3 == 0) mine.resize(mine.size() / 2);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(refused, 0) << "the pool ran out at times";
  EXPECT_EQ(pool->used_blocks(), 8);
}

// Caches on a pool.

Context& context() {
  static Context one(ContextOptions{.num_threads = 1});
  return one;
}

// One number for every token, in every place of it.
void feed(KvCache& cache, const std::vector<int64_t>& ids) {
  std::vector<float> numbers;
  for (const int64_t id : ids) numbers.insert(numbers.end(), 4, static_cast<float>(id));
  const Tensor rows = Tensor::from<float>({static_cast<int64_t>(ids.size()), 1, 4}, numbers);
  for (int64_t layer = 0; layer < 2; ++layer) cache.append(context(), layer, rows, rows);
  cache.advance(static_cast<int64_t>(ids.size()));
}

void expect_holds(const KvCache& cache, const std::vector<int64_t>& ids) {
  ASSERT_EQ(cache.length(), static_cast<int64_t>(ids.size()));
  const ops::KeyValueView view = cache.view(1, cache.length());
  for (int64_t t = 0; t < cache.length(); ++t) {
    float number;
    std::memcpy(&number, view.values(t / 64) + t % 64 * view.token_stride + 12, sizeof number);
    ASSERT_EQ(number, static_cast<float>(ids[static_cast<size_t>(t)])) << t;
  }
}

std::vector<int64_t> range(int64_t begin, int64_t end) {
  std::vector<int64_t> ids;
  for (int64_t i = begin; i < end; ++i) ids.push_back(i);
  return ids;
}

TEST(KvCacheOnAPool, AStepGetsAllItsBlocksOrNone) {
  const auto pool = pool_of(6);
  std::vector<KvCache> caches;
  for (int i = 0; i < 3; ++i) {
    caches.emplace_back(pool);
    caches[static_cast<size_t>(i)].reserve(60);
    feed(caches[static_cast<size_t>(i)], range(100 * i, 100 * i + 60));
  }
  KvCache fork = caches[0].fork();
  EXPECT_EQ(pool->used_blocks(), 3);
  EXPECT_EQ(fork.blocks_needed(4), 1) << "a copy of its block";
  EXPECT_EQ(fork.blocks_needed(5), 2) << "and one behind";
  EXPECT_EQ(caches[1].blocks_needed(4), 0);
  EXPECT_EQ(caches[1].blocks_needed(0), 0);
  KvCache* const all[] = {&caches[0], &caches[1], &caches[2], &fork};
  const int64_t counts[] = {4, 5, 70, 3};  // 1 (a copy), 1, 2 and 1 (a copy)
  const std::byte* const before = caches[0].view(0, 60).keys(0);
  EXPECT_THROW(reserve(all, counts), KvPoolFull);
  EXPECT_EQ(pool->used_blocks(), 3);
  EXPECT_EQ(caches[0].view(0, 60).keys(0), before);
  for (size_t i = 0; i < 3; ++i)
    expect_holds(caches[i], range(100 * static_cast<int64_t>(i), 100 * static_cast<int64_t>(i) + 60));
  expect_holds(fork, range(0, 60));
  EXPECT_THROW(caches[1].view(0, 65), Error) << "nothing was reserved";
  EXPECT_THROW(caches[2].reserve(64 * 4), KvPoolFull);
  EXPECT_EQ(pool->used_blocks(), 3);

  const int64_t fewer[] = {4, 4, 5, 3};  // 1 (a copy), 0, 1 and 1, which the fork turns out not to need
  reserve(all, fewer);
  EXPECT_EQ(pool->used_blocks(), 5);
  for (size_t i = 0; i < 4; ++i) feed(*all[i], range(1000, 1000 + fewer[i]));
  auto expected = range(0, 60);
  for (const int64_t id : range(1000, 1003)) expected.push_back(id);
  expect_holds(fork, expected);
  caches.clear();
  EXPECT_EQ(pool->used_blocks(), 1);
  const KvCache moved = std::move(fork);
  EXPECT_EQ(fork.length(), 0);  // NOLINT(bugprone-use-after-move): says what is left
  expect_holds(moved, expected);
}

TEST(KvCacheOnAPool, WhatWasReservedIsGivenBackByTruncate) {
  const auto pool = pool_of(6);
  KvCache cache(pool);
  cache.reserve(10);
  feed(cache, range(0, 10));
  cache.reserve(300);
  EXPECT_EQ(pool->used_blocks(), 5);
  cache.truncate(10);
  EXPECT_EQ(pool->used_blocks(), 1);
  expect_holds(cache, range(0, 10));
  cache.truncate(0);
  EXPECT_EQ(pool->free_blocks(), 6);
}

TEST(KvCacheOnAPool, RandomStepsThatRunOutEqualPlainLists) {
  std::mt19937 random(23);
  const auto pool = pool_of(24);
  std::vector<std::pair<KvCache, std::vector<int64_t>>> caches;
  int refused = 0;
  int64_t next = 0;
  for (int step = 0; step < 4000; ++step) {
    if (caches.empty()) caches.emplace_back(KvCache(pool), std::vector<int64_t>());
    auto& [cache, ids] = caches[random() % caches.size()];
    switch (random() % 8) {
      case 0:
        caches.emplace_back(cache.fork(), std::vector<int64_t>(ids));
        break;
      case 1:
        caches.erase(caches.begin() + static_cast<int64_t>(random() % caches.size()));
        break;
      case 2: {
        const auto length = random() % (ids.size() + 1);
        cache.truncate(static_cast<int64_t>(length));
        ids.resize(length);
        break;
      }
      default: {
        const auto count = static_cast<int64_t>(random() % 120);
        const int64_t needed = cache.blocks_needed(count), free = pool->free_blocks();
        try {
          cache.reserve(count);
          ASSERT_LE(needed, free);
          ASSERT_EQ(pool->free_blocks(), free - needed) << "as many as were said";
          const auto more = range(next, next + count);
          feed(cache, more);
          ids.insert(ids.end(), more.begin(), more.end());
          next = (next + count) % 1000000;
        } catch (const KvPoolFull&) {
          ++refused;
          ASSERT_GT(needed, free);
          ASSERT_EQ(pool->free_blocks(), free);
          expect_holds(cache, ids);
        }
      }
    }
    if (step % 40 == 0) {
      for (const auto& [one, expected] : caches) expect_holds(one, expected);
    }
  }
  EXPECT_GT(refused, 100);
  caches.clear();
  EXPECT_EQ(pool->free_blocks(), pool->max_blocks());
}

}  // namespace
}  // namespace vl3
