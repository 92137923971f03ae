// The plan of a run as canonical JSON: everything that fixes its results except the weights.
//
// Two runs with equal plan hashes and equal checkpoint manifests give the same samples, by the numerics
// contract; that is what resuming and reusing rest on. The text is kept beside its hash so that a refusal can
// say which part differs.
#pragma once

#include <string>
#include <vector>

#include "results/records.h"

namespace fathom::results {

/// Sorted keys, no spaces. Throws Error{kBadInput} when one of the record's JSON texts is none.
std::string canonical_plan(const RunRecord& run);

/// Identifies a row as a task reads it: tasks that share a data file may take other targets from it.
Sha256Digest doc_sha256(const DocRecord& doc);

/// The files as found, for the store: [{"inode", "mtime_ns", "path", "size_bytes"}].
std::string weights_json(const std::vector<WeightFile>& weights);

/// `text` parsed and written again with sorted keys and no spaces; `what` names it in the error.
std::string canonical_json(const std::string& text, const std::string& what);

}  // namespace fathom::results
