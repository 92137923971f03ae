// Every attack gets a verdict that it may get, an honest program passes after it, and the host is as it was:
// as root and as an ordinary user.
#include "tests/scorers/sandbox/attack_corpus.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <set>

#include "tests/scorers/sandbox/as_user.h"
#include "tests/scorers/sandbox/attack_run.h"

namespace fathom::sandbox {
namespace {

void expect_none(const std::vector<std::string>& wrong) {
  for (const std::string& line : wrong) ADD_FAILURE() << line;
}

TEST(AttackCorpus, HasAtLeast120DifferentPrograms) {
  std::set<std::string> names, texts;
  for (const Attack& attack : read_attacks(FATHOM_SOURCE_DIR "/tests/scorers/sandbox/attacks")) {
    EXPECT_TRUE(names.insert(attack.job.id).second) << attack.job.id << " twice";
    texts.insert(attack.job.prompt + attack.job.completion + attack.job.test);
  }
  EXPECT_GE(texts.size(), 120u);
}

TEST(AttackCorpus, GetsNowhereAsRoot) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root: run the tests as root to cover this, too";
  if (const std::string why = refusal(Level::kFull); !why.empty()) GTEST_SKIP() << why;
  expect_none(run_attacks(Level::kFull, {}));
}

TEST(AttackCorpus, GetsNowhereAsAnOrdinaryUser) {
  const auto work = []() -> std::vector<std::string> {
    if (const std::string why = refusal(Level::kFull); !why.empty()) return {"skip", why};
    return run_attacks(Level::kFull, {});
  };
  const std::vector<std::string> wrong = geteuid() == 0 ? as_ordinary_user(work) : work();
  if (wrong.size() == 2 && wrong[0] == "skip") GTEST_SKIP() << "for an ordinary user: " << wrong[1];
  expect_none(wrong);
}

}  // namespace
}  // namespace fathom::sandbox
