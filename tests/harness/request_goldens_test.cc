// Prompts as the model gets them (template and ids) against what lm-eval sends with the same tokenizer:
// tests/golden/prompts, hashes only. Raw texts of all documents: tests/tasks/prompt_goldens_test.cc.
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/sha256.h"
#include "harness/request_builder.h"
#include "tasks/registry.h"
#include "tests/shared_data.h"

namespace fathom::harness {
namespace {

namespace fs = std::filesystem;
using engine::TokenId;
using nlohmann::json;

std::string hash_of(std::string_view text) {
  return to_hex(sha256(text));
}

std::string joined(const std::vector<TokenId>& ids) {
  return fmt::format("{}", fmt::join(ids, ","));
}

std::string continuations_hash(const engine::ScoreRequest& request) {
  std::string text;
  for (const std::vector<TokenId>& ids : request.continuations)
    text += (text.empty() ? "" : ";") + joined(ids);
  return hash_of(text);
}

tasks::PromptForm form_of(const json& golden) {
  if (golden.at("chat").is_null()) return tasks::PromptForm::kText;
  return golden.at("chat") == "multiturn" ? tasks::PromptForm::kChatMultiturn : tasks::PromptForm::kChat;
}

class RequestGoldens : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    FATHOM_REQUIRE_SHARED_DATA("tokenizer/deepseek-v2/tokenizer.json");
    FATHOM_REQUIRE_SHARED_DATA("mmlu");
  }
};

// The same documents with BOS off and on: what is listed one by one, and a digest over all ids where there is
// one.
TEST_P(RequestGoldens, EqualLmEvals) {
  const auto path =
      fs::path(FATHOM_SOURCE_DIR) / "tests/golden/prompts" / (std::string(GetParam()) + ".json");
  const json golden = json::parse(read_file(path));
  const auto tokenizer = engine::Tokenizer::load(testing::shared_data() / "tokenizer/deepseek-v2");
  RequestBuilder without_bos(tokenizer, {.bos = engine::BosRule::kOff});
  RequestBuilder with_bos(tokenizer, {.bos = engine::BosRule::kOn});
  const bool all = golden.at("all").contains("ids");
  tasks::PromptOptions options;
  options.num_fewshot = golden.at("num_fewshot").get<int64_t>();
  options.form = form_of(golden);
  std::string hashes;
  std::string task_name;
  tasks::Documents documents;
  for (const json& listed : golden.at("documents")) {
    if (listed.at("task") != task_name) {
      task_name = listed.at("task");
      documents = open_documents(tasks::find_task(task_name), {testing::shared_data(), {}}, options);
      for (const tasks::Sample& sample : all ? documents.samples : std::vector<tasks::Sample>{}) {
        hashes += without_bos.build(documents.prompt(sample)).ids_sha256() + "\n";
      }
    }
    const tasks::Prompt prompt = documents.prompt(documents.samples.at(listed.at("doc_id").get<size_t>()));
    const BuiltRequest request = without_bos.build(prompt);
    EXPECT_EQ(hash_of(request.text), listed.at("prompt_sha256")) << task_name;
    EXPECT_EQ(request.context().size(), listed.at("n_tokens").get<size_t>()) << task_name;
    EXPECT_EQ(request.ids_sha256(), listed.at("ids_sha256")) << task_name;
    EXPECT_EQ(with_bos.build(prompt).ids_sha256(), listed.at("ids_sha256_bos")) << task_name;
    EXPECT_EQ(request.flags, 0u) << task_name;
    if (listed.contains("continuation_ids_sha256")) {
      EXPECT_EQ(continuations_hash(std::get<engine::ScoreRequest>(request.body)),
                listed.at("continuation_ids_sha256"))
          << task_name;
    }
  }
  if (all) {
    EXPECT_EQ(hash_of(hashes), golden.at("all").at("ids"));
  }
}

INSTANTIATE_TEST_SUITE_P(Prompts, RequestGoldens,
                         ::testing::Values("mmlu", "mmlu_zero_shot", "mmlu_cloze", "mmlu_generative",
                                           "mmlu_original", "mmlu_chat_multiturn", "mmlu_chat_one_turn",
                                           "gsm8k", "gsm8k_cot", "gsm8k_deepseek", "gsm8k_chat_multiturn",
                                           "gsm8k_chat_one_turn", "humaneval", "humaneval_instruct",
                                           "humaneval_instruct_chat"),
                         [](const auto& instance) { return std::string(instance.param); });

}  // namespace
}  // namespace fathom::harness
