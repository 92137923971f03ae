// Reusing samples that another run of the same content has computed.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "results/sample_writer.h"
#include "results/sqlite.h"

namespace fathom::results {

/// Copies into `task` (of the run being written) the answered samples that run `source` has for the same
/// task, documents and repeats, marked with the run that computed them; places that are taken stay as they
/// are. Nothing is copied when the source was judged by other scorers. The caller has made sure that all else
/// is equal (runs_with_same_context) and holds a transaction. Returns (document's position, repeat) of each
/// copy.
std::vector<std::pair<size_t, int64_t>> reuse_samples(Database& database, const WrittenTask& task,
                                                      int64_t attempt, int64_t source);

}  // namespace fathom::results
