# The CUDA kernels: built where nvcc is found. Sets FATHOM_HAS_CUDA and FATHOM_CUDA_STATE.
#
# sm_80 and sm_90a code, and PTX for what comes after. Nothing contracts or reassociates: a fused multiply-add is one
# that the source names. The CUDA runtime is linked statically and loads the driver when it is first asked, so the binary
# starts and runs on machines without either.
option(FATHOM_CUDA "Build the CUDA kernels where nvcc is found" ON)
option(FATHOM_REQUIRE_CUDA "Stop where nvcc is not found (cuda preset)" OFF)

set(FATHOM_HAS_CUDA FALSE)
if(NOT FATHOM_CUDA)
  set(FATHOM_CUDA_STATE "not built in (FATHOM_CUDA is off)")
elseif(FATHOM_SANITIZE)
  set(FATHOM_CUDA_STATE "not built in (a sanitizer build)")
else()
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    set(CMAKE_CUDA_ARCHITECTURES OFF)
    enable_language(CUDA)
    # CMake 3.25 knows no standards of nvcc 13.
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
    find_package(CUDAToolkit 12 REQUIRED)
    set(FATHOM_HAS_CUDA TRUE)
    set(FATHOM_CUDA_STATE "${CMAKE_CUDA_COMPILER_VERSION} (sm_80, sm_90a and PTX for later)")
  else()
    set(FATHOM_CUDA_STATE "not built in (nvcc was not found)")
  endif()
endif()
if(FATHOM_REQUIRE_CUDA AND NOT FATHOM_HAS_CUDA)
  message(FATAL_ERROR "FATHOM_REQUIRE_CUDA is on, and CUDA is ${FATHOM_CUDA_STATE}")
endif()

# fathom_cuda_objects(<target> <.cu files>...): an object library of kernels.
function(fathom_cuda_objects target)
  add_library(${target} OBJECT ${ARGN})
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR})
  set_target_properties(${target} PROPERTIES CUDA_STANDARD 20 CUDA_EXTENSIONS OFF)
  target_compile_options(${target} PRIVATE
    "SHELL:-gencode arch=compute_80,code=[sm_80,compute_80]" "SHELL:-gencode arch=compute_90a,code=sm_90a"
    -fmad=false -Xcompiler=-Wall,-Wextra,-Wno-missing-field-initializers,-ffp-contract=off)
  if(FATHOM_WERROR)
    target_compile_options(${target} PRIVATE -Werror=all-warnings -Xcompiler=-Werror)
  endif()
  find_program(FATHOM_CCACHE ccache)
  if(FATHOM_CCACHE)
    set_target_properties(${target} PROPERTIES CUDA_COMPILER_LAUNCHER ${FATHOM_CCACHE})
  endif()
endfunction()
