#include "results/plan.h"

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace fathom::results {
namespace {

using nlohmann::json;

json parse(const std::string& text, const std::string& what) {
  try {
    return json::parse(text);
  } catch (const json::exception& error) {
    bad_input(what, "is not valid JSON ({})", error.what());
  }
}

std::string docs_sha256(const std::vector<DocRecord>& docs) {
  Sha256 hash;
  for (const DocRecord& doc : docs) hash.update(fmt::format("{} {}\n", doc.ordinal, to_hex(doc_sha256(doc))));
  return to_hex(hash.finish());
}

json plan_of(const TaskRecord& task) {
  return {{"name", task.name},
          {"version", task.version},
          {"kind", task.kind},
          {"n_shot", task.n_shot},
          {"spec", parse(task.spec_json, "specification of task " + task.name)},
          {"dataset", to_hex(task.dataset.sha256)},
          {"n_docs", task.docs.size()},
          {"docs", docs_sha256(task.docs)},
          {"n_reps", task.n_reps}};
}

}  // namespace

Sha256Digest doc_sha256(const DocRecord& doc) {
  return sha256(fmt::format("{}\n{} {}\n{} {}\n{} {}", to_hex(doc.sha256), doc.key.size(), doc.key,
                            doc.cluster.size(), doc.cluster, doc.target.size(), doc.target));
}

std::string canonical_json(const std::string& text, const std::string& what) {
  return parse(text, what).dump();
}

std::string weights_json(const std::vector<WeightFile>& weights) {
  json files = json::array();
  for (const WeightFile& file : weights) {
    files.push_back({{"path", file.path},
                     {"size_bytes", file.size_bytes},
                     {"mtime_ns", file.mtime_ns},
                     {"inode", file.inode}});
  }
  return files.dump();
}

std::string canonical_plan(const RunRecord& run) {
  json plan = {{"bos", run.bos},
               {"tokenizer", to_hex(run.tokenizer.sha256)},
               {"config", parse(run.checkpoint.config_json, "config of " + run.checkpoint.model)},
               {"parameters", parse(run.parameters_json, "parameters of the run")},
               {"numerics", parse(run.numerics_json, "numerics of the engine")},
               {"tasks", json::array()}};
  for (const TaskRecord& task : run.tasks) plan["tasks"].push_back(plan_of(task));
  return plan.dump();
}

}  // namespace fathom::results
