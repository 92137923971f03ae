// From an engine's answer to the record that the store keeps.
#pragma once

#include <cstdint>

#include "engine/engine.h"
#include "harness/code_execution.h"
#include "harness/work_feed.h"
#include "results/records.h"
#include "scorers/score.h"

namespace fathom::harness {

/// The part of the record that does not depend on the answer: position in the plan, prompt, flags of the
/// prompt.
results::SampleRecord begin_record(const WorkItem& item);

/// Puts the answer into the record and returns it in the scorers' terms. A RequestFailure makes the record an
/// error, and nothing is returned.
std::optional<scorers::Response> add_answer(const engine::Completion& completion, const tasks::Sample& sample,
                                            results::SampleRecord& record);

/// The program that judges `text`, the answer to a sample of a code task.
CodeJob code_job(const tasks::Task& task, const tasks::Sample& sample, std::string_view text, uint64_t id);

/// What add_scores puts into the record.
std::vector<results::ScoreRecord> score_records(const scorers::SampleScore& score);

/// Puts the scores, and the scorer's flags, into the record.
void add_scores(const scorers::SampleScore& score, results::SampleRecord& record);

/// Seed of one repeat of one document: the first 8 bytes of SHA-256 over the run's seed, the document and the
/// repeat, so that it never depends on order, batch or what was done before.
uint64_t sample_seed(uint64_t run_seed, const Sha256Digest& document, int64_t rep);

/// SHA-256 over the document's key, target and fields as canonical JSON.
Sha256Digest document_sha256(const tasks::Sample& sample);

}  // namespace fathom::harness
