#include "scorers/needle.h"

#include <fmt/ranges.h>

#include <vector>

#include "base/error.h"
#include "base/white_space.h"
#include "scorers/python_text.h"

namespace fathom::scorers {
namespace {

// Lower case, every run of ASCII white space one space.
std::string folded(std::string_view text) {
  std::string result;
  for (char c : ascii_lower(text)) {
    const bool space = c == ' ' || (c >= '\t' && c <= '\r');
    if (!space) {
      result += c;
    } else if (!result.ends_with(' ')) {
      result += ' ';
    }
  }
  return result;
}

bool is_word_character(char c) {
  return is_ascii_letter(c) || is_ascii_digit(c);
}

bool contains_folded(std::string_view text, std::string_view keyword) {
  for (size_t at = text.find(keyword); at != text.npos; at = text.find(keyword, at + 1)) {
    const size_t end = at + keyword.size();
    const bool word_starts =
        at == 0 || !is_word_character(text[at - 1]) || !is_word_character(keyword.front());
    const bool word_ends =
        end == text.size() || !is_word_character(text[end]) || !is_word_character(keyword.back());
    if (word_starts && word_ends) return true;
  }
  return false;
}

std::string folded_keyword(std::string_view keyword) {
  std::string result = folded(strip_white_space(keyword));
  FATHOM_CHECK(!result.empty(), "an empty keyword is in every text");
  return result;
}

}  // namespace

bool contains_keyword(std::string_view text, std::string_view keyword) {
  return contains_folded(folded(text), folded_keyword(keyword));
}

Score score_keywords(std::string_view text, std::span<const std::string> keywords) {
  FATHOM_CHECK(!keywords.empty());
  const std::string folded_text = folded(text);
  std::vector<std::string> found;
  for (const std::string& keyword : keywords) {
    if (contains_folded(folded_text, folded_keyword(keyword))) found.push_back(keyword);
  }
  Score score;
  score.metric = "needle_score";
  score.value = 1.0 + 9.0 * static_cast<double>(found.size()) / static_cast<double>(keywords.size());
  score.answer = fmt::format("{}", fmt::join(found, ", "));
  score.outcome = strip_white_space(text).empty() ? Outcome::kNoAnswer : Outcome::kScored;
  score.explanation = fmt::format("{} of {} keywords", found.size(), keywords.size());
  return score;
}

}  // namespace fathom::scorers
