// The content-addressed rows that runs share: inserted unless their hash is there already, then found by it.
// Each function returns the row's id and must be called inside a transaction.
#pragma once

#include <cstdint>
#include <vector>

#include "results/records.h"
#include "results/sqlite.h"

namespace fathom::results {

int64_t checkpoint_row(Database& database, const CheckpointRecord& checkpoint,
                       const std::vector<FileIdentity>& files);
int64_t tokenizer_row(Database& database, const TokenizerRecord& tokenizer);
int64_t build_row(Database& database, const BuildRecord& build);
int64_t machine_row(Database& database, const std::string& machine_json);
int64_t dataset_row(Database& database, const DatasetRecord& dataset);
int64_t task_row(Database& database, const TaskRecord& task, int64_t dataset_id);
/// Ids in the order of `docs`.
std::vector<int64_t> doc_rows(Database& database, const std::vector<DocRecord>& docs, int64_t dataset_id);

}  // namespace fathom::results
