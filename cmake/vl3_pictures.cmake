# Libraries of picture formats that a build can do without: what it lacks it refuses by name, and `videollama3 --version` lists
# both. VL3_AVIF=OFF and the like leave a library out that is there.

# vl3_picture_library(NAME MODULE SOURCE): pkg-config's MODULE is used by src/media/SOURCE, where it is there.
function(vl3_picture_library name module source)
  option(VL3_${name} "read ${name} pictures where ${module} is installed" ON)
  if(VL3_${name})
    pkg_check_modules(${name} IMPORTED_TARGET ${module})
  endif()
  if(VL3_${name} AND ${name}_FOUND)
    target_link_libraries(vl3_media PRIVATE PkgConfig::${name})
    target_compile_definitions(vl3_media PRIVATE VL3_HAVE_${name})
    set_property(GLOBAL APPEND PROPERTY VL3_PACKAGES "${name} ${module}")
    set_property(GLOBAL APPEND PROPERTY VL3_DEPENDS PkgConfig::${name})
  else()
    message(STATUS "${name} pictures are refused: built without ${module}")
    set_source_files_properties(${PROJECT_SOURCE_DIR}/src/media/${source} TARGET_DIRECTORY vl3_media
                                PROPERTIES HEADER_FILE_ONLY ON)
  endif()
endfunction()

vl3_picture_library(AVIF libavif avif.cc)
vl3_picture_library(HEIF libheif heif.cc)
vl3_picture_library(JXL libjxl jxl.cc)
vl3_picture_library(JPEG2000 libopenjp2 jpeg2000.cc)
