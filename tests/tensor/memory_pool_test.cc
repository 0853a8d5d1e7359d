#include "tensor/memory_pool.h"

#include <cstring>
#include <random>
#include <vector>

#include "support/support.h"

namespace vl3 {
namespace {

using Buffer = std::shared_ptr<Storage>;

TEST(MemoryPool, WhatIsLetGoIsJoinedAndUsedAgain) {
  const auto pool = std::make_shared<MemoryPool>();
  Buffer a = pool->take(1000), b = pool->take(2000), c = pool->take(3000), d = pool->take(10);
  const std::byte* const first = a->data();
  EXPECT_LT(a->data(), b->data());
  EXPECT_LT(b->data(), c->data());
  a.reset();
  c.reset();
  EXPECT_EQ(pool->take(2500)->data(), b->data() + b->bytes())
      << "the place of c, since that of a is too small";
  b.reset();  // between two free places
  a = pool->take(6000);
  EXPECT_EQ(a->data(), first);
  EXPECT_EQ(pool->used(), a->bytes() + d->bytes());
  a.reset();
  d.reset();
  EXPECT_EQ(pool->used(), 0U);
  EXPECT_GT(pool->held(), 0U);
  pool->release_unused();
  EXPECT_EQ(pool->held(), 0U);
}

TEST(MemoryPool, LargeBuffersGetARegionOfTheirOwn) {
  const auto pool = std::make_shared<MemoryPool>();
  const Buffer small = pool->take(100);
  Buffer large = pool->take(size_t{100} << 20);
  const size_t bytes = large->bytes();
  EXPECT_EQ(pool->held(), small->bytes() + bytes);
  large.reset();
  pool->release_unused();
  EXPECT_EQ(pool->held(), small->bytes()) << "the other region goes";
  EXPECT_EQ(pool->peak(), small->bytes() + bytes);
}

TEST(MemoryPool, BuffersDoNotOverlapWhateverComesAndGoes) {
  const auto pool = std::make_shared<MemoryPool>();
  std::mt19937 random(3);
  const auto below = [&](unsigned n) { return random() % n; };
  struct Held {
    Buffer buffer;
    size_t bytes;
    int mark;
  };
  std::vector<Held> held;
  size_t most = 0;
  const auto check = [](const Held& h) {
    for (size_t i = 0; i < h.bytes; ++i) {
      if (h.buffer->data()[i] != std::byte(h.mark)) return false;
    }
#if !defined(__SANITIZE_ADDRESS__)
    for (size_t i = h.bytes; i < h.buffer->bytes(); ++i) {
      if (h.buffer->data()[i] != MemoryPool::kGuard) return false;
    }
#endif
    return true;
  };
  for (int step = 0; step < 3000; ++step) {
    if (held.size() < 20 && below(2) == 0) {
      const size_t bytes = below(4) == 0 ? 1 << below(21) : below(5000);
      Buffer buffer = pool->take(bytes);
      ASSERT_EQ(reinterpret_cast<uintptr_t>(buffer->data()) % 64, 0U);
      ASSERT_GE(buffer->bytes(), bytes + 64);
      const int mark = static_cast<int>(below(100));
      std::memset(buffer->mutable_data(), mark, bytes);
      held.push_back({std::move(buffer), bytes, mark});
    } else if (!held.empty()) {
      const size_t i = below(static_cast<unsigned>(held.size()));
      ASSERT_TRUE(check(held[i])) << step;
      std::swap(held[i], held.back());
      held.pop_back();
    }
    size_t sum = 0;
    for (const Held& h : held) sum += h.buffer->bytes();
    ASSERT_EQ(pool->used(), sum);
    most = std::max(most, sum);
  }
  EXPECT_EQ(pool->peak(), most);
  EXPECT_LE(pool->held(), 2 * most);
  held.clear();
  pool->release_unused();
  EXPECT_EQ(pool->held(), 0U);
}

TEST(MemoryPool, ABufferMayOutliveThePoolsOwner) {
  auto pool = std::make_shared<MemoryPool>();
  Buffer buffer = pool->take(100);
  pool.reset();
  std::memset(buffer->mutable_data(), 1, 100);
  buffer.reset();
}

}  // namespace
}  // namespace vl3
