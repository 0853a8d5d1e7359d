# The library vl3 out of the objects of every folder, and what is installed of it. docs/library.md is for its users.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

get_property(folders GLOBAL PROPERTY VL3_FOLDERS)
get_property(depends GLOBAL PROPERTY VL3_DEPENDS)
get_property(packages GLOBAL PROPERTY VL3_PACKAGES)
list(REMOVE_DUPLICATES depends)
foreach(depend ${depends})
  string(REGEX REPLACE "^PkgConfig::" "" prefix "${depend}")
  if(NOT prefix STREQUAL depend AND NOT "${packages}" MATCHES "(^|;)${prefix} ")
    message(FATAL_ERROR "${depend} is not asked for by what is installed: find it with vl3_package")
  endif()
endforeach()

# The same, folder by folder, for what is built here and may see hidden symbols: the program, tests, benchmarks.
add_library(vl3_core INTERFACE)
target_link_libraries(vl3_core INTERFACE vl3_flags ${folders})

# vl3_make_library(TARGET STATIC|SHARED): one archive, or one shared library, without a flag or folder of ours for users.
function(vl3_make_library target kind)
  list(TRANSFORM folders REPLACE "(.+)" "$<TARGET_OBJECTS:\\1>" OUTPUT_VARIABLE objects)
  add_library(${target} ${kind} ${objects})
  # Until release 1.0 a minor release may break what was linked against the one before, under the same soname:
  # docs/decisions/distribution.md.
  set_target_properties(${target} PROPERTIES OUTPUT_NAME vl3 EXPORT_NAME vl3 LINKER_LANGUAGE CXX VERSION ${PROJECT_VERSION}
                                             SOVERSION ${PROJECT_VERSION_MAJOR})
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                              $<BUILD_INTERFACE:${VL3_GENERATED}>
                                              $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:vl3_flags>
                                  INTERFACE $<BUILD_INTERFACE:nlohmann_json::nlohmann_json>)
  if(kind STREQUAL SHARED)  # it has them inside: users need not know
    target_link_libraries(${target} PRIVATE "$<BUILD_INTERFACE:${depends}>")
    target_link_options(${target} PRIVATE LINKER:--no-undefined)
  else()
    target_link_libraries(${target} PRIVATE ${depends})
  endif()
endfunction()

# vl3_install_library(TARGET COMPONENT name [EXCLUDE_FROM_ALL]): library, headers, CMake package, pkg-config files, licence.
function(vl3_install_library target)
  get_target_property(kind ${target} TYPE)
  set(made ${CMAKE_CURRENT_BINARY_DIR}/${target})
  set(to_package ${CMAKE_INSTALL_LIBDIR}/cmake/vl3)
  set(VL3_IS_STATIC OFF)
  set(VL3_TARGETS vl3SharedTargets.cmake)
  set(VL3_REQUIRES "")
  set(VL3_LIBS "")
  if(kind STREQUAL STATIC_LIBRARY)
    # Not as Requires.private: --static would ask for archives of all that FFmpeg was ever linked with.
    set(VL3_IS_STATIC ON)
    set(VL3_TARGETS vl3StaticTargets.cmake)
    set(VL3_REQUIRES fmt)
    foreach(package ${packages})
      string(REPLACE " " ";" modules "${package}")
      list(POP_FRONT modules)
      list(APPEND VL3_REQUIRES ${modules})
    endforeach()
    list(REMOVE_DUPLICATES VL3_REQUIRES)
    list(JOIN VL3_REQUIRES ", " VL3_REQUIRES)
    set(VL3_LIBS "-lstdc++ -lm -pthread")
  endif()
  list(JOIN packages "\" \"" VL3_PACKAGES)
  configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/vl3Config.cmake.in ${made}/vl3Config.cmake
                                INSTALL_DESTINATION ${to_package} NO_SET_AND_CHECK_MACRO)
  write_basic_package_version_file(${made}/vl3ConfigVersion.cmake COMPATIBILITY SameMinorVersion)
  file(RELATIVE_PATH VL3_TO_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
  foreach(name vl3 vl3-c)
    configure_file(${PROJECT_SOURCE_DIR}/cmake/${name}.pc.in ${made}/${name}.pc @ONLY)
  endforeach()

  install(TARGETS ${target} EXPORT ${target} RUNTIME ${ARGN} LIBRARY ${ARGN} ARCHIVE ${ARGN})
  install(EXPORT ${target} NAMESPACE vl3:: FILE ${VL3_TARGETS} DESTINATION ${to_package} ${ARGN})
  install(FILES ${made}/vl3Config.cmake ${made}/vl3ConfigVersion.cmake DESTINATION ${to_package} ${ARGN})
  install(FILES ${made}/vl3.pc ${made}/vl3-c.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig ${ARGN})
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/ ${VL3_GENERATED}/ TYPE INCLUDE ${ARGN} FILES_MATCHING PATTERN "*.h")
  install(FILES ${PROJECT_SOURCE_DIR}/LICENSE TYPE DOC ${ARGN})
endfunction()

if(BUILD_SHARED_LIBS)
  vl3_make_library(vl3 SHARED)
else()
  vl3_make_library(vl3 STATIC)
endif()
add_library(vl3::vl3 ALIAS vl3)
vl3_install_library(vl3 COMPONENT library)

# Both kinds have the same objects, so that a test can try the other kind as well for the price of linking it.
if(VL3_TESTS AND NOT VL3_SANITIZE)
  if(BUILD_SHARED_LIBS)
    vl3_make_library(vl3_other_kind STATIC)
  else()
    vl3_make_library(vl3_other_kind SHARED)
  endif()
  set_target_properties(vl3_other_kind PROPERTIES ARCHIVE_OUTPUT_DIRECTORY other_kind LIBRARY_OUTPUT_DIRECTORY other_kind)
  vl3_install_library(vl3_other_kind COMPONENT other_kind EXCLUDE_FROM_ALL)
endif()
