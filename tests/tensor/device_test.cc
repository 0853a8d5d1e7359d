// Where tensors lie and what the host may do with them: another device's memory, read-only memory, copies.

#include <gtest/gtest.h>

#include <vector>

#include "support/fake_backend.h"
#include "support/support.h"
#include "vl3/error.h"
#include "vl3/tensor.h"

namespace vl3 {
namespace {

using test::FakeBackend;

template <class F>
std::string refusal(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.what();
  }
  return "nothing was thrown";
}

const std::vector<float> kNumbers = {1, 2, 3, 4, 5, 6};

TEST(Device, TheHostIsTheDefault) {
  const Tensor x = Tensor::from<float>({2, 3}, kNumbers);
  EXPECT_TRUE(x.device().is_host());
  EXPECT_EQ(to_string(x.device()), "cpu");
  EXPECT_TRUE(Tensor().device().is_host());
  EXPECT_EQ(Tensor().raw(), nullptr);
  EXPECT_EQ(x.storage()->backend(), nullptr);
}

TEST(Device, CopiesGoThereAndBack) {
  const auto fake = std::make_shared<FakeBackend>(3);
  const Tensor x = Tensor::from<float>({2, 3}, kNumbers);
  const Tensor there = to_device(*fake, x.rows(1, 2));
  EXPECT_EQ(to_string(there.device()), "fake:3");
  EXPECT_EQ(there.shape(), (Shape{1, 3}));
  EXPECT_EQ(fake->copies, 1);
  const Tensor back = to_host(there);
  EXPECT_TRUE(back.device().is_host());
  EXPECT_EQ(std::vector<float>(back.data<float>(), back.data<float>() + 3), (std::vector<float>{4, 5, 6}));
  // A view keeps its place; a clone stays on its device.
  const Tensor all = to_device(*fake, x), row = all.rows(1, 2).clone();
  EXPECT_EQ(row.device(), fake->device());
  EXPECT_EQ(to_host(row).data<float>()[0], 4);
  EXPECT_EQ(to_host(all.rows(1, 2).reshape({3})).data<float>()[2], 6);
}

TEST(Device, WhatLiesThereIsNotCopied) {
  const auto fake = std::make_shared<FakeBackend>();
  const auto cpu = make_cpu_backend();
  const Tensor x = Tensor::from<float>({6}, kNumbers);
  EXPECT_EQ(to_host(x).address(), x.address());
  EXPECT_EQ(to_device(*cpu, x).address(), x.address());
  const Tensor there = to_device(*fake, x);
  EXPECT_EQ(to_device(*fake, there).address(), there.address());
  EXPECT_FALSE(to_device(*fake, Tensor()).defined());
  EXPECT_EQ(to_device(*cpu, there).data<float>()[5], 6);
  // Another device of the same name is another place.
  const auto second = std::make_shared<FakeBackend>(1);
  const Tensor moved = to_device(*second, there);
  EXPECT_EQ(to_string(moved.device()), "fake:1");
  EXPECT_EQ(to_host(moved).data<float>()[4], 5);
  const Tensor nothing = to_device(*fake, Tensor::empty({0, 4}, DType::kI64));
  EXPECT_EQ(to_host(nothing).shape(), (Shape{0, 4}));
}

TEST(Device, ABackendLivesAsLongAsItsMemory) {
  Tensor there;
  std::weak_ptr<FakeBackend> seen;
  {
    const auto fake = std::make_shared<FakeBackend>();
    seen = fake;
    there = to_device(*fake, Tensor::from<float>({6}, kNumbers));
  }
  EXPECT_FALSE(seen.expired());
  EXPECT_EQ(to_string(there.device()), "fake:0");
  there = {};
  EXPECT_TRUE(seen.expired());
}

TEST(Device, TheHostCannotTouchOtherMemory) {
  const auto fake = std::make_shared<FakeBackend>();
  const Tensor there = to_device(*fake, Tensor::from<float>({2, 3}, kNumbers));
  const std::string wanted = "[tensor] f32 [2, 3] lies on fake:0, where the host cannot ";
  for (const std::string& error : {refusal([&] { there.raw(); }), refusal([&] { there.data<float>(); }),
                                   refusal([&] { there.span<float>(); })})
    EXPECT_EQ(error, wanted + "read it; to_host gives a copy");
  for (const std::string& error :
       {refusal([&] { there.mutable_raw(); }), refusal([&] { there.mutable_data<float>(); }),
        refusal([&] { there.mutable_span<float>(); }), refusal([&] { there.rows(0, 1).mutable_raw(); })})
    EXPECT_NE(error.find("write it; to_host gives a copy"), std::string::npos) << error;
  EXPECT_NE(refusal([&] { there.storage()->data(); }).find("24 bytes on fake:0"), std::string::npos);
  EXPECT_NE(refusal([&] { there.storage()->mutable_data(); }).find("cannot write"), std::string::npos);
}

TEST(ReadOnly, MemoryGivesNoAddressToWriteTo) {
  std::vector<float> numbers = kNumbers;
  const auto storage = Storage::wrap(numbers.data(), 24, true, {});
  const Tensor x(storage, 0, {2, 3}, DType::kF32);
  EXPECT_EQ(x.data<float>()[5], 6);
  EXPECT_EQ(x.rows(1, 2).span<float>()[0], 4);
  for (const std::string& error :
       {refusal([&] { x.mutable_raw(); }), refusal([&] { x.mutable_data<float>(); }), refusal([&] {
          x.reshape({2, 3}).mutable_span<float>();
        })}) {
    EXPECT_EQ(error, "[tensor] f32 [2, 3] is read-only, as mapped weights are; clone() can be written");
  }
  EXPECT_NE(refusal([&] { storage->mutable_data(); }).find("read-only"), std::string::npos);
  const Tensor own = x.clone();
  own.mutable_data<float>()[0] = 7;
  EXPECT_EQ(numbers[0], 1);
}

TEST(ReadOnly, AWrongTypeIsSaidFirst) {
  std::vector<float> numbers = kNumbers;
  const Tensor x(Storage::wrap(numbers.data(), 24, true, {}), 0, {6}, DType::kF32);
  EXPECT_EQ(refusal([&] { x.data<int32_t>(); }), "[tensor] elements are f32, not i32");
  EXPECT_EQ(refusal([&] { x.mutable_data<int32_t>(); }), "[tensor] elements are f32, not i32");
}

TEST(Backends, AreFoundByName) {
  const std::vector<std::shared_ptr<Backend>> others = {std::make_shared<FakeBackend>(),
                                                        std::make_shared<FakeBackend>(0, "other")};
  EXPECT_EQ(backend_named("other", others), others[1]);
  EXPECT_TRUE(backend_named("cpu", others)->device().is_host());
  EXPECT_EQ(refusal([&] { backend_named("gpu", others); }),
            "[device] \"gpu\" is not one of cpu, fake, other");
  EXPECT_EQ(refusal([] { backend_named("fake", {}); }), "[device] \"fake\" is not one of cpu");
  EXPECT_EQ(refusal([] { backend_named("", {}); }), "[device] \"\" is not one of cpu");
}

}  // namespace
}  // namespace vl3
