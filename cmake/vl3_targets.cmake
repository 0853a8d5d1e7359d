# Flags and the ways a target is made here: vl3_library (one folder of src/) and vl3_test (one folder of tests/).
# The flags and the folder src/ are for what is built here; users of the library get neither (vl3_install.cmake).
set(VL3_GENERATED ${PROJECT_BINARY_DIR}/generated)  # headers that are made while configuring
add_library(vl3_flags INTERFACE)
target_include_directories(vl3_flags INTERFACE ${PROJECT_SOURCE_DIR}/include ${VL3_GENERATED} ${PROJECT_SOURCE_DIR}/src)
target_compile_options(vl3_flags INTERFACE -Wall -Wextra -Wshadow $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor>
                                           $<$<COMPILE_LANGUAGE:CXX>:-Woverloaded-virtual> -Wvla
                                           -Wno-missing-field-initializers
                                           -fno-omit-frame-pointer)
target_compile_definitions(vl3_flags INTERFACE $<$<NOT:$<CONFIG:Release>>:_GLIBCXX_ASSERTIONS>)
if(VL3_WERROR)
  target_compile_options(vl3_flags INTERFACE -Werror)
endif()
if(VL3_SANITIZE)
  target_compile_options(vl3_flags INTERFACE -fsanitize=${VL3_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(vl3_flags INTERFACE -fsanitize=${VL3_SANITIZE})
  # g++ says so by itself, clang does not.
  foreach(kind address thread)
    string(TOUPPER ${kind} upper)
    if(VL3_SANITIZE MATCHES ${kind} AND CMAKE_CXX_COMPILER_ID MATCHES Clang)
      target_compile_definitions(vl3_flags INTERFACE __SANITIZE_${upper}__=1)
    endif()
  endforeach()
endif()

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)

# vl3_package(PREFIX module...): pkg-config's modules as PkgConfig::PREFIX, which what is installed asks for as well.
macro(vl3_package prefix)
  pkg_check_modules(${prefix} REQUIRED IMPORTED_TARGET ${ARGN})
  string(REPLACE ";" " " package "${prefix};${ARGN}")
  set_property(GLOBAL APPEND PROPERTY VL3_PACKAGES "${package}")
endmacro()

# vl3_library(NAME [ASIDE] [OWN_FLAGS] [FOLDER folder] [WITHOUT folder] [PUBLIC header...] [DEPENDS target...]): the library
# vl3_NAME of every .cc under src/NAME, or src/FOLDER, but for those under src/WITHOUT, which are a library of their own. It may include
# headers of what it depends on and of nothing else, so the list in src/CMakeLists.txt is the layering. Its objects are part
# of vl3 unless it stands ASIDE. All share one precompiled header, that of base, but for one with OWN_FLAGS.
function(vl3_library name)
  cmake_parse_arguments(ARG "ASIDE;OWN_FLAGS" "FOLDER;WITHOUT" "PUBLIC;DEPENDS" ${ARGN})
  set(folder ${name})
  if(ARG_FOLDER)
    set(folder ${ARG_FOLDER})
  endif()
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${folder}/*.cc)
  if(ARG_WITHOUT)
    list(FILTER sources EXCLUDE REGEX "/src/${ARG_WITHOUT}/")
  endif()
  add_library(vl3_${name} STATIC ${sources})
  target_link_libraries(vl3_${name} PUBLIC vl3_flags ${ARG_DEPENDS})
  if(name STREQUAL base)
    target_precompile_headers(vl3_base PRIVATE <algorithm> <filesystem> <fmt/format.h> <functional> <map> <memory> <mutex>
                              <nlohmann/json.hpp> <optional> <span> <string> <vector>)
  elseif(NOT ARG_OWN_FLAGS)
    target_precompile_headers(vl3_${name} REUSE_FROM vl3_base)
  endif()
  if(NOT ARG_ASIDE)
    set_property(GLOBAL APPEND PROPERTY VL3_FOLDERS vl3_${name})
    list(FILTER ARG_DEPENDS EXCLUDE REGEX "^vl3_|^nlohmann_json")
    set_property(GLOBAL APPEND PROPERTY VL3_DEPENDS ${ARG_DEPENDS})
  endif()
endfunction()

# vl3_test(NAME [DEPENDS target...]): the program test_NAME of every tests/NAME/*_test.cc, against vl3_NAME. Each of its cases is
# a test of ctest, NAME.Suite.Case with the label NAME: ctest -R 'text.Tokenizer', ctest -L text.
function(vl3_test name)
  cmake_parse_arguments(ARG "" "" "DEPENDS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*_test.cc)
  if(NOT sources)
    return()
  endif()
  add_executable(test_${name} ${sources})
  target_include_directories(test_${name} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(test_${name} PRIVATE ${ARG_DEPENDS} vl3_test_support GTest::gtest_main)
  target_precompile_headers(test_${name} REUSE_FROM vl3_test_support)
  include(GoogleTest)
  # Where several run at once, cases that may be long begin first.
  set(cost 1)
  if(name IN_LIST VL3_LONG_TESTS)
    set(cost 100)
  endif()
  set(environment "")
  if(VL3_SANITIZE MATCHES thread)
    set(environment ENVIRONMENT TSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/support/thread_sanitizer.supp)
  endif()
  # Both limits (by default 5 s to list the cases, 1500 s for one) are for what hangs, on a slow machine with sanitizers, too.
  gtest_discover_tests(test_${name} TEST_PREFIX ${name}. WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} DISCOVERY_MODE PRE_TEST
                       DISCOVERY_TIMEOUT 600 PROPERTIES LABELS ${name} COST ${cost} TIMEOUT 3600 ${environment})
endfunction()
