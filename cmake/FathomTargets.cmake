# fathom_library(<folder> DEPENDS <targets>...): every .cc file beside the calling CMakeLists.txt becomes
# the static library fathom_<folder>. A new file needs no edit of a build file.
function(fathom_library name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;SOURCES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  add_library(fathom_${name} STATIC ${sources} ${ARG_SOURCES})
  target_link_libraries(fathom_${name} PUBLIC fathom_settings ${ARG_DEPENDS})
  fathom_precompile(fathom_${name} library)
endfunction()

# fathom_embed_text(<file>): generates "<folder>/<file>.inc", the file's text as a C++ raw string literal.
function(fathom_embed_text file)
  set(source ${CMAKE_CURRENT_SOURCE_DIR}/${file})
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
  file(READ ${source} text)
  file(RELATIVE_PATH folder ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/generated/${folder}/${file}.inc CONTENT "R\"text(${text})text\"\n" @ONLY)
endfunction()

# fathom_test(<folder> DEPENDS <targets>...): tests/<folder>/*_test.cc become one GoogleTest executable
# whose cases CTest lists one by one.
function(fathom_test name)
  cmake_parse_arguments(ARG "" "" "DEPENDS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  if(NOT sources)
    return()
  endif()
  add_executable(${name}_test ${sources})
  target_link_libraries(${name}_test PRIVATE fathom_settings ${ARG_DEPENDS} GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name}_test PRIVATE
    FATHOM_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
    FATHOM_BINARY="$<TARGET_FILE:fathom>")
  if(CMAKE_BUILD_TYPE STREQUAL "Release")
    target_compile_options(${name}_test PRIVATE ${FATHOM_TEST_OPTIMISATION})
  endif()
  fathom_precompile(${name}_test test)
  gtest_discover_tests(${name}_test TEST_PREFIX "${name}." DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT 300)
endfunction()

# fathom_precompile(<target> library|test): compiles <target> with the one precompiled header of its kind. The
# header is made once and shared, so every target of a kind must have the same compiler options.
# Only a matter of build time: each file still includes what it uses, and the presets without FATHOM_PRECOMPILE show it.
function(fathom_precompile target kind)
  if(NOT FATHOM_PRECOMPILE)
    return()
  endif()
  set(owner fathom_${kind}_precompiled)
  if(NOT TARGET ${owner})
    set(source ${CMAKE_BINARY_DIR}/generated/${owner}.cc)
    file(CONFIGURE OUTPUT ${source} CONTENT "// Compiled only so that the precompiled header has an owner.\n")
    add_library(${owner} OBJECT ${source})
    set(headers <algorithm> <cmath> <cstdint> <cstring> <filesystem> <fstream> <functional> <map> <memory> <optional>
      <set> <span> <string> <string_view> <utility> <vector> <fmt/format.h> <fmt/ranges.h> <nlohmann/json.hpp>)
    target_link_libraries(${owner} PRIVATE fathom_settings fmt::fmt nlohmann_json::nlohmann_json)
    if(kind STREQUAL "test")
      list(APPEND headers <gmock/gmock.h> <gtest/gtest.h>)
      target_link_libraries(${owner} PRIVATE GTest::gmock)
      if(CMAKE_BUILD_TYPE STREQUAL "Release")
        target_compile_options(${owner} PRIVATE ${FATHOM_TEST_OPTIMISATION})
      endif()
    endif()
    target_precompile_headers(${owner} PRIVATE ${headers})
  endif()
  target_precompile_headers(${target} REUSE_FROM ${owner})
endfunction()

function(fathom_print_summary)
  include(FathomFeatures)
  message(STATUS "fathom ${PROJECT_VERSION}: CUDA ${FATHOM_CUDA_STATE}; NCCL ${FATHOM_NCCL_STATE}; MPI ${FATHOM_MPI_STATE}")
endfunction()
