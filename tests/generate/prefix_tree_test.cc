// The tree of prefixes against lists of what was inserted, and what it gives back when a pool runs out.

#include "generate/prefix_tree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <set>
#include <thread>

#include "support/support.h"

namespace vl3 {
namespace {

constexpr KvShape kShape{1, 1, 4};
const CacheKind kKind{CacheType::kF32, Compute::kF32};
constexpr int64_t kBlock = KvPool::kBlockTokens;

std::shared_ptr<KvPool> pool_of(int64_t blocks) {
  const auto unlimited = KvPool::create(kShape, CacheType::kF32);
  if (blocks == 0) return unlimited;
  return KvPool::create(kShape, CacheType::kF32, {.budget_bytes = blocks * unlimited->block_bytes()});
}

// The tokens of key behind those that cache holds: the key of a token is its id.
void feed(KvCache& cache, const CacheKey& key) {
  const int64_t count = static_cast<int64_t>(key.size()) - cache.length();
  if (count == 0) return;
  Context context(ContextOptions{.num_threads = 1});
  cache.reserve(count);
  std::vector<float> numbers;
  for (size_t i = key.size() - static_cast<size_t>(count); i < key.size(); ++i)
    numbers.insert(numbers.end(), 4, static_cast<float>(key[i]));
  const Tensor rows = Tensor::from<float>({count, 1, 4}, numbers);
  cache.append(context, 0, rows, rows);
  cache.advance(count);
}

void expect_holds(const KvCache& cache, std::span<const int64_t> key) {
  const auto view = cache.view(0, cache.length());
  for (int64_t t = 0; t < cache.length(); ++t) {
    float number;
    std::memcpy(&number, view.keys(t / kBlock) + t % kBlock * view.token_stride, sizeof number);
    ASSERT_EQ(number, static_cast<float>(key[static_cast<size_t>(t)])) << t;
  }
}

KvCache filled(const std::shared_ptr<KvPool>& pool, const CacheKey& key) {
  KvCache cache(pool);
  feed(cache, key);
  return cache;
}

// count tokens from number first on, so that other firsts have no token in common.
CacheKey tokens(int64_t first, int64_t count) {
  CacheKey key;
  for (int64_t i = 0; i < count; ++i) key.push_back(first + i);
  return key;
}

CacheKey joined(CacheKey a, const CacheKey& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

int64_t found(PrefixTree& tree, const CacheKey& key, const CacheKind& kind = kKind) {
  const KvCache cache = tree.find(key, kind, KvCache(kShape, kind.type));
  if (cache.length() > 0) expect_holds(cache, key);
  return cache.length();
}

TEST(PrefixTree, FindsTheLongestBeginningToTheToken) {
  const auto pool = pool_of(0);
  PrefixTree tree;
  const CacheKey key = tokens(0, 200);
  EXPECT_EQ(found(tree, key), 0);
  tree.insert(key, filled(pool, key), kKind);
  EXPECT_EQ(tree.blocks(), 4);
  EXPECT_EQ(tree.bytes(), 4 * pool->block_bytes());
  EXPECT_EQ(pool->used_blocks(), 4);
  EXPECT_EQ(found(tree, key), 199) << "all but the last token: its logits are wanted";
  EXPECT_EQ(found(tree, joined(key, {7})), 200);
  for (const int64_t length : {64, 65, 100, 128, 199})
    EXPECT_EQ(found(tree, joined(tokens(0, length), tokens(1000, 90))), length);
  EXPECT_EQ(found(tree, joined(tokens(0, 63), tokens(1000, 90))), 0) << "less than a block is not worth it";
  EXPECT_EQ(found(tree, tokens(0, 64)), 0) << "63 of them";
  EXPECT_EQ(found(tree, tokens(1, 199)), 0);
  EXPECT_EQ(found(tree, {}), 0);
  EXPECT_EQ(tree.reused_tokens(), 199 + 200 + 64 + 65 + 100 + 128 + 199);
}

TEST(PrefixTree, ContentIdsTellVisualTokensApart) {
  const auto pool = pool_of(0);
  PrefixTree tree;
  CacheKey one = tokens(0, 70), other = one;
  for (size_t i = 10; i < 70; ++i) {
    one[i] = -1000 - static_cast<int64_t>(i);
    other[i] = -2000 - static_cast<int64_t>(i);
  }
  tree.insert(one, filled(pool, one), kKind);
  EXPECT_EQ(found(tree, joined(one, tokens(500, 5))), 70);
  EXPECT_EQ(found(tree, joined(other, tokens(500, 5))), 0);
}

TEST(PrefixTree, AnswersContinuePromptsAndSharedBlocksCountOnce) {
  const auto pool = pool_of(0);
  PrefixTree tree;
  const CacheKey prompt = tokens(0, 100);
  KvCache cache = filled(pool, prompt);
  tree.insert(prompt, cache, kKind);
  EXPECT_EQ(tree.blocks(), 2);
  const CacheKey turn = joined(prompt, tokens(500, 60));
  feed(cache, turn);
  tree.insert(joined(turn, {9}), cache, kKind);  // the answer's last token has no keys yet
  EXPECT_EQ(tree.blocks(), 3) << "the part of a block went into the whole one";
  EXPECT_EQ(found(tree, joined(turn, {9, 8, 7})), 160);
  const CacheKey other = joined(prompt, tokens(700, 60));
  KvCache second = tree.find(other, kKind, KvCache(pool));
  EXPECT_EQ(second.length(), 100);
  feed(second, other);
  tree.insert(other, second, kKind);
  EXPECT_EQ(tree.blocks(), 5) << "the first block is shared";
  EXPECT_EQ(tree.bytes(), 5 * pool->block_bytes());
  tree.insert(tokens(0, 80), filled(pool, tokens(0, 80)), kKind);
  EXPECT_EQ(tree.blocks(), 5) << "nothing new";
  cache = {};
  second = {};
  EXPECT_EQ(pool->used_blocks(), 5);
  expect_holds(tree.find(joined(turn, {1}), kKind, KvCache(pool)), turn);
  expect_holds(tree.find(joined(other, {1}), kKind, KvCache(pool)), other);
  tree.clear();
  EXPECT_EQ(pool->used_blocks(), 0);
  EXPECT_EQ(tree.bytes(), 0);
}

// Two schedulers of one model have a pool and a budget each. What one of them keeps the other goes on from
// with blocks of its own, and neither takes more than its budget.
TEST(PrefixTree, NewBlocksComeFromTheAskersPool) {
  const auto first = pool_of(4), second = pool_of(3);
  const auto tree = std::make_shared<PrefixTree>();
  reclaim_from(*first, tree);
  reclaim_from(*second, tree);
  const CacheKey prompt = tokens(0, 100), turn = joined(prompt, tokens(500, 90));
  tree->insert(prompt, filled(first, prompt), kKind);
  EXPECT_EQ(first->used_blocks(), 2);
  KvCache cache = tree->find(turn, kKind, KvCache(second));
  EXPECT_EQ(cache.length(), 100);
  EXPECT_EQ(second->used_blocks(), 0);
  feed(cache, turn);
  expect_holds(cache, turn);
  EXPECT_EQ(first->used_blocks(), 2);
  EXPECT_EQ(second->used_blocks(), 2) << "its own copy of the second block, and a third";
  tree->insert(turn, cache, kKind);
  // The second pool gets back what the tree holds of it, and the first one's blocks stay.
  cache = {};
  EXPECT_EQ(second->used_blocks(), 2);
  EXPECT_TRUE(second->make_free(3));
  EXPECT_EQ(second->used_blocks(), 0);
  EXPECT_EQ(first->used_blocks(), 1) << "the part of the second block was in the whole one";
  EXPECT_EQ(found(*tree, turn), 64);
  EXPECT_THROW(tree->find(turn, kKind, KvCache(kShape, CacheType::kF16)), Error);
}

TEST(PrefixTree, AskersWithoutABudgetHaveAPoolInCommon) {
  PrefixTree tree;
  const auto first = tree.common_pool(pool_of(0), Device{});
  EXPECT_EQ(tree.common_pool(pool_of(0), Device{}), first);
  EXPECT_NE(tree.common_pool(pool_of(0), Device{DeviceKind::kExternal, 0, "other"}), first);
  const auto half = tree.common_pool(KvPool::create(kShape, CacheType::kF16), Device{});
  EXPECT_EQ(half->type(), CacheType::kF16);
  // An answer whose blocks are all kept, and one that is let go: the third one takes no memory anew.
  const CacheKey key = tokens(0, 640);
  tree.insert(key, filled(first, key), kKind);
  filled(first, tokens(1000, 640));
  const int64_t held = first->held_blocks();
  const auto third = tree.common_pool(pool_of(0), Device{});
  EXPECT_EQ(filled(third, tokens(2000, 300)).blocks().size(), 5U);
  EXPECT_EQ(third->held_blocks(), held);
}

TEST(PrefixTree, KindsAreNotMixed) {
  const auto f32 = pool_of(0), f16 = KvPool::create(kShape, CacheType::kF16);
  PrefixTree tree;
  const CacheKey key = tokens(0, 130);
  tree.insert(key, filled(f32, key), kKind);
  for (const CacheKind& kind : {CacheKind{CacheType::kF16, Compute::kF32}, CacheKind{CacheType::kF32},
                                CacheKind{CacheType::kF32, Compute::kF32, 0},
                                CacheKind{CacheType::kF32, Compute::kF32, -1, "another's"}})
    EXPECT_EQ(found(tree, key, kind), 0);
  EXPECT_EQ(found(tree, key), 129);
  KvCache half(f16);
  feed(half, key);
  EXPECT_THROW(tree.insert(key, half, kKind), Error) << "another type than it says";
  EXPECT_THROW(tree.insert(tokens(0, 129), filled(f32, key), kKind), Error) << "a key of fewer tokens";
  tree.insert(key, half, {CacheType::kF16, Compute::kF32});
  EXPECT_EQ(tree.find(key, {CacheType::kF16, Compute::kF32}, KvCache(f16)).type(), CacheType::kF16);
  EXPECT_EQ(tree.bytes(), 3 * f32->block_bytes() + 3 * f16->block_bytes());
}

TEST(PrefixTree, WhatWasUsedLongestAgoGoesFirstEndsBeforeBeginnings) {
  const auto pool = pool_of(0);
  PrefixTree tree(6 * pool->block_bytes());
  const CacheKey a = tokens(0, 192), b = tokens(1000, 192);
  tree.insert(a, filled(pool, a), kKind);
  tree.insert(b, filled(pool, b), kKind);
  EXPECT_EQ(found(tree, joined(a, {1})), 192);
  const CacheKey c = tokens(2000, 64);
  tree.insert(c, filled(pool, c), kKind);
  EXPECT_EQ(found(tree, joined(b, {1})), 128) << "its end made room";
  EXPECT_EQ(found(tree, joined(a, {1})), 192);
  const CacheKey d = tokens(3000, 256);
  tree.insert(d, filled(pool, d), kKind);
  EXPECT_EQ(tree.bytes(), 6 * pool->block_bytes());
  EXPECT_EQ(found(tree, joined(c, {1})), 0);
  EXPECT_EQ(found(tree, joined(b, {1})), 0);
  EXPECT_EQ(found(tree, joined(a, {1})), 128);
  EXPECT_EQ(found(tree, joined(d, {1})), 256);
  const CacheKey large = tokens(4000, 640);
  tree.insert(large, filled(pool, large), kKind);
  EXPECT_EQ(found(tree, joined(large, {1})), 384) << "as much of its beginning as there is room for";
  EXPECT_EQ(tree.blocks(), 6);
  EXPECT_EQ(pool->used_blocks(), 6);
}

TEST(PrefixTree, AFullPoolTakesWhatNobodyUses) {
  const auto pool = pool_of(8);
  const auto tree = std::make_shared<PrefixTree>();
  reclaim_from(*pool, tree);
  const CacheKey a = tokens(0, 192), b = tokens(1000, 192);
  KvCache running = filled(pool, a);
  tree->insert(a, running, kKind);
  tree->insert(b, filled(pool, b), kKind);
  EXPECT_EQ(pool->free_blocks(), 2);
  // a is older, but its blocks are in use: b goes.
  const KvCache more = filled(pool, tokens(2000, 64 * 4));
  EXPECT_EQ(found(*tree, joined(a, {1})), 192);
  EXPECT_EQ(found(*tree, joined(b, {1})), 64);
  EXPECT_THROW(filled(pool, tokens(3000, 64 * 2)), KvPoolFull);
  EXPECT_EQ(found(*tree, joined(b, {1})), 0) << "all that could be freed was not enough";
  EXPECT_EQ(found(*tree, joined(a, {1})), 192) << "letting go of this frees nothing";
  // The beginning alone is free: the end, which a sequence holds without its beginning, goes for it.
  KvCache end = running.fork();
  end = end.with_blocks({running.blocks()[2]}, 64);
  running = {};
  EXPECT_EQ(pool->free_blocks(), 1);
  EXPECT_TRUE(pool->make_free(3));
  EXPECT_EQ(tree->blocks(), 0);
  end = {};
  EXPECT_EQ(pool->free_blocks(), 4);
}

TEST(PrefixTree, ThePoolDoesNotNeedTheTree) {
  const auto pool = pool_of(2);
  auto tree = std::make_shared<PrefixTree>();
  reclaim_from(*pool, tree);
  tree->insert(tokens(0, 128), filled(pool, tokens(0, 128)), kKind);
  EXPECT_EQ(pool->free_blocks(), 0);
  tree.reset();
  EXPECT_EQ(pool->free_blocks(), 2);
  const auto all = pool->allocate(2);
  EXPECT_THROW(pool->allocate(1), KvPoolFull);
}

// As many sequences as there are: a deep one and many beside each other.
TEST(PrefixTree, LongAndManySequencesAreNoBurden) {
  const auto pool = KvPool::create(kShape, CacheType::kF16);
  PrefixTree tree;
  const CacheKind kind{CacheType::kF16, Compute::kAuto};
  CacheKey key(300000);
  for (size_t i = 0; i < key.size(); ++i) key[i] = static_cast<int64_t>(i % 1000);
  KvCache cache(pool);
  cache.reserve(300000);
  cache.advance(300000);
  tree.insert(key, cache, kind);
  for (int64_t i = 0; i < 20000; ++i) {
    CacheKey branch(key.begin(), key.begin() + 128);
    branch.push_back(1000 + i);
    cache.truncate(129);
    tree.insert(branch, cache, kind);
  }
  EXPECT_EQ(tree.blocks(), 300000 / 64 + 1 + 20000);
  CacheKey asked(key.begin(), key.begin() + 128);
  for (const int64_t last : {1000, 20999, 5}) {
    asked.resize(128);
    asked.insert(asked.end(), {last, 1});
    EXPECT_EQ(tree.find(asked, kind, KvCache(pool)).length(), last == 5 ? 128 : 129);
  }
}

// What the tree should know, as plain lists.
struct Model {
  std::vector<CacheKey> inserted;

  int64_t longest(const CacheKey& key) const {
    int64_t best = 0;
    const std::span<const int64_t> asked = std::span(key).first(key.size() - 1);
    for (const CacheKey& other : inserted)
      best = std::max(best, std::ranges::mismatch(asked, other).in1 - asked.begin());
    return best < kBlock ? 0 : best;
  }
  // Whole blocks by all tokens up to their end, and ends that no other sequence goes on from.
  int64_t blocks() const {
    std::set<CacheKey> held;
    for (const CacheKey& key : inserted) {
      for (size_t end = 64; end <= key.size(); end += 64)
        held.insert({key.begin(), key.begin() + static_cast<int64_t>(end)});
      const bool continued = std::ranges::any_of(inserted, [&](const CacheKey& other) {
        return other.size() > key.size() && std::equal(key.begin(), key.end(), other.begin());
      });
      if (key.size() % 64 != 0 && !continued) held.insert(key);
    }
    return static_cast<int64_t>(held.size());
  }
};

// A key that often begins as an earlier one and leaves it anywhere.
CacheKey some_key(std::mt19937& random, const std::vector<CacheKey>& earlier) {
  CacheKey key;
  if (!earlier.empty() && random() % 4 != 0) {
    key = earlier[random() % earlier.size()];
    if (random() % 2 == 0) key.resize(random() % (key.size() + 1));
  }
  for (size_t count = 1 + random() % 150; count > 0; --count)
    key.push_back(static_cast<int64_t>(random() % 2));
  if (key.size() > 400) key.resize(400);
  return key;
}

TEST(PrefixTree, RandomSequencesEqualPlainLists) {
  for (const unsigned seed : {1u, 2u, 3u}) {
    std::mt19937 random(seed);
    const auto pool = pool_of(0);
    PrefixTree tree;
    Model model;
    for (int step = 0; step < 250; ++step) {
      const CacheKey key = some_key(random, model.inserted);
      KvCache cache = tree.find(key, kKind, KvCache(pool));
      ASSERT_EQ(cache.length(), model.longest(key));
      if (cache.length() == 0) cache = KvCache(pool);
      feed(cache, key);
      expect_holds(cache, key);
      if (random() % 4 == 0) continue;
      tree.insert(key, cache, kKind);
      model.inserted.push_back(key);
      ASSERT_EQ(tree.blocks(), model.blocks());
      ASSERT_EQ(tree.bytes(), tree.blocks() * pool->block_bytes());
    }
    EXPECT_EQ(pool->used_blocks(), tree.blocks());
    for (const CacheKey& key : model.inserted)
      ASSERT_EQ(found(tree, joined(key, {5})), model.longest(joined(key, {5})));
  }
}

// Sequences come, go on, fork and leave on a pool that is always too small; everything that is found is
// right.
TEST(PrefixTree, RandomSequencesOnASmallPoolStayRightAndLeakNothing) {
  std::mt19937 random(5);
  const auto pool = pool_of(40);
  const auto tree = std::make_shared<PrefixTree>(30 * pool->block_bytes());
  reclaim_from(*pool, tree);
  struct Running {
    KvCache cache;
    CacheKey key;
  };
  std::vector<Running> running;
  std::vector<CacheKey> earlier;
  int64_t reused = 0, preempted = 0;
  for (int step = 0; step < 5000; ++step) {
    const size_t choice = random() % 8;
    if (running.empty() || choice < 3) {
      const CacheKey key = some_key(random, earlier);
      KvCache cache = tree->find(key, kKind, KvCache(pool));
      reused += cache.length();
      if (cache.length() == 0) cache = KvCache(pool);
      expect_holds(cache, key);
      running.push_back({std::move(cache), key});
      if (earlier.size() > 30) earlier.erase(earlier.begin());
      earlier.push_back(key);
    } else if (choice == 3) {
      const Running& one = running[random() % running.size()];
      running.push_back({one.cache.fork(), one.key});
    } else if (choice == 4) {
      Running& one = running[random() % running.size()];
      one.key.resize(static_cast<size_t>(one.cache.length()));
      one.key.resize(random() % (one.key.size() + 1));
      one.cache.truncate(static_cast<int64_t>(one.key.size()));
    } else if (choice == 5) {
      tree->insert(running.front().key, running.front().cache, kKind);
      running.erase(running.begin());
    } else {
      Running& one = running[random() % running.size()];
      for (size_t count = random() % 90; count > 0; --count)
        one.key.push_back(static_cast<int64_t>(random() % 2));
      while (true) {  // others make room
        try {
          feed(one.cache, one.key);
          break;
        } catch (const KvPoolFull&) {
          ++preempted;
          expect_holds(one.cache, one.key);
          if (running.size() == 1) {
            one.key.resize(static_cast<size_t>(one.cache.length()));
            break;
          }
          const bool last = &one == &running.back();
          running[last ? 0 : running.size() - 1].cache = {};
          running.erase(last ? running.begin() : running.end() - 1);
          if (last) break;  // it moved; another step goes on
        }
      }
    }
    ASSERT_LE(pool->used_blocks(), 40);
    ASSERT_LE(tree->bytes(), 30 * pool->block_bytes());
    if (step % 25 == 0) {
      for (const Running& one : running) expect_holds(one.cache, one.key);
    }
  }
  EXPECT_GT(reused, 5000);
  EXPECT_GT(preempted, 100);
  running.clear();
  EXPECT_EQ(pool->used_blocks(), tree->blocks());
  tree->clear();
  EXPECT_EQ(pool->free_blocks(), pool->max_blocks());
}

TEST(PrefixTree, TwoThreadsUseOneTreeAndOnePool) {
  const auto pool = pool_of(60);
  const auto tree = std::make_shared<PrefixTree>(40 * pool->block_bytes());
  reclaim_from(*pool, tree);
  const auto work = [&](unsigned seed) {
    std::mt19937 random(seed);
    std::vector<CacheKey> earlier;
    for (int step = 0; step < 400; ++step) {
      const CacheKey key = some_key(random, earlier);
      if (earlier.size() > 20) earlier.erase(earlier.begin());
      earlier.push_back(key);
      KvCache cache = tree->find(key, kKind, KvCache(pool));
      if (cache.length() == 0) cache = KvCache(pool);
      try {
        feed(cache, key);
      } catch (const KvPoolFull&) {
        continue;
      }
      expect_holds(cache, key);
      tree->insert(key, cache, kKind);
    }
  };
  std::thread other(work, 1);
  work(2);
  other.join();
  EXPECT_GT(tree->reused_tokens(), 0);
  EXPECT_EQ(pool->used_blocks(), tree->blocks());
  tree->clear();
  EXPECT_EQ(pool->free_blocks(), 60);
}

}  // namespace
}  // namespace vl3
