# Writes OUT: the files of FOLDER as arrays of bytes, for src/serve/page.cc. Called with -DFOLDER=… -DOUT=… by src/CMakeLists.txt.
file(GLOB_RECURSE paths RELATIVE ${FOLDER} ${FOLDER}/*)
list(SORT paths)
set(arrays "")
set(rows "")
set(number 0)
foreach(path ${paths})
  file(READ ${FOLDER}/${path} hex HEX)
  string(REGEX REPLACE "(................................................................)" "\\1\n" hex "${hex}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
  # A file may be empty; an array may not.
  string(APPEND arrays "constexpr unsigned char kFile${number}[] = {\n${hex}0};\n")
  string(APPEND rows "      {\"${path}\", bytes(kFile${number}, sizeof kFile${number} - 1)},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE ${OUT}.new "// Made by cmake/embed_page.cmake of the files of the page.
#include \"serve/page.h\"

namespace vl3::serve {
namespace {

${arrays}
[[maybe_unused]] std::string_view bytes(const unsigned char* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace

std::vector<PageFile> embedded_page() {
  return {
${rows}  };
}

}  // namespace vl3::serve
")
file(COPY_FILE ${OUT}.new ${OUT} ONLY_IF_DIFFERENT)
