// The snippet of docs/adding_an_op.md, word for word: it compiles, and computes what it says.

#include <sstream>

#include "autograd/tape.h"
#include "base/check.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/dispatch.h"
#include "ops/ops_support.h"
#include "runtime/context_parts.h"

namespace vl3::ops {
namespace {

// snippet
Tensor doubled(Context& context, const Tensor& x) {
  require(x.dtype() == DType::kF32, ErrorCode::kInvalidArgument, "[doubled] x is {}, not f32",
          to_string(x.dtype()));
  check_devices(context, "doubled", {{"x", x}});
  Tensor y = context.empty(x.shape());
  implementation(context, "doubled", cpu::add)(context, x, x, y);
  if (Tape* tape = tape_for(context, {&x})) {
    tape->record(y, [x = Variable(x)](Context& c, Tape& t, const Tensor& dy) {  // dy has y's shape
      Tensor dx = c.empty(x.shape());
      implementation(c, "doubled", cpu::add)(c, dy, dy, dx);
      t.add_gradient(c, x, dx);  // adds; does nothing where no gradient is needed
    });
  }
  return y;
}
// end of the snippet

// Lines without their indentation: the page is indented under its list.
std::string lines_of(const std::string& text, const std::string& begin, const std::string& end) {
  const size_t from = text.find(begin) + begin.size(), to = text.find(end, from);
  std::istringstream lines(text.substr(from, to - from));
  std::string result;
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find_first_not_of(' ');
    if (first != std::string::npos) result += line.substr(first) + "\n";
  }
  return result;
}

TEST(AddingAnOp, TheSnippetOfThePageIsThisOne) {
  const std::string page = test::read_text(test::data_path("../../docs/adding_an_op.md")),
                    here = test::read_text(test::data_path("../ops/adding_an_op_test.cc"));
  const std::string wanted = lines_of(here, "// snippet\n", "// end of the snippet");
  EXPECT_GT(wanted.size(), 500u);
  EXPECT_EQ(lines_of(page, "namespace vl3::ops {\n", "}  // namespace vl3::ops"), wanted);
}

TEST(AddingAnOp, TheSnippetIsDifferentiable) {
  Context context(ContextOptions{.num_threads = 1});
  const Tensor x = test::Random(1).tensor({1}), y = doubled(context, x);
  EXPECT_EQ(y.data<float>()[0], 2 * x.data<float>()[0]);
  Tape tape;
  tape.watch(x);
  set_tape(context, &tape);
  tape.backward(context, doubled(context, x));
  set_tape(context, nullptr);
  EXPECT_EQ(tape.gradient(x).data<float>()[0], 2);
}

}  // namespace
}  // namespace vl3::ops
