// The ids that end a generation.
#pragma once

#include <vector>

#include "engine/checkpoint.h"
#include "engine/token.h"

namespace fathom::engine {

/// eos_token_id of generation_config.json (a number or a list) when the checkpoint has one, else
/// config.json's; empty when neither names any. Throws Error{kBadInput} for a file or key of the wrong form.
std::vector<TokenId> end_of_sequence_ids(const Checkpoint& checkpoint);

}  // namespace fathom::engine
