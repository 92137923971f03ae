#include "tasks/few_shot.h"

#include <gtest/gtest.h>

namespace fathom::tasks {
namespace {

const std::vector<Example> kExamples = {{"Q1:", "one"}, {"Q2:", "two"}};

std::string turns_text(const Prompt& prompt) {
  std::string text;
  for (const Turn& turn : prompt.turns) text += turn.role + "[" + turn.content + "]";
  return text;
}

TEST(FewShotContext, LaysOutRawText) {
  const FewShotContext context(PromptForm::kText, "About.\n\n", kExamples);
  const Prompt prompt = context.ask("Q3:");
  EXPECT_EQ(prompt.text, "About.\n\nQ1: one\n\nQ2: two\n\nQ3:");
  EXPECT_TRUE(prompt.turns.empty());
}

TEST(FewShotContext, PutsExamplesIntoTheUserTurn) {
  const FewShotContext context(PromptForm::kChat, "About.\n\n", kExamples);
  EXPECT_EQ(turns_text(context.ask("Q3:")), "system[About.\n\n]user[Q1: one\n\nQ2: two\n\nQ3:]");
}

TEST(FewShotContext, GivesEachExampleItsTurns) {
  const FewShotContext context(PromptForm::kChatMultiturn, "About.\n\n", kExamples);
  EXPECT_EQ(turns_text(context.ask("Q3:")),
            "system[About.\n\n]user[Q1:]assistant[one]user[Q2:]assistant[two]user[Q3:]");
}

TEST(FewShotContext, HasNoSystemTurnWithoutADescription) {
  EXPECT_EQ(turns_text(FewShotContext(PromptForm::kChat, "", {}).ask("Q:")), "user[Q:]");
}

TEST(FewShotContext, JoinsAnAnswerPrefixByASpaceOnlyWhereNeitherSideHasWhiteSpace) {
  const FewShotContext text(PromptForm::kText, "", {});
  EXPECT_EQ(text.ask("Q:", "Sure").text, "Q: Sure");
  EXPECT_EQ(text.ask("Q:\n", "Sure").text, "Q:\nSure");
  EXPECT_EQ(text.ask("Q:", "\tSure").text, "Q:\tSure");
  const Prompt chat = FewShotContext(PromptForm::kChat, "", {}).ask("Q:", "Sure\n");
  EXPECT_EQ(turns_text(chat), "user[Q:]");
  EXPECT_EQ(chat.assistant_prefix, "Sure\n");
}

TEST(Continuations, FollowASpaceInTextAndNothingInChat) {
  EXPECT_EQ(continuations_for(PromptForm::kText, {"A", " b"}), (std::vector<std::string>{" A", "  b"}));
  EXPECT_EQ(continuations_for(PromptForm::kChat, {"A"}), (std::vector<std::string>{"A"}));
}

}  // namespace
}  // namespace fathom::tasks
