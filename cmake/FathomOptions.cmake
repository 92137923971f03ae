# Options of the build and the compiler settings that every target shares.
option(FATHOM_TESTS "Build the tests" ON)
option(FATHOM_WERROR "Treat warnings as errors (developer presets)" OFF)
option(FATHOM_FUZZ "Build the libFuzzer targets of tests/fuzz (clang only; see the fuzz preset)" OFF)
option(FATHOM_PRECOMPILE "Precompile the heavy headers once (build time only)" ON)
# Release tests check the optimised libraries; the test code itself is compiled quickly.
set(FATHOM_TEST_OPTIMISATION -O1)
set(FATHOM_SANITIZE "" CACHE STRING "Sanitizers for -fsanitize=, for example address,undefined or thread")

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

find_program(FATHOM_CCACHE ccache)
if(FATHOM_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # What ccache asks for before it caches a file that uses a precompiled header.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${FATHOM_CCACHE})
endif()

add_library(fathom_settings INTERFACE)
target_include_directories(fathom_settings INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/generated)
# The numerics contract: no contraction that the source does not spell out (FMA is written where it is
# meant), and no fast-math anywhere.
target_compile_options(fathom_settings INTERFACE
  -Wall -Wextra $<$<CXX_COMPILER_ID:GNU>:-Wshadow=local> -Wnon-virtual-dtor -Woverloaded-virtual
  -Wno-missing-field-initializers  # designated initialisers leave the other fields at their defaults
  -ffp-contract=off -fno-fast-math)
if(FATHOM_PRECOMPILE)
  # -fpch-preprocess is for ccache; GCC 12 takes some concatenations of std::string for out-of-bounds copies once
  # their headers are precompiled (the presets without FATHOM_PRECOMPILE keep these warnings).
  target_compile_options(fathom_settings INTERFACE
    $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess> $<$<CXX_COMPILER_ID:GNU>:-Wno-array-bounds>
    $<$<CXX_COMPILER_ID:GNU>:-Wno-stringop-overflow>)
endif()
if(FATHOM_WERROR)
  target_compile_options(fathom_settings INTERFACE -Werror)
endif()
if(FATHOM_SANITIZE)
  target_compile_options(fathom_settings INTERFACE -fsanitize=${FATHOM_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(fathom_settings INTERFACE -fsanitize=${FATHOM_SANITIZE})
endif()
if(FATHOM_FUZZ)
  target_compile_options(fathom_settings INTERFACE -fsanitize=fuzzer-no-link)
endif()
