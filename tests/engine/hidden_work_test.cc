// Hidden states, visual vectors and likelihoods on the engine's thread. What serve makes of them:
// tests/serve/embeddings_test.cc.

#include "engine/hidden_work.h"

#include <numeric>

#include "engine/scheduler_support.h"
#include "engine/visual_tokens.h"
#include "vl3/context_exceeded.h"
#include "vl3/error.h"

namespace vl3 {
namespace {

class HiddenWork : public SchedulerTest {
 protected:
  std::vector<float> last_row(const ForwardInput& input) {
    const Tensor hidden = engine().model().model().forward(context_, input).last_hidden_state;
    const auto row = hidden.span<float>().last(static_cast<size_t>(hidden.dim(2)));
    return {row.begin(), row.end()};
  }
  static void expect_near(const std::vector<float>& got, const std::vector<float>& wanted) {
    ASSERT_EQ(got.size(), wanted.size());
    for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], wanted[i], 2e-3) << i;
  }
};

TEST_F(HiddenWork, TheLastStateOfAPromptIsThatOfAPass) {
  std::vector<int64_t> ids(300);  // longer than a chunk
  std::iota(ids.begin(), ids.end(), 5);
  ForwardInput input;
  input.ids = {ids};
  const std::vector<float> wanted = last_row(input);
  EngineThread thread(context_, engine());
  expect_near(last_hidden_state(thread, ids, nullptr), wanted);
  int64_t tokens = 0;
  const auto of_picture = last_hidden_state(thread, request({picture()}, "What is this?"), nullptr, &tokens);
  EXPECT_EQ(of_picture.size(), wanted.size());
  EXPECT_GT(tokens, 10);
}

TEST_F(HiddenWork, VectorsAreThoseOfTheVisualTokensOfAnAnswer) {
  const ProcessorRequest asked = request({picture(), clip()}, "?");
  GenerationConfig one = options(1).generation;
  const VisualTokens tokens = visual_tokens(engine().answer(context_, asked, one).inputs);
  EngineThread thread(context_, engine());
  const VisualVectors vectors = visual_vectors(thread, asked, true, nullptr);
  ASSERT_EQ(vectors.pictures.size(), 1u);
  EXPECT_EQ(vectors.pictures[0][0].tokens, tokens.pictures);
  ASSERT_EQ(vectors.clips.size(), 1u);
  int64_t of_clip = 0;
  for (const VisualVector& frame : vectors.clips[0]) of_clip += frame.tokens;
  EXPECT_GT(of_clip, 0);
  EXPECT_EQ(of_clip, tokens.clips);
}

TEST_F(HiddenWork, CanBeCancelledAndIsBoundedByTheContext) {
  EngineThread thread(context_, engine());
  const auto code_of = [](const std::function<void()>& action) {
    try {
      action();
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::kInternal;
  };
  EXPECT_EQ(code_of([&] {
              last_hidden_state(thread, {1, 2, 3}, [] { return true; });
            }),
            ErrorCode::kCancelled);
  const auto most = static_cast<size_t>(engine().model().config().text.max_position_embeddings);
  EXPECT_THROW(last_hidden_state(thread, std::vector<int64_t>(most + 1, 5), nullptr), ContextExceeded);
}

}  // namespace
}  // namespace vl3
