#include <cstddef>
#include <cstdint>

#include "tests/fuzz/reader_properties.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fathom::engine::fuzz::read_tokenizer({reinterpret_cast<const char*>(data), size});
  return 0;
}
