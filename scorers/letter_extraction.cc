#include "scorers/letter_extraction.h"

#include <algorithm>

#include "base/error.h"
#include "base/white_space.h"
#include "scorers/python_text.h"

namespace fathom::scorers {
namespace {

bool is_choice_letter(char c, int n_choices) {
  return c >= 'A' && c < 'A' + n_choices;
}

size_t skip_decoration(std::string_view text, size_t at) {
  static constexpr std::string_view kDecoration = " \t\r\n*([:$\\{";
  return std::min(text.find_first_not_of(kDecoration, at), text.size());
}

// After a marker the letter only has to be a word of its own.
bool is_word_end(std::string_view text, size_t at) {
  if (at >= text.size()) return true;
  const char c = text[at];
  return !is_ascii_letter(c) && !is_ascii_digit(c) && c != '_' && c != '-' && c != '\'';
}

// At the start of a text, "A" is an article more often than an answer when a word follows.
bool is_answer_end(std::string_view text, size_t at) {
  return is_word_end(text, at) && (at >= text.size() || (text[at] != ' ' && text[at] != '\t'));
}

std::optional<std::string> letter_after_last_marker(std::string_view text, int n_choices) {
  static constexpr std::string_view kMarkers[] = {"answer is", "answer:", "\\boxed{"};
  const std::string lower = ascii_lower(text);
  std::optional<std::string> best;
  size_t best_at = 0;
  for (std::string_view marker : kMarkers) {
    for (size_t found = lower.find(marker); found != lower.npos; found = lower.find(marker, found + 1)) {
      const size_t at = skip_decoration(text, found + marker.size());
      if (at >= text.size() || !is_choice_letter(text[at], n_choices) || !is_word_end(text, at + 1)) continue;
      if (best && found < best_at) continue;
      best = std::string(1, text[at]);
      best_at = found;
    }
  }
  return best;
}

std::optional<std::string> only_parenthesised_letter(std::string_view text, int n_choices) {
  std::optional<std::string> letter;
  for (size_t at = 0; at + 2 < text.size(); ++at) {
    if (text[at] != '(' || text[at + 2] != ')' || !is_choice_letter(text[at + 1], n_choices)) continue;
    if (letter && (*letter)[0] != text[at + 1]) return std::nullopt;
    letter = std::string(1, text[at + 1]);
  }
  return letter;
}

}  // namespace

std::string first_line(std::string_view text) {
  return std::string(strip_white_space(text.substr(0, text.find('\n'))));
}

std::optional<std::string> extract_letter(std::string_view text, int n_choices) {
  FATHOM_CHECK(n_choices >= 1 && n_choices <= 26, "{} choices", n_choices);
  text = strip_white_space(text);
  if (std::optional<std::string> letter = letter_after_last_marker(text, n_choices)) return letter;
  const size_t at = skip_decoration(text, 0);
  if (at < text.size() && is_choice_letter(text[at], n_choices) && is_answer_end(text, at + 1)) {
    return std::string(1, text[at]);
  }
  return only_parenthesised_letter(text, n_choices);
}

}  // namespace fathom::scorers
