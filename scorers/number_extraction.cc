#include "scorers/number_extraction.h"

#include <algorithm>

#include "base/white_space.h"
#include "scorers/python_text.h"

namespace fathom::scorers {
namespace {

// [0-9.,]
bool is_number_character(char c) {
  return is_ascii_digit(c) || c == '.' || c == ',';
}

// [$0-9.,]
bool is_price_character(char c) {
  return is_number_character(c) || c == '$';
}

template <typename Predicate>
size_t run_length(std::string_view text, size_t begin, Predicate in_run) {
  size_t end = begin;
  while (end < text.size() && in_run(text[end])) ++end;
  return end - begin;
}

// -?[0-9.,]+ at `begin`, greedy: its length, 0 for no match.
size_t signed_run_length(std::string_view text, size_t begin) {
  const size_t sign = begin < text.size() && text[begin] == '-' ? 1 : 0;
  const size_t run = run_length(text, begin + sign, is_number_character);
  return run == 0 ? 0 : sign + run;
}

// fathom's own grammar.

constexpr std::string_view kMinus = "\u2212";

// A number found in a text: where it ends, and its canonical form.
struct Number {
  size_t end = 0;
  std::string canonical;
};

// Digits with commas between groups of three: "1,234,567". Commas anywhere else end the digits.
size_t grouped_digits_length(std::string_view text, size_t begin) {
  size_t length = run_length(text, begin, is_ascii_digit);
  if (length == 0 || length > 3) return length;
  while (begin + length < text.size() && text[begin + length] == ',' &&
         run_length(text, begin + length + 1, is_ascii_digit) == 3) {
    length += 4;
  }
  return length;
}

std::string canonical_decimal(bool negative, std::string_view grouped_integer, std::string_view fraction) {
  std::string integer(grouped_integer);
  std::erase(integer, ',');
  integer.erase(0, std::min(integer.find_first_not_of('0'), integer.size()));
  while (fraction.ends_with('0')) fraction.remove_suffix(1);
  if (integer.empty() && fraction.empty()) return "0";
  std::string number = negative ? "-" : "";
  number += integer.empty() ? "0" : integer;
  if (!fraction.empty()) number.append(".").append(fraction);
  return number;
}

// One optional sign and one optional "$", in either order, then the digits.
std::optional<Number> number_at(std::string_view text, size_t begin) {
  size_t at = begin;
  bool negative = false;
  bool dollar = false;
  while (at < text.size()) {
    const std::string_view rest = text.substr(at);
    if (!negative && (rest[0] == '-' || rest.starts_with(kMinus))) {
      negative = true;
      at += rest[0] == '-' ? 1 : kMinus.size();
    } else if (!dollar && rest[0] == '$') {
      dollar = true;
      ++at;
    } else {
      break;
    }
  }
  const size_t integer = grouped_digits_length(text, at);
  size_t fraction = 0;
  if (at + integer < text.size() && text[at + integer] == '.') {
    fraction = run_length(text, at + integer + 1, is_ascii_digit);
  }
  if (integer == 0 && fraction == 0) return std::nullopt;
  Number number;
  number.end = at + integer + (fraction == 0 ? 0 : 1 + fraction);
  const std::string_view fraction_digits =
      fraction == 0 ? std::string_view() : text.substr(at + integer + 1, fraction);
  number.canonical = canonical_decimal(negative, text.substr(at, integer), fraction_digits);
  return number;
}

bool continues_a_word(std::string_view text, size_t at) {
  return at > 0 && (is_ascii_letter(text[at - 1]) || is_ascii_digit(text[at - 1]) || text[at - 1] == '_');
}

// A "-" in 10-5 is an operator, the 2 in H2 a letter's, the .3 in 1.2.3 no fraction of its own.
bool starts_inside_something(std::string_view text, size_t at) {
  const bool starts_with_dollar = text[at] == '$';  // US$5 is 5
  return !starts_with_dollar && continues_a_word(text, at);
}

std::optional<std::string> last_number(std::string_view text) {
  std::optional<std::string> last;
  size_t at = 0;
  while (at < text.size()) {
    std::optional<Number> number = number_at(text, at);
    if (!number) {
      ++at;
    } else if (!starts_inside_something(text, at)) {
      last = std::move(number->canonical);
      at = number->end;
    } else {
      at = is_ascii_digit(text[at]) ? number->end : at + 1;
    }
  }
  return last;
}

// Past what may stand between a marker and its number: "#### $18", "the answer is: **18**", "\boxed{\$18}".
size_t skip_decoration(std::string_view text, size_t at) {
  static constexpr std::string_view kDecoration = " \t\r\n*(:$\\";
  return std::min(text.find_first_not_of(kDecoration, at), text.size());
}

}  // namespace

std::optional<std::string> gsm8k_strict_match(std::string_view text) {
  static constexpr std::string_view kMarker = "#### ";
  for (size_t at = text.find(kMarker); at != text.npos; at = text.find(kMarker, at + 1)) {
    const size_t begin = at + kMarker.size();
    const size_t length = signed_run_length(text, begin);
    if (length > 0) return std::string(text.substr(begin, length));
  }
  return std::nullopt;
}

std::optional<std::string> gsm8k_cot_strict_match(std::string_view text) {
  static constexpr std::string_view kMarker = "The answer is ";
  for (size_t at = text.find(kMarker); at != text.npos; at = text.find(kMarker, at + 1)) {
    const size_t begin = at + kMarker.size();
    size_t length = signed_run_length(text, begin);
    if (length == 0) continue;
    // The unescaped "." after the group wants one more character, not a newline; when there is none the group
    // gives back its last character, as long as one is left beside the sign.
    const bool has_next = begin + length < text.size() && text[begin + length] != '\n';
    if (!has_next) --length;
    const size_t sign = text[begin] == '-' ? 1 : 0;
    if (length > sign) return std::string(text.substr(begin, length));
  }
  return std::nullopt;
}

std::optional<std::string> gsm8k_flexible_extract(std::string_view text) {
  std::optional<std::string> last;
  size_t at = 0;
  while (at < text.size()) {
    const size_t sign = text[at] == '-' ? 1 : 0;
    const size_t run = run_length(text, at + sign, is_price_character);
    // One character is too short for the first alternative; the second still takes a digit.
    const bool matches = run >= 2 || (run == 1 && is_ascii_digit(text[at + sign]));
    if (!matches) {
      ++at;
      continue;
    }
    last = std::string(text.substr(at, sign + run));
    at += sign + run;
  }
  return last;
}

std::optional<std::string> deepseek_answer(std::string_view text) {
  static constexpr std::string_view kMarker = "The answer is";
  const size_t marker = text.find(kMarker);
  if (marker == text.npos) return std::nullopt;
  size_t at = marker + kMarker.size();
  while (at < text.size() && (text[at] == ' ' || text[at] == '\n' || text[at] == '\t' || text[at] == '\r'))
    ++at;
  const std::optional<Number> number = number_at(text, at);
  if (!number) return std::nullopt;
  return std::string(text.substr(at, number->end - at));
}

std::optional<std::string> extract_number(std::string_view text) {
  static constexpr std::string_view kMarkers[] = {"####", "answer is", "answer:", "\\boxed{"};
  const std::string lower = ascii_lower(text);
  std::optional<std::string> best;
  size_t best_at = 0;
  for (std::string_view marker : kMarkers) {
    for (size_t at = lower.rfind(marker); at != lower.npos;
         at = at == 0 ? lower.npos : lower.rfind(marker, at - 1)) {
      if (best && at <= best_at) break;
      std::optional<Number> number = number_at(text, skip_decoration(text, at + marker.size()));
      if (!number) continue;
      best = std::move(number->canonical);
      best_at = at;
      break;
    }
  }
  return best ? best : last_number(text);
}

std::optional<std::string> canonical_number(std::string_view text) {
  text = strip_white_space(text);
  std::optional<Number> number = number_at(text, 0);
  if (!number || number->end != text.size()) return std::nullopt;
  return std::move(number->canonical);
}

}  // namespace fathom::scorers
