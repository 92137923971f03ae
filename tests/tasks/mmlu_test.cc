#include "tasks/mmlu.h"

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

class MmluTest : public ::testing::Test {
 protected:
  MmluTest() {
    std::filesystem::create_directories(folder_ / "dev");
    std::filesystem::create_directories(folder_ / "test");
    write("dev", " 1+1? ,1,2,3,4,B\n2+2?,1,2,3,4,D\n");
    write("test", "\"\n3+1?, really \",1, 2,3,4,D\n5-4?,1,2,3,4,A\n");
  }

  void write(const std::string& split, const std::string& rows) {
    write_file_atomically(folder_ / (split + "/abstract_algebra_" + split + ".csv"), rows);
  }

  Documents open(const std::string& task, int64_t num_fewshot, PromptForm form = PromptForm::kText) {
    PromptOptions options;
    options.num_fewshot = num_fewshot;
    options.form = form;
    return open_documents(find_task(task), {folder_.path(), {}}, options);
  }

  Prompt first(const std::string& task, int64_t num_fewshot, PromptForm form = PromptForm::kText) {
    const Documents documents = open(task, num_fewshot, form);
    return documents.prompt(documents.samples.at(0));
  }

  const TemporaryFolder folder_;
};

TEST_F(MmluTest, LmEvalLayoutHasOneSpaceAndStripsTheQuestion) {
  const Prompt prompt = first("mmlu_abstract_algebra", 1);
  EXPECT_EQ(prompt.text,
            "The following are multiple choice questions (with answers) about abstract algebra.\n\n"
            "1+1?\nA. 1\nB. 2\nC. 3\nD. 4\nAnswer: B\n\n"
            "3+1?, really\nA. 1\nB.  2\nC. 3\nD. 4\nAnswer:");
  EXPECT_EQ(prompt.continuations, (std::vector<std::string>{" A", " B", " C", " D"}));
}

TEST_F(MmluTest, OriginalLayoutHasTwoSpacesAndStripsNothing) {
  EXPECT_EQ(first("mmlu_abstract_algebra_original", 1).text,
            "The following are multiple choice questions (with answers) about  abstract algebra.\n\n"
            " 1+1? \nA. 1\nB. 2\nC. 3\nD. 4\nAnswer: B\n\n"
            "\n3+1?, really \nA. 1\nB.  2\nC. 3\nD. 4\nAnswer:");
}

TEST_F(MmluTest, ClozeLayoutScoresTheAnswerTexts) {
  const Prompt prompt = first("mmlu_abstract_algebra_cloze", 2);
  EXPECT_EQ(prompt.text,
            "The following are questions (with answers) about abstract algebra.\n\n"
            "Question: 1+1?\nAnswer: 2\n\nQuestion: 2+2?\nAnswer: 4\n\nQuestion: 3+1?, really\nAnswer:");
  EXPECT_EQ(prompt.continuations, (std::vector<std::string>{" 1", "  2", " 3", " 4"}));
}

TEST_F(MmluTest, GenerativeLayoutStopsAtTheLineEnd) {
  const Prompt prompt = first("mmlu_abstract_algebra_generative", 0);
  EXPECT_EQ(prompt.text,
            "The following are multiple choice questions (with answers) about abstract algebra.\n\n"
            "3+1?, really\nA. 1\nB.  2\nC. 3\nD. 4\nAnswer:");
  EXPECT_TRUE(prompt.continuations.empty());
  EXPECT_EQ(prompt.stop, (std::vector<std::string>{"</s>", "\n"}));
}

TEST_F(MmluTest, ChatContinuationsHaveNoSpace) {
  const Prompt prompt = first("mmlu_abstract_algebra", 1, PromptForm::kChatMultiturn);
  EXPECT_EQ(prompt.continuations, (std::vector<std::string>{"A", "B", "C", "D"}));
  ASSERT_EQ(prompt.turns.size(), 4u);
  EXPECT_EQ(prompt.turns[0].content,
            "The following are multiple choice questions (with answers) about abstract algebra.\n\n");
  EXPECT_EQ(prompt.turns[2].content, "B");
}

TEST_F(MmluTest, SamplesHoldWhatTheScorersNeed) {
  const Documents documents = open("mmlu_abstract_algebra", 0);
  ASSERT_EQ(documents.samples.size(), 2u);
  const Sample& sample = documents.samples[1];
  EXPECT_EQ(sample.doc_id, 1);
  EXPECT_EQ(sample.target, "A");
  EXPECT_EQ(sample.cluster, "abstract_algebra");
  EXPECT_EQ(sample.fields.at("gold"), 0);
  EXPECT_EQ(sample.fields.at("choices").at(3), "4");
  EXPECT_EQ(documents.dataset.name, "mmlu");
  EXPECT_EQ(documents.dataset.config, "abstract_algebra");
  EXPECT_EQ(documents.dataset.n_rows, 2);
}

TEST_F(MmluTest, TooFewExamplesAreAnError) {
  testing::expect_bad_input([&] { open("mmlu_abstract_algebra", 5); },
                            {"abstract_algebra_dev.csv", "5", "found 2"});
}

TEST_F(MmluTest, AMissingSubjectNamesItsFile) {
  PromptOptions options;
  testing::expect_bad_input(
      [&] { open_documents(find_task("mmlu_virology"), {folder_.path(), {}}, options); },
      {"virology_test.csv", "fathom data fetch mmlu"});
}

TEST(Mmlu, RealDataHas14042Questions) {
  FATHOM_REQUIRE_SHARED_DATA("mmlu");
  const std::vector<std::string> names = {"mmlu"};
  size_t n = 0;
  for (const Task* task : select_tasks(names).tasks) {
    n += open_documents(*task, {testing::shared_data(), {}}, {}).samples.size();
  }
  EXPECT_EQ(n, 14042u);
}

TEST(MmluSample, IsBuiltInWithBalancedLetters) {
  const std::vector<std::string> names = {"mmlu_sample"};
  std::map<std::string, int> letters;
  const Selection selection = select_tasks(names);
  EXPECT_EQ(selection.tasks.size(), 4u);
  for (const Task* task : selection.tasks) {
    EXPECT_TRUE(is_built_in(task->dataset));
    const Documents documents = open_documents(*task, {}, {});
    EXPECT_EQ(documents.samples.size(), 24u);
    for (const Sample& sample : documents.samples) ++letters[sample.target];
  }
  EXPECT_EQ(letters, (std::map<std::string, int>{{"A", 24}, {"B", 24}, {"C", 24}, {"D", 24}}));
  EXPECT_FALSE(is_built_in("mmlu"));
}

}  // namespace
}  // namespace fathom::tasks
