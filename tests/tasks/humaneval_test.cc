#include "tasks/humaneval.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "tasks/registry.h"
#include "tests/expect_error.h"
#include "tests/shared_data.h"
#include "tests/temporary_folder.h"

namespace fathom::tasks {
namespace {

using testing::TemporaryFolder;

const char* const kCode = "def add(a, b):\n    \"\"\"Sum.\"\"\"\n\n";

std::string problem(const std::string& id) {
  return nlohmann::json{{"task_id", id},
                        {"prompt", kCode},
                        {"entry_point", "add"},
                        {"canonical_solution", "    return a + b\n"},
                        {"test", "def check(f):\n    assert f(1, 1) == 2\n"}}
             .dump() +
         "\n";
}

class HumanevalTest : public ::testing::Test {
 protected:
  HumanevalTest() { write(problem("HumanEval/0") + problem("HumanEval/1")); }

  void write(const std::string& rows) { write_file_atomically(folder_ / "HumanEval.jsonl", rows); }

  Documents open(const std::string& task, PromptForm form = PromptForm::kText) {
    PromptOptions options;
    options.form = form;
    return open_documents(find_task(task), {folder_.path(), {}}, options);
  }

  const TemporaryFolder folder_;
};

TEST_F(HumanevalTest, ThePromptIsSentAsItIs) {
  const Documents documents = open("humaneval");
  const Prompt prompt = documents.prompt(documents.samples[1]);
  EXPECT_EQ(prompt.text, kCode);
  EXPECT_EQ(prompt.stop, (std::vector<std::string>{"\nclass", "\ndef", "\n#", "\nif", "\nprint"}));
  EXPECT_EQ(prompt.max_new_tokens, 1024);
  EXPECT_EQ(prompt.repeats, 1);
  EXPECT_EQ(prompt.temperature, 0.0);
  EXPECT_EQ(documents.samples[1].doc_key, "HumanEval/1");
  EXPECT_EQ(documents.samples[1].target, "def check(f):\n    assert f(1, 1) == 2\n\ncheck(add)");
}

TEST_F(HumanevalTest, TheSampledVariantAsksOften) {
  const Task& task = find_task("humaneval_sampled");
  const Documents documents = open("humaneval_sampled");
  const Prompt prompt = documents.prompt(documents.samples[0]);
  EXPECT_EQ(prompt.text, kCode);
  EXPECT_EQ(prompt.repeats, 200);
  EXPECT_EQ(prompt.temperature, 0.8);
  EXPECT_EQ(prompt.top_p, 0.95);
  EXPECT_EQ(task.pass_at_k, (std::vector<int64_t>{1, 10, 100}));
}

TEST_F(HumanevalTest, TheInstructVariantBeginsTheAnswer) {
  const std::string question =
      std::string(
          "Write a solution to the following problem and make sure that it passes the tests:\n```python\n") +
      kCode + "\n```\n";
  const std::string answer = std::string("Here is the completed function:\n```python\n") + kCode + "\n";
  const Documents text = open("humaneval_instruct");
  EXPECT_EQ(text.prompt(text.samples[0]).text, question + answer);
  const Documents chat = open("humaneval_instruct", PromptForm::kChat);
  const Prompt prompt = chat.prompt(chat.samples[0]);
  ASSERT_EQ(prompt.turns.size(), 1u);
  EXPECT_EQ(prompt.turns[0].content, question);
  EXPECT_EQ(prompt.assistant_prefix, answer);
}

TEST_F(HumanevalTest, ADuplicateIdNamesBothLines) {
  write(problem("HumanEval/0") + problem("HumanEval/1") + problem("HumanEval/0"));
  testing::expect_bad_input([&] { open("humaneval"); },
                            {"HumanEval.jsonl:3", "HumanEval/0", "HumanEval.jsonl:1"});
}

TEST(Humaneval, RealDataHas164Problems) {
  FATHOM_REQUIRE_SHARED_DATA("humaneval/HumanEval.jsonl.gz");
  const Documents documents = open_documents(find_task("humaneval"), {testing::shared_data(), {}}, {});
  ASSERT_EQ(documents.samples.size(), 164u);
  for (const Sample& sample : documents.samples) EXPECT_TRUE(documents.prompt(sample).text.ends_with('\n'));
}

}  // namespace
}  // namespace fathom::tasks
