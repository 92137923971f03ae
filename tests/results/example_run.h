// A small plan and its samples, made up, for tests of the store.
#pragma once

#include <string>
#include <vector>

#include "results/records.h"

namespace fathom::results {

inline std::vector<DocRecord> example_docs(int64_t n, const std::string& name) {
  std::vector<DocRecord> docs;
  for (int64_t i = 0; i < n; ++i) {
    docs.push_back({.ordinal = i,
                    .key = std::to_string(i),
                    .sha256 = sha256(name + std::to_string(i)),
                    .target = std::string(1, static_cast<char>('A' + i % 4))});
  }
  return docs;
}

inline TaskRecord example_choice_task(const std::string& name, int64_t n_docs) {
  return {.name = name,
          .version = "1",
          .kind = "choice",
          .n_shot = 5,
          .spec_json = R"({"template":"x"})",
          .groups = {"exam"},
          .dataset = {.sha256 = sha256("data of " + name),
                      .name = name,
                      .split = "test",
                      .n_rows = n_docs,
                      .source = name + ".csv"},
          .docs = example_docs(n_docs, name),
          .scorings = {{.metric = "acc", .headline = true}, {.metric = "acc_norm"}}};
}

inline RunRecord example_run(int64_t n_docs = 8) {
  return {.name = "example",
          .tags = {"nightly"},
          .checkpoint =
              {.model = "tiny",
               .path = "models/tiny",
               .arch = "DeepseekV2ForCausalLM",
               .dtype = "bf16",
               .n_params = 1000,
               .n_active_params = 300,
               .max_tokens = 2048,
               .config_json = R"({"hidden_size":64})",
               .weights = {{.path = "model.safetensors", .size_bytes = 2000, .mtime_ns = 7, .inode = 9}}},
          .tokenizer = {.sha256 = sha256("tokenizer"), .vocab_size = 512},
          .bos = "on",
          .parameters_json = R"({"seed":0})",
          .numerics_json = R"({"dtype":"bf16","kernels":"scalar"})",
          .tasks = {example_choice_task("anatomy", n_docs), example_choice_task("botany", n_docs + 2)},
          .options_json = R"(["run","exam"])",
          .machine_json = R"({"cpu":"test"})",
          .build = {.sha256 = sha256("binary"), .version = "0.1.0", .git_commit = "abc", .compiler = "g++"}};
}

inline std::vector<FileIdentity> example_files() {
  return {{.path = "model.safetensors", .size_bytes = 2000, .sha256 = sha256("weights")}};
}

/// An answer whose first choice wins; right where the target is A.
inline SampleRecord example_sample(const RunRecord& run, size_t task, size_t doc) {
  const std::string prompt = run.tasks[task].name + " question " + std::to_string(doc);
  const int64_t gold = run.tasks[task].docs[doc].target[0] - 'A';
  const double right = gold == 0 ? 1.0 : 0.0;
  return {.task = task,
          .doc = doc,
          .prompt = {.ids_sha256 = sha256("ids " + prompt),
                     .text_sha256 = sha256(prompt),
                     .n_tokens = 12,
                     .text = prompt},
          .flags = doc == 3 ? 1u : 0u,
          .n_prompt = 12,
          .n_cached = 8,
          .gold = gold,
          .choice_logprobs = {-0.1234567890123456, -1.5, -2.5, -3.5 - static_cast<double>(doc)},
          .choice_greedy = {true, false, false, false},
          .scores = {{.scoring = 0, .value = right, .answer = "A"},
                     {.scoring = 1, .value = right, .answer = "A"}},
          .total_us = 1000};
}

inline std::vector<SampleRecord> example_samples(const RunRecord& run) {
  std::vector<SampleRecord> samples;
  for (size_t task = 0; task < run.tasks.size(); ++task) {
    for (size_t doc = 0; doc < run.tasks[task].docs.size(); ++doc)
      samples.push_back(example_sample(run, task, doc));
  }
  return samples;
}

}  // namespace fathom::results
