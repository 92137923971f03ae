// TokenId: an index into the vocabulary, as config.json's vocab_size counts it.
#pragma once

#include <cstdint>

namespace fathom::engine {

using TokenId = int32_t;

}  // namespace fathom::engine
