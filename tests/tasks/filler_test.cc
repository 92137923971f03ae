#include "tasks/filler.h"

#include <gtest/gtest.h>

#include <set>

#include "base/sha256.h"
#include "base/white_space.h"
#include "tasks/haystack.h"
#include "tasks/prompts/needle.h"

namespace fathom::tasks {
namespace {

// The text of kFillerName: whoever changes a byte of it changes the name and this hash.
constexpr const char* kFirstMiBSha256 = "1f9318e8ecdc3be935d3d748e71978739577f5a1491eb75bc28beea70ad5c529";

TEST(Filler, ItsFirstMiBIsPinned) {
  EXPECT_EQ(to_hex(sha256(filler_text(1 << 20).substr(0, 1 << 20))), kFirstMiBSha256);
}

TEST(Filler, ALongerTextBeginsWithAShorterOne) {
  const std::string text = filler_text(50000);
  const std::string shorter = filler_text(3000);
  EXPECT_GE(shorter.size(), 3000u);
  EXPECT_TRUE(text.starts_with(shorter));
  EXPECT_TRUE(filler_text(0).empty());
}

TEST(Filler, IsPlainAsciiProseWithoutTheNeedles) {
  const std::string text = filler_text(500000);
  for (const char c : text) ASSERT_TRUE((c >= ' ' && c <= '~') || c == '\n') << static_cast<int>(c);
  for (const std::string_view keyword : prompts::kNeedleKeywords) {
    EXPECT_EQ(text.find(keyword), std::string::npos) << keyword;
  }
  for (const std::string_view word :
       {"San Francisco", "sandwich", "Dolores", "sunny", "pizza", "igs ", "rosciutto", "cheese"}) {
    EXPECT_EQ(text.find(word), std::string::npos) << word;
  }
}

TEST(Filler, HardlyRepeatsItself) {
  const std::string text = filler_text(1 << 20);
  std::set<std::string_view> sentences;
  int n_long = 0;
  int64_t begin = 0;
  for (const int64_t end : sentence_ends(text)) {
    const std::string_view sentence = strip_white_space(std::string_view(text).substr(begin, end - begin));
    begin = end;
    if (sentence.size() < 70) continue;  // remarks and sayings come from short lists
    ++n_long;
    sentences.insert(sentence);
  }
  EXPECT_GT(n_long, 5000);
  EXPECT_GT(static_cast<double>(sentences.size()), 0.95 * n_long);
}

}  // namespace
}  // namespace fathom::tasks
