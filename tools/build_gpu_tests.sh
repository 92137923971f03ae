#!/usr/bin/env bash
# Builds the kernel tests for a GPU and device_bench with a CUDA toolkit alone: nvcc and the C++ compiler it uses, no CMake,
# no installed library. For machines on which the packed binaries of tools/gpu_check.sh do not start.
#
# usage: tools/build_gpu_tests.sh SOURCE FOLDER        writes FOLDER/{kernels_cuda_test,device_bench}
#
# fmt (headers alone) and GoogleTest (its sources) are taken from SOURCE/packed when they are there, as in the folder that
# gpu_check.sh --pack makes, else from where Debian puts them. Code is made for the GPU at hand, without one for sm_80.
set -euo pipefail

[ $# -eq 2 ] || { echo "usage: build_gpu_tests.sh SOURCE FOLDER" >&2; exit 2; }
source=$(cd "$1" && pwd)
mkdir -p "$2"
folder=$(cd "$2" && pwd)
nvcc=$(command -v nvcc || ls /usr/local/cuda/bin/nvcc 2> /dev/null) || { echo "nvcc is not there; install the CUDA toolkit" >&2; exit 1; }

fmt=$source/packed/include googletest=$source/packed/googletest
[ -e "$fmt/fmt/format.h" ] || fmt=/usr/include
[ -e "$googletest/src/gtest-all.cc" ] || googletest=/usr/src/googletest/googletest
for file in "$fmt/fmt/format.h" "$googletest/src/gtest-all.cc"; do
  [ -e "$file" ] || { echo "$file is not there; pack the folder where fathom is built: gpu_check.sh --pack" >&2; exit 1; }
done

arch=80
if capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2> /dev/null | head -1) && [ -n "$capability" ]; then
  arch=${capability/./}
fi

objects=$folder/objects
mkdir -p "$objects"
cd "$source"
includes=(-I "$source" -I "$googletest/include" -I "$googletest")
[ "$fmt" = /usr/include ] || includes+=(-I "$fmt")
plain=(base/error.cc base/thread_pool.cc kernels/{buffer,device,kernels,latent_format,tensor}.cc kernels/cpu/{scratch,check_multiply}.cc
  kernels/no_cpu/no_cpu.cc kernels/cuda/*.cc tests/kernels/{arrays,compare}.cc tests/kernels/cuda/device_main.cc
  tests/kernels/device/no_instruction_sets.cc "$googletest/src/gtest-all.cc")
# The tests that tests/kernels/CMakeLists.txt builds for a device.
plain+=(tests/kernels/cuda/product_bf16_test.cc)
for file in tests/kernels/*_test.cc; do
  case $file in */quantised_* | */latent_format_* | */products_*) ;; *) plain+=("$file") ;; esac
done
{
  printf '%s\n' kernels/cuda/*.cu tests/kernels/cuda/device_*.cu
  printf '%s\n' "${plain[@]}"
} | xargs -P "$(nproc)" -I {} bash -c '
  nvcc=$1 arch=$2 objects=$3 file=$4; shift 4
  object=$objects/$(basename "$file").o
  flags=(-std=c++20 -O2 -DFMT_HEADER_ONLY "$@")
  case $file in
    *.cu) "$nvcc" "${flags[@]}" -gencode "arch=compute_$arch,code=sm_$arch" -fmad=false -Xcompiler=-ffp-contract=off \
      -c "$file" -o "$object" ;;
    *) "${CXX:-g++}" "${flags[@]}" -isystem "$(dirname "$nvcc")/../include" -ffp-contract=off -c "$file" -o "$object" ;;
  esac' build "$nvcc" "$arch" "$objects" {} "${includes[@]}"

shared=("$objects"/{error,thread_pool,buffer,device,kernels,latent_format,tensor,scratch,check_multiply,no_cpu}.cc.o)
for file in kernels/cuda/*.{cu,cc}; do shared+=("$objects/$(basename "$file").o"); done
"$nvcc" -o "$folder/device_bench" "$objects"/device_bench.cu.o "$objects"/device_library.cu.o "${shared[@]}" -ldl -lpthread
"$nvcc" -o "$folder/kernels_cuda_test" "$objects"/{arrays,compare,device_main,no_instruction_sets,gtest-all}.cc.o \
  "$objects"/*_test.cc.o "${shared[@]}" -ldl -lpthread
rm -r "$objects"
echo "$folder/kernels_cuda_test and $folder/device_bench, for sm_$arch"
