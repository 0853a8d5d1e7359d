"""That the scripts beside this one find what they look for: each wrong line here must be told of, and nothing else."""
import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import complete_types  # noqa: E402
import exports  # noqa: E402
import includes  # noqa: E402

LAYERS = """
vl3_library(base PUBLIC error DEPENDS fmt::fmt)
vl3_library(media PUBLIC image DEPENDS vl3_base PkgConfig::FFMPEG)
vl3_library(model PUBLIC model version DEPENDS vl3_base)
vl3_library(engine DEPENDS vl3_model vl3_media)
vl3_library(scenes ASIDE DEPENDS vl3_media)
vl3_library(kernels FOLDER ops/cpu/kernels DEPENDS vl3_flags)
vl3_library(ops WITHOUT ops/cpu/kernels DEPENDS vl3_kernels vl3_base)
"""


class Includes(unittest.TestCase):
    def found(self, files):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            tree = {"src/CMakeLists.txt": LAYERS, "include/vl3/error.h": "", "include/vl3/image.h": "",
                    "include/vl3/model.h": "", "include/vl3/version.h.in": "", "src/engine/engine.h": "",
                    "apps/cli/cli.h": "", "tools/a.cc": "", "examples/b.cc": ""}
            for name, text in {**tree, **files}.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
            return [line.split(": ")[0] for line in includes.check(root)]

    def test_nothing_is_wrong_with_what_is_allowed(self):
        self.assertEqual(self.found({
            "src/engine/a.cc": '#include <vector>\n#include "media/x.h"\n#include "base/y.h"\n#include "vl3/model.h"\n',
            "src/model/b.cc": '#include "vl3/error.h"\n#include "vl3/version.h"\n#include "vl3/export.h"\n',
            "include/vl3/image.h": '#include <vector>\n#include <stdint.h>\n#include <nlohmann/json_fwd.hpp>\n#include "vl3/error.h"\n',
            "apps/cli/c.cc": '#include "cli.h"\n#include "scenes/x.h"\n#include "base/y.h"\n#include "vl3/image.h"\n',
        }), [])

    def test_layers(self):
        self.assertEqual(self.found({"src/media/a.cc": '\n#include "model/x.h"\n'}), ["src/media/a.cc:2"])
        self.assertEqual(self.found({"src/base/a.h": '#include "vl3/image.h"\n'}), ["src/base/a.h:1"])
        self.assertEqual(self.found({"src/engine/a.cc": '#  include "scenes/x.h"\n'}), ["src/engine/a.cc:1"])
        self.assertEqual(self.found({"src/engine/a.cc": '#include "vl3/unknown.h"\n'}), ["src/engine/a.cc:1"])
        self.assertEqual(self.found({"src/new/a.cc": ""}), ["src/new"])

    def test_folders_within_folders(self):
        self.assertEqual(self.found({"src/ops/a.cc": '#include "ops/cpu/kernels/x.h"\n#include "base/x.h"\n'}), [])
        self.assertEqual(self.found({"src/ops/cpu/kernels/a.cc": '#include "base/x.h"\n'}), ["src/ops/cpu/kernels/a.cc:1"])
        self.assertEqual(self.found({"src/ops/cpu/kernels/a.cc": '#include "ops/x.h"\n'}), ["src/ops/cpu/kernels/a.cc:1"])

    def test_public_headers(self):
        for line in ('#include "base/x.h"', '#include "image.h"', "#include <fmt/format.h>", "#include <png.h>",
                     "#include <nlohmann.h>"):
            self.assertEqual(self.found({"include/vl3/image.h": line}), ["include/vl3/image.h:1"], line)
        self.assertEqual(self.found({"include/vl3/new.h": ""}), ["include/vl3/new.h"])

    def test_programs(self):
        self.assertEqual(self.found({"apps/cli/a.cc": '#include "model/x.h"\n'}), ["apps/cli/a.cc:1"])
        self.assertEqual(self.found({"tools/a.cc": '#include "media/x.h"\n'}), ["tools/a.cc:1"])
        self.assertEqual(self.found({"examples/b.cc": '#include "base/x.h"\n'}), ["examples/b.cc:1"])


class Exports(unittest.TestCase):
    def names(self, text):
        return [name for _, _, name in exports.missing(text)]

    def test_what_needs_it(self):
        for text in ("int f(int x);", "std::vector<int> f();", "const char* to_string(E e) noexcept;",
                     "class A {\n public:\n  A();\n};", "struct A {\n  int x = 0;\n  bool ok(int a = f(1)) const;\n};",
                     "class A : public B {\n};", "class A {\n  virtual void f() = 0;\n};",
                     "struct A {\n  static A read();\n};", "class A {\n  A& operator=(const A&);\n};",
                     'extern "C" {\nint f(void);\n}'):
            self.assertEqual(len(self.names("namespace n {\n" + text + "\n}")), 1, text)
            fixed = exports.fixed("#include <vector>\n" + text, exports.missing("#include <vector>\n" + text))
            self.assertEqual(self.names(fixed), [], fixed)
            self.assertIn("VL3_API", fixed)

    def test_what_does_not(self):
        for text in ("class A;", "inline int f() { return 1; }", "template <class T>\nT f(T x);",
                     "struct A {\n  int x = 0;  // f(x);\n  std::vector<int> y = {};\n};",
                     "struct A {\n  std::function<bool(int)> f;\n};", "enum class E { kA };",
                     "using F = std::function<void(int)>;", "constexpr int kA = f(1);",
                     "class A {\n public:\n  A() = default;\n  A(const A&) = delete;\n  int x() const { return x_; }\n"
                     " private:\n  int x_;\n};", "VL3_API int f();", "class VL3_API A {\n  void f();\n};"):
            self.assertEqual(self.names("namespace n {\n" + text + "\n}"), [], text)


class CompleteTypes(unittest.TestCase):
    def names(self, *texts):
        return [name for _, _, name in complete_types.incomplete({str(i): t for i, t in enumerate(texts)})]

    def test_what_users_see(self):
        self.assertEqual(self.names("class A;\nclass B {\n public:\n  A& a();\n};"), ["A"])
        self.assertEqual(self.names("struct A;\nvoid f(const A& a);"), ["A"])
        self.assertEqual(self.names("class A;\nstruct B {\n  std::vector<A>* all;\n};"), ["A"])

    def test_what_they_do_not(self):
        self.assertEqual(self.names("class A;\nvoid f(A&);", "class VL3_API A {\n};"), [])
        self.assertEqual(self.names("class A;\nclass B {\n private:\n  A* a_;\n};"), [])
        self.assertEqual(self.names("class B {\n private:\n  struct State;\n  State* s_;\n};"), [])


if __name__ == "__main__":
    unittest.main()
