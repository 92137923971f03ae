// Every raw prompt of every document against the hashes of what the references send (tests/golden/prompts).
// Chat prompts and token ids need a tokenizer: tests/harness/request_goldens_test.cc.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/sha256.h"
#include "tasks/registry.h"
#include "tests/shared_data.h"

namespace fathom::tasks {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

json read_golden(const std::string& name) {
  return json::parse(read_file(fs::path(FATHOM_SOURCE_DIR) / "tests/golden/prompts" / (name + ".json")));
}

std::string hash_of(std::string_view text) {
  return to_hex(sha256(text));
}

// The tasks of a golden file in its own order (lm-eval's for MMLU), each with the documents it lists.
std::vector<std::pair<const Task*, std::vector<json>>> listed_tasks(const json& golden) {
  std::vector<std::pair<const Task*, std::vector<json>>> listed;
  for (const json& document : golden.at("documents")) {
    const Task* task = &find_task(document.at("task").get<std::string>());
    if (listed.empty() || listed.back().first != task) listed.emplace_back(task, std::vector<json>{});
    listed.back().second.push_back(document);
  }
  return listed;
}

void expect_listed(const json& document, const Prompt& prompt) {
  EXPECT_EQ(hash_of(prompt.text), document.at("prompt_sha256"))
      << document.at("task") << document.at("doc_id");
  if (!document.contains("continuations_sha256")) return;
  std::string joined;
  for (const std::string& continuation : prompt.continuations) {
    if (!joined.empty()) joined += '\0';
    joined += continuation;
  }
  EXPECT_EQ(hash_of(joined), document.at("continuations_sha256")) << document.at("task");
}

class PromptGoldens : public ::testing::TestWithParam<const char*> {};

TEST_P(PromptGoldens, EqualTheReferencesForEveryDocument) {
  const json golden = read_golden(GetParam());
  const DataSource source{testing::shared_data(), {}};
  FATHOM_REQUIRE_SHARED_DATA("mmlu");
  PromptOptions options;
  options.num_fewshot = golden.at("num_fewshot").get<int64_t>();
  const std::vector<std::string> names = {golden.at("task").get<std::string>()};
  std::string hashes;
  int64_t n_documents = 0;
  size_t n_listed = 0;
  const auto tasks = listed_tasks(golden);
  EXPECT_EQ(tasks.size(), select_tasks(names).tasks.size());
  for (const auto& [task, listed] : tasks) {
    const Documents documents = open_documents(*task, source, options);
    for (const Sample& sample : documents.samples) {
      const Prompt prompt = documents.prompt(sample);
      hashes += hash_of(prompt.text) + "\n";
      ++n_documents;
      for (const json& document : listed) {
        if (document.at("doc_id") != sample.doc_id) continue;
        expect_listed(document, prompt);
        ++n_listed;
      }
      if (!golden.at("stop").is_null()) {
        EXPECT_EQ(json(prompt.stop), golden.at("stop"));
      }
      if (!golden.at("max_new_tokens").is_null()) {
        EXPECT_EQ(prompt.max_new_tokens, golden.at("max_new_tokens").get<int64_t>());
      }
    }
  }
  EXPECT_EQ(n_documents, golden.at("all").at("n").get<int64_t>());
  EXPECT_EQ(hash_of(hashes), golden.at("all").at("prompts"));
  EXPECT_EQ(n_listed, golden.at("documents").size());
}

INSTANTIATE_TEST_SUITE_P(Raw, PromptGoldens,
                         ::testing::Values("mmlu", "mmlu_zero_shot", "mmlu_cloze", "mmlu_generative",
                                           "mmlu_original", "gsm8k", "gsm8k_cot", "gsm8k_deepseek",
                                           "humaneval", "humaneval_instruct"),
                         [](const auto& instance) { return std::string(instance.param); });

}  // namespace
}  // namespace fathom::tasks
