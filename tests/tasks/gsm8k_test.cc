#include "tasks/gsm8k.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "tasks/registry.h"
#include "tests/expect_error.h"
#include "tests/shared_data.h"
#include "tests/temporary_folder.h"

namespace fathom::tasks {
namespace {

using testing::expect_bad_input;
using testing::TemporaryFolder;

std::string row(const std::string& question, const std::string& answer) {
  return nlohmann::json{{"question", question}, {"answer", answer}}.dump() + "\n";
}

class Gsm8kTest : public ::testing::Test {
 protected:
  Gsm8kTest() {
    std::string train;
    for (int i = 0; i < 10; ++i) {
      train += row(fmt::format("q{}?", i), fmt::format("<<1+1=2>>2\n#### {}", i));
    }
    write("train.jsonl", train);
    write("test.jsonl", row("How many?", "Many.\n#### 1,234") + row("How few?", "Few.\n#### -2"));
  }

  void write(const std::string& name, const std::string& text) {
    write_file_atomically(folder_ / name, text);
  }

  Documents open(const std::string& task, const PromptOptions& options = {}) {
    return open_documents(find_task(task), {folder_.path(), {}}, options);
  }

  const TemporaryFolder folder_;
};

TEST_F(Gsm8kTest, ExamplesAreDrawnAnewForEachDocument) {
  PromptOptions options;
  options.num_fewshot = 2;
  const Documents documents = open("gsm8k", options);
  const std::vector<std::vector<int64_t>> rows = gsm8k_example_rows(2, 10, 2);
  ASSERT_NE(rows[0], rows[1]);
  for (int i = 0; i < 2; ++i) {
    std::string expected;
    for (const int64_t shown : rows[i]) {
      expected += fmt::format("Question: q{0}?\nAnswer: <<1+1=2>>2\n#### {0}\n\n", shown);
    }
    expected += i == 0 ? "Question: How many?\nAnswer:" : "Question: How few?\nAnswer:";
    EXPECT_EQ(documents.prompt(documents.samples[i]).text, expected);
  }
}

TEST_F(Gsm8kTest, TargetsAreTheNumbersAsWritten) {
  const Documents documents = open("gsm8k_cot");
  EXPECT_EQ(documents.samples[0].target, "1,234");
  EXPECT_EQ(documents.samples[1].target, "-2");
  EXPECT_EQ(documents.samples[1].doc_key, "1");
}

TEST_F(Gsm8kTest, CotShowsTheFirstOfTheEightWorkedExamples) {
  PromptOptions options;
  options.num_fewshot = 1;
  const Documents documents = open("gsm8k_cot", options);
  const Prompt prompt = documents.prompt(documents.samples[0]);
  EXPECT_EQ(
      prompt.text,
      "Q: There are 15 trees in the grove. Grove workers will plant trees in the grove today. After they are "
      "done, there will be 21 trees. How many trees did the grove workers plant today?\nA: There are 15 "
      "trees "
      "originally. Then there were 21 trees after some more were planted. So there must have been 21 - 15 = "
      "6. "
      "The answer is 6.\n\nQ: How many?\nA:");
  EXPECT_EQ(prompt.stop, (std::vector<std::string>{"Q:", "</s>", "<|im_end|>"}));
  EXPECT_EQ(prompt.max_new_tokens, 256);
}

TEST_F(Gsm8kTest, ChatIsAskedInTurnsEvenWithoutBeingToldTo) {
  const Documents documents = open("gsm8k_chat");
  const Prompt prompt = documents.prompt(documents.samples[0]);
  ASSERT_EQ(prompt.turns.size(), 1u);
  EXPECT_EQ(prompt.turns[0].role, "user");
  EXPECT_EQ(prompt.turns[0].content,
            "How many?\nPlease reason step by step, and put your final answer within \\boxed{}.");
  EXPECT_TRUE(prompt.text.empty());
}

TEST_F(Gsm8kTest, OptionsOverrideTheSamplingOfATask) {
  PromptOptions options;
  options.max_new_tokens = 7;
  options.repeats = 3;
  options.temperature = 0.5;
  options.top_p = 0.9;
  const Documents documents = open("gsm8k_cot", options);
  const Prompt prompt = documents.prompt(documents.samples[0]);
  EXPECT_EQ(prompt.max_new_tokens, 7);
  EXPECT_EQ(prompt.repeats, 3);
  EXPECT_EQ(prompt.temperature, 0.5);
  EXPECT_EQ(prompt.top_p, 0.9);
}

TEST_F(Gsm8kTest, AnotherTrainingFileIsRefusedByTheReportsPrompt) {
  expect_bad_input([&] { open("gsm8k_deepseek"); }, {"train.jsonl", "7237", "found 10"});
  std::string train;
  for (int i = 0; i < 7473; ++i) train += row("q?", "a\n#### 1");
  write("train.jsonl", train);
  expect_bad_input([&] { open("gsm8k_deepseek"); }, {"SHA-256", "c325e1f3"});
}

TEST_F(Gsm8kTest, AnswersWithoutANumberAreRefusedWithTheirLine) {
  for (const char* const answer :
       {"no mark", "#### ", "#### many", "#### 1.2.3", "#### -", "#### 1,23", "#### 1234,567", "#### ,123",
        "#### 1,234.", "#### 1,,234", "#### 1,2345"}) {
    write("test.jsonl", row("ok", "#### 1") + row("bad", answer));
    expect_bad_input([&] { open("gsm8k_cot"); }, {"test.jsonl:2", "#### "});
  }
}

TEST(DeepseekRationale, FollowsTheReport) {
  EXPECT_EQ(deepseek_rationale("It takes 2*40=<<2*40=80>>80 minutes.\nSo Ann\u2019s total is 80\n#### 80"),
            "It takes 2*40=80 minutes. So Ann's total is 80.");
  EXPECT_EQ(deepseek_rationale("An open << stays\n#### 1"), "An open << stays.");
}

TEST(Gsm8kDeepseek, PrefixEqualsTheGoldenFile) {
  FATHOM_REQUIRE_SHARED_DATA("golden/gsm8k_ds2_8shot_prefix.txt");
  const std::string prefix = read_file(testing::shared_data() / "golden/gsm8k_ds2_8shot_prefix.txt");
  const Documents documents = open_documents(find_task("gsm8k_deepseek"), {testing::shared_data(), {}}, {});
  const Prompt prompt = documents.prompt(documents.samples[429]);
  EXPECT_TRUE(prompt.text.starts_with(prefix + "Q: "));
  EXPECT_TRUE(prompt.text.ends_with("\nA: Let's think step by step."));
  EXPECT_NE(prompt.text.find("Indras"), std::string::npos);  // the report's own test item
}

}  // namespace
}  // namespace fathom::tasks
