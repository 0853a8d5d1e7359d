// Operations and devices: operands of another device are refused by name, and so is a device that has no
// such operation.

#include "ops/ops_support.h"
#include "support/fake_backend.h"

namespace vl3 {
namespace {

using namespace test;

// Every operation with operands of these two makings: one is a float tensor of a shape, one of a type.
struct Call {
  std::string op, operand;
  std::function<void(Context&, const std::function<Tensor(Shape)>&)> run;
};

std::vector<Call> calls() {
  using Make = std::function<Tensor(Shape)>;
  const std::vector<int64_t> rows = {1, 0}, borders = {0, 2}, targets = {0, 1};
  return {
      {"linear", "x",
       [](Context& c, const Make& m) {
         ops::linear(c, m({2, 8}), m({3, 8}));
       }},
      {"activation", "x",
       [](Context& c, const Make& m) {
         ops::activation(c, m({2, 8}), ops::Activation::kSilu);
       }},
      {"swiglu", "gate",
       [](Context& c, const Make& m) {
         ops::swiglu(c, m({2, 8}), m({2, 8}));
       }},
      {"add", "a",
       [](Context& c, const Make& m) {
         ops::add(c, m({2, 8}), m({2, 8}));
       }},
      {"layer_norm", "x",
       [](Context& c, const Make& m) {
         ops::layer_norm(c, m({2, 8}), m({8}), m({8}), 1e-6f);
       }},
      {"rms_norm", "x",
       [](Context& c, const Make& m) {
         ops::rms_norm(c, m({2, 8}), m({8}), 1e-6f);
       }},
      {"rope", "x",
       [](Context& c, const Make& m) {
         ops::rope(c, m({2, 1, 8}), m({2, 4}), m({2, 4}));
       }},
      {"rotary_table", "positions",
       [](Context& c, const Make& m) {
         ops::rotary_table(c, m({2, 1}), m({4}), 1);
       }},
      {"embedding", "table",
       [=](Context& c, const Make& m) {
         ops::embedding(c, m({2, 8}), rows);
       }},
      {"gather_rows", "x",
       [=](Context& c, const Make& m) {
         ops::gather_rows(c, m({2, 8}), rows);
       }},
      {"scatter_rows", "base",
       [=](Context& c, const Make& m) {
         ops::scatter_rows(c, m({2, 8}), rows, m({2, 8}));
       }},
      {"place_rows", "source",
       [=](Context& c, const Make& m) {
         ops::place_rows(c, m({2, 8}), rows, 4);
       }},
      {"concat_rows", "part",
       [](Context& c, const Make& m) {
         ops::concat_rows(c, std::vector{m({2, 8}), m({1, 8})});
       }},
      {"bilinear_merge", "x",
       [](Context& c, const Make& m) {
         ops::bilinear_merge(c, m({4, 8}), 2);
       }},
      {"attention", "q",
       [=](Context& c, const Make& m) {
         ops::attention(c, m({2, 2, 8}), m({2, 1, 8}), m({2, 1, 8}), borders, borders, 1, true);
       }},
      {"cache_append", "k",
       [](Context& c, const Make& m) {
         std::vector<std::byte> block(2 * 2 * 8 * sizeof(float));  // keys and values of two tokens
         std::byte* const blocks[] = {block.data()};
         ops::KeyValueView view;
         view.blocks = blocks;
         view.v_offset = 2 * 8 * sizeof(float);
         view.block_tokens = view.length = 2;
         view.token_stride = view.head_stride = 8 * sizeof(float);
         const ops::AttentionSequence sequence{0, 2, view};
         ops::cache_append(c, m({2, 1, 8}), m({2, 1, 8}), std::span(&sequence, 1));
       }},
      {"cross_entropy", "x",
       [=](Context& c, const Make& m) {
         ops::linear_cross_entropy(c, m({2, 8}), m({3, 8}), targets);
       }},
      {"low_rank", "x",
       [](Context& c, const Make& m) {
         ops::low_rank(c, m({2, 8}), ops::LowRank{m({2, 8}), m({3, 2}), 1, 0, nullptr});
       }},
      {"widen", "tensor",
       [](Context& c, const Make& m) {
         ops::widen_into(c, m({2, 8}), m({2, 8}));
       }},
      {"narrow", "x",
       [](Context& c, const Make& m) {
         ops::narrowed(c, m({2, 8}), DType::kBF16);
       }},
      {"add_bias_residual", "x",
       [](Context& c, const Make& m) {
         ops::add_bias_residual(c, m({2, 8}), m({8}), m({2, 8}));
       }},
      {"adamw", "weight",
       [](Context& c, const Make& m) { ops::adamw(c, m({8}), m({8}), m({8}), m({8}), {}); }},
      {"sum_of_squares", "x", [](Context& c, const Make& m) { ops::sum_of_squares(c, m({8})); }},
  };
}

Tensor on(Backend& backend, Shape shape) {
  return to_device(backend, Tensor::zeros(std::move(shape), DType::kF32));
}

TEST(OpsAndDevices, AnOperandOfAnotherDeviceIsNamed) {
  const auto fake = std::make_shared<FakeBackend>();
  Context context(ContextOptions{.num_threads = 1});
  for (const Call& call : calls()) {
    SCOPED_TRACE(call.op);
    expect_error(ErrorCode::kInvalidArgument, "[" + call.op + "] " + call.operand + " ",
                 [&] { call.run(context, [&](Shape shape) { return on(*fake, std::move(shape)); }); });
    expect_error(ErrorCode::kInvalidArgument, "lies on fake:0; the context computes on cpu",
                 [&] { call.run(context, [&](Shape shape) { return on(*fake, std::move(shape)); }); });
    // The same on the host runs.
    call.run(context, [](Shape shape) { return Tensor::zeros(std::move(shape), DType::kF32); });
  }
}

TEST(OpsAndDevices, EveryOperandIsLookedAt) {
  const auto fake = std::make_shared<FakeBackend>();
  Context context(ContextOptions{.num_threads = 1});
  for (const Call& call : calls()) {
    int operands = 0;
    call.run(context, [&](Shape shape) {
      ++operands;
      return Tensor::zeros(std::move(shape), DType::kF32);
    });
    for (int elsewhere = 0; elsewhere < operands; ++elsewhere) {
      SCOPED_TRACE(call.op + ", operand made as number " + std::to_string(elsewhere));
      int made = 0;
      expect_error(ErrorCode::kInvalidArgument, "[" + call.op + "] ", [&] {
        call.run(context, [&](Shape shape) {
          return made++ == elsewhere ? on(*fake, std::move(shape))
                                     : Tensor::zeros(std::move(shape), DType::kF32);
        });
      });
    }
  }
}

TEST(OpsAndDevices, ADeviceWithoutAnOperationSaysSo) {
  const auto fake = std::make_shared<FakeBackend>();
  Context context(ContextOptions{.num_threads = 1, .device = "fake", .backends = {fake}});
  EXPECT_EQ(context.device(), fake->device());
  for (const Call& call : calls()) {
    SCOPED_TRACE(call.op);
    expect_error(ErrorCode::kUnsupported, "[" + call.op + "] is not there for fake:0",
                 [&] { call.run(context, [&](Shape shape) { return on(*fake, std::move(shape)); }); });
    expect_error(ErrorCode::kInvalidArgument, "lies on cpu; the context computes on fake:0", [&] {
      call.run(context, [](Shape shape) { return Tensor::zeros(std::move(shape), DType::kF32); });
    });
  }
}

TEST(OpsAndDevices, ResultsLieWhereTheContextComputes) {
  const auto fake = std::make_shared<FakeBackend>();
  Context context(ContextOptions{.num_threads = 1, .device = "fake", .backends = {fake}});
  EXPECT_EQ(context.empty({3, 4}).device(), fake->device());
  EXPECT_EQ(to_device(context, Tensor::zeros({2}, DType::kF32)).device(), fake->device());
  const std::vector<float> numbers = {1, 2};
  const Tensor uploaded = ops::upload<float>(context, {2}, numbers);
  EXPECT_EQ(uploaded.device(), fake->device());
  EXPECT_EQ(to_host(uploaded).data<float>()[1], 2);
}

TEST(OpsAndDevices, IndexListsAreUploadedOnce) {
  const auto fake = std::make_shared<FakeBackend>();
  Context context(ContextOptions{.num_threads = 1, .device = "fake", .backends = {fake}});
  const std::vector<int64_t> rows = {4, 0, 2};
  const ops::IndexList once(context, rows), plain = rows;
  EXPECT_EQ(fake->copies, 1);
  EXPECT_EQ(once.on(context).address(), once.on(context).address());
  EXPECT_EQ(fake->copies, 1);
  EXPECT_EQ(to_host(once.on(context)).data<int64_t>()[2], 2);
  EXPECT_EQ(plain.on(context).device(), fake->device());
  EXPECT_EQ(plain.size(), 3);
  Context host(ContextOptions{.num_threads = 1});
  EXPECT_TRUE(once.on(host).device().is_host());
  EXPECT_EQ(ops::IndexList(host, rows).host().data(), rows.data());
}

}  // namespace
}  // namespace vl3
