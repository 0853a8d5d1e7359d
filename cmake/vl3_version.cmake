# vl3/version.h, and the commit, which is looked at in every build and written when it changed: a commit compiles one
# small file anew.
configure_file(${PROJECT_SOURCE_DIR}/include/vl3/version.h.in ${VL3_GENERATED}/vl3/version.h @ONLY)

set(commit ${CMAKE_CURRENT_BINARY_DIR}/build_commit.cc)
add_custom_target(vl3_build_commit
  COMMAND ${CMAKE_COMMAND} -DSOURCE_DIR=${PROJECT_SOURCE_DIR} -DOUT=${commit} -P ${PROJECT_SOURCE_DIR}/cmake/build_commit.cmake
  BYPRODUCTS ${commit} COMMENT "")
target_sources(vl3_version PRIVATE ${commit})
add_dependencies(vl3_version vl3_build_commit)
