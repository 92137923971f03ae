// The demo tasks: their own data in the code of the real families.
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "tasks/byte_counter.h"
#include "tasks/registry.h"

namespace fathom::tasks {
namespace {

const ByteCounter kBytes;

Documents open(const Task& task) {
  PromptOptions options;
  options.tokens = &kBytes;
  return open_documents(task, {}, options);
}

Documents open(const char* name) {
  return open(find_task(name));
}

std::vector<const Task*> members(const std::string& group) {
  const std::vector<std::string> names = {group};
  return select_tasks(names).tasks;
}

TEST(Demo, ChoiceHasManyQuestionsAndBalancedLetters) {
  std::map<std::string, int64_t> letters;
  int64_t n_questions = 0;
  std::set<std::string> questions;
  for (const Task* task : members("demo_choice")) {
    for (const Sample& sample : open(*task).samples) {
      ++letters[sample.target];
      ++n_questions;
      const auto choices = sample.fields.at("choices").get<std::vector<std::string>>();
      EXPECT_EQ(std::set<std::string>(choices.begin(), choices.end()).size(), 4u) << sample.fields;
      questions.insert(sample.fields.at("question").get<std::string>());
    }
  }
  EXPECT_GE(n_questions, 400);
  EXPECT_EQ(static_cast<int64_t>(questions.size()), n_questions);
  EXPECT_EQ(letters.size(), 4u);
  for (const auto& [letter, n] : letters) EXPECT_NEAR(n, n_questions / 4.0, 8.0) << letter;
  EXPECT_GE(members("demo_choice").size(), 4u);
}

TEST(Demo, ClozeAsksTheSameQuestions) {
  const std::vector<const Task*> choice = members("demo_choice");
  const std::vector<const Task*> cloze = members("demo_cloze");
  ASSERT_EQ(choice.size(), cloze.size());
  for (size_t i = 0; i < choice.size(); ++i) {
    const Documents letters = open(*choice[i]);
    const Documents texts = open(*cloze[i]);
    ASSERT_EQ(letters.samples.size(), texts.samples.size());
    for (size_t j = 0; j < letters.samples.size(); ++j) {
      EXPECT_EQ(letters.samples[j].fields, texts.samples[j].fields);
    }
    EXPECT_EQ(to_hex(letters.dataset.sha256), to_hex(texts.dataset.sha256));
  }
}

TEST(Demo, ExamplesAreNotAskedThemselves) {
  for (const char* group : {"demo_choice", "demo_cloze", "demo_math"}) {
    for (const Task* task : members(group)) {
      const Documents documents = open(*task);
      for (const Sample& sample : documents.samples) {
        const std::string text = documents.prompt(sample).text;
        const std::string question = sample.fields.at("question").get<std::string>();
        EXPECT_EQ(text.find(question), text.rfind(question)) << text;
      }
    }
  }
}

TEST(Demo, PromptsAreThoseOfTheRealFamilies) {
  const Documents choice = open("demo_choice_music");
  EXPECT_TRUE(
      choice.prompt(choice.samples[0])
          .text.starts_with("The following are multiple choice questions (with answers) about music.\n\n"));
  const Documents math = open("demo_math");
  const Prompt problem = math.prompt(math.samples[0]);
  EXPECT_TRUE(problem.text.starts_with("Question: "));
  EXPECT_TRUE(problem.text.ends_with("\nAnswer:"));
  EXPECT_EQ(problem.stop, (std::vector<std::string>{"Question:", "</s>", "<|im_end|>"}));
  const Documents code = open("demo_code");
  const Prompt function = code.prompt(code.samples[0]);
  EXPECT_EQ(function.text, code.samples[0].fields.at("prompt").get<std::string>());
  EXPECT_TRUE(function.text.starts_with("def "));
  EXPECT_EQ(function.stop.size(), 5u);
}

TEST(Demo, HasEnoughProblemsFunctionsAndCells) {
  EXPECT_GE(open("demo_math").samples.size(), 200u);
  EXPECT_GE(open("demo_code").samples.size(), 60u);
  const Documents needle = open("demo_needle");
  EXPECT_EQ(needle.samples.size(), 30u);
  std::set<int64_t> lengths;
  for (const Sample& sample : needle.samples) {
    const Prompt prompt = needle.prompt(sample);
    lengths.insert(sample.fields.at("length").get<int64_t>());
    for (const auto& keyword : sample.fields.at("keywords")) {
      EXPECT_NE(prompt.text.find(keyword.get<std::string>()), std::string::npos) << keyword;
    }
  }
  EXPECT_GE(lengths.size(), 4u);
}

}  // namespace
}  // namespace fathom::tasks
