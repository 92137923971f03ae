#include "results/identity_rows.h"

#include "base/error.h"
#include "results/plan.h"

namespace fathom::results {
namespace {

template <typename... Keys>
int64_t find_id(Database& database, std::string_view select, const Keys&... keys) {
  const std::optional<int64_t> id = database.prepare(select).find_integer(keys...);
  FATHOM_CHECK(id, "no row from {}", select);
  return *id;
}

}  // namespace

int64_t checkpoint_row(Database& database, const CheckpointRecord& checkpoint,
                       const std::vector<FileIdentity>& files) {
  const Sha256Digest manifest = manifest_sha256(files);
  database
      .prepare(
          "INSERT INTO checkpoint(manifest_sha256, arch, dtype, n_params, n_active_params, max_tokens, "
          "config)"
          " VALUES(?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING")
      .run(manifest, checkpoint.arch, checkpoint.dtype, checkpoint.n_params, checkpoint.n_active_params,
           checkpoint.max_tokens, canonical_json(checkpoint.config_json, "config of " + checkpoint.model));
  const int64_t id =
      find_id(database, "SELECT checkpoint_id FROM checkpoint WHERE manifest_sha256 = ?", manifest);
  Statement insert =
      database.prepare("INSERT INTO checkpoint_file VALUES(?, ?, ?, ?) ON CONFLICT DO NOTHING");
  for (const FileIdentity& file : files) insert.run(id, file.path, file.size_bytes, file.sha256);
  return id;
}

int64_t tokenizer_row(Database& database, const TokenizerRecord& tokenizer) {
  database.prepare("INSERT INTO tokenizer(sha256, vocab_size) VALUES(?, ?) ON CONFLICT DO NOTHING")
      .run(tokenizer.sha256, tokenizer.vocab_size);
  return find_id(database, "SELECT tokenizer_id FROM tokenizer WHERE sha256 = ?", tokenizer.sha256);
}

int64_t build_row(Database& database, const BuildRecord& build) {
  database
      .prepare(
          "INSERT INTO build(sha256, version, git_commit, git_dirty, compiler) VALUES(?, ?, ?, ?, ?)"
          " ON CONFLICT DO NOTHING")
      .run(build.sha256, build.version, build.git_commit, build.git_dirty, build.compiler);
  return find_id(database, "SELECT build_id FROM build WHERE sha256 = ?", build.sha256);
}

int64_t machine_row(Database& database, const std::string& machine_json) {
  const std::string description = canonical_json(machine_json, "description of the machine");
  database.prepare("INSERT INTO machine(description) VALUES(?) ON CONFLICT DO NOTHING").run(description);
  return find_id(database, "SELECT machine_id FROM machine WHERE description = ?", description);
}

int64_t dataset_row(Database& database, const DatasetRecord& dataset) {
  database
      .prepare(
          "INSERT INTO dataset(sha256, name, split, n_rows, source) VALUES(?, ?, ?, ?, ?)"
          " ON CONFLICT DO NOTHING")
      .run(dataset.sha256, dataset.name, dataset.split, dataset.n_rows, dataset.source);
  return find_id(database, "SELECT dataset_id FROM dataset WHERE sha256 = ?", dataset.sha256);
}

int64_t task_row(Database& database, const TaskRecord& task, int64_t dataset_id) {
  const std::string spec = canonical_json(task.spec_json, "specification of task " + task.name);
  const Sha256Digest spec_sha256 = sha256(spec);
  database
      .prepare(
          "INSERT INTO task(dataset_id, name, version, kind, n_shot, spec_sha256, spec)"
          " VALUES(?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING")
      .run(dataset_id, task.name, task.version, task.kind, task.n_shot, spec_sha256, spec);
  return find_id(database,
                 "SELECT task_id FROM task WHERE name = ? AND version = ? AND dataset_id = ? AND n_shot = ?"
                 " AND spec_sha256 = ?",
                 task.name, task.version, dataset_id, task.n_shot, spec_sha256);
}

std::vector<int64_t> doc_rows(Database& database, const std::vector<DocRecord>& docs, int64_t dataset_id) {
  Statement insert = database.prepare(
      "INSERT INTO doc(dataset_id, ordinal, doc_key, sha256, cluster, target) VALUES(?, ?, ?, ?, ?, ?)"
      " ON CONFLICT DO NOTHING");
  Statement find =
      database.prepare("SELECT doc_id FROM doc WHERE dataset_id = ? AND ordinal = ? AND sha256 = ?");
  std::vector<int64_t> ids;
  ids.reserve(docs.size());
  for (const DocRecord& doc : docs) {
    const Sha256Digest identity = doc_sha256(doc);
    insert.run(dataset_id, doc.ordinal, doc.key, identity, doc.cluster, doc.target);
    const std::optional<int64_t> id = find.find_integer(dataset_id, doc.ordinal, identity);
    FATHOM_CHECK(id, "document {}", doc.ordinal);
    ids.push_back(*id);
  }
  return ids;
}

}  // namespace fathom::results
