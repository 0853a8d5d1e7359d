# The page's files, as web/dist has them, become a part of the library serve (src/serve/page.h).
file(GLOB_RECURSE page_files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/web/dist/*)
add_custom_command(
  OUTPUT ${VL3_GENERATED}/page_files.cc
  COMMAND ${CMAKE_COMMAND} -DFOLDER=${PROJECT_SOURCE_DIR}/web/dist -DOUT=${VL3_GENERATED}/page_files.cc
          -P ${PROJECT_SOURCE_DIR}/cmake/embed_page.cmake
  DEPENDS ${page_files} ${PROJECT_SOURCE_DIR}/cmake/embed_page.cmake
  COMMENT "The page's files" VERBATIM)
target_sources(vl3_serve PRIVATE ${VL3_GENERATED}/page_files.cc)
