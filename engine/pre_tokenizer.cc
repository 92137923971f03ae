#include "engine/pre_tokenizer.h"

#include <nlohmann/json.hpp>
#include <span>

#include "base/error.h"
#include "base/json.h"
#include "base/json_lines.h"
#include "engine/char_classes.h"
#include "engine/json_checks.h"
#include "engine/pre_tokenizer_patterns.h"

namespace fathom::engine {
namespace {

using nlohmann::json;

void require_byte_level(const json& spec, const std::string& where) {
  require_known_keys(spec, {"type", "add_prefix_space", "trim_offsets", "use_regex"}, where);
  require_value(spec, "add_prefix_space", false, where);
  require_value(spec, "use_regex", false, where);
}

}  // namespace

PreTokenizer::Step PreTokenizer::parse_split(const json& spec, const std::string& where) {
  require_known_keys(spec, {"type", "pattern", "behavior", "invert"}, where);
  require_value(spec, "behavior", "Isolated", where);
  require_value(spec, "invert", false, where);
  const json& pattern = require_key(spec, "pattern", where);
  const std::string& regex = require_string(pattern, "Regex", where + ".pattern");
  require_known_keys(pattern, {"Regex"}, where + ".pattern");
  if (regex == kLineBreakPattern) return {Cut::kEach, kLineBreak};
  if (regex == letter_pattern()) return {Cut::kRunsWithSpace, kLetter};
  if (regex == punctuation_pattern()) return {Cut::kRunsWithSpace, kPunctuation};
  if (regex == kTrailingSpacePattern) return {Cut::kTrailingSpace, kSpace};
  if (regex == cjk_pattern()) return {Cut::kRuns, kCjk};
  bad_input(
      where, "unknown Split pattern {}; accepted are the five of the DeepSeek-V2 family: {}, {}, {}, {}, {}",
      json_quoted(regex, 80), json_quoted(kLineBreakPattern), json_quoted(letter_pattern(), 20),
      json_quoted(punctuation_pattern(), 20), json_quoted(kTrailingSpacePattern), json_quoted(cjk_pattern()));
}

PreTokenizer::Step PreTokenizer::parse_digits(const json& spec, const std::string& where) {
  require_known_keys(spec, {"type", "individual_digits"}, where);
  require_value(spec, "individual_digits", true, where);
  return {Cut::kEach, kNumber};
}

PreTokenizer PreTokenizer::parse(const json& spec, const std::string& where) {
  json steps = json::array({spec});
  std::string steps_where = where;
  if (require_string(spec, "type", where) == "Sequence") {
    require_known_keys(spec, {"type", "pretokenizers"}, where);
    steps = require_key(spec, "pretokenizers", where);
    steps_where += ".pretokenizers";
    if (!steps.is_array()) bad_input(steps_where, "expected an array of steps");
  }
  PreTokenizer made;
  bool byte_level = false;
  for (size_t i = 0; i < steps.size(); ++i) {
    const std::string step_where = fmt::format("{}[{}]", steps_where, i);
    const std::string type = require_string(steps[i], "type", step_where);
    if (byte_level)
      bad_input(step_where, "a {} step after ByteLevel; ByteLevel must be the last step", json_quoted(type));
    if (type == "Split") {
      made.steps_.push_back(parse_split(steps[i], step_where));
    } else if (type == "Digits") {
      made.steps_.push_back(parse_digits(steps[i], step_where));
    } else if (type == "ByteLevel") {
      require_byte_level(steps[i], step_where);
      byte_level = true;
    } else {
      bad_input(step_where, "unknown step {}; accepted are Split, Digits and ByteLevel", json_quoted(type));
    }
  }
  if (!byte_level) bad_input(where, "no ByteLevel step; only byte-level BPE is supported");
  return made;
}

// Walks the steps depth first: a piece that a step makes is cut by the rest before the next piece is looked
// for, so that the final pieces come out in order and only their ends need storing.
class PreTokenizer::Splitter {
 public:
  Splitter(std::span<const Step> steps, std::string_view text, const uint8_t* classes,
           std::vector<size_t>& ends)
      : steps_(steps), text_(text), classes_(classes), ends_(ends) {}

  // Cuts the piece [begin, end) by the steps from `step` on. An empty piece is none.
  void cut(size_t step, size_t begin, size_t end) {
    if (begin == end) return;
    if (step == steps_.size()) {
      ends_.push_back(end);
      return;
    }
    switch (steps_[step].cut) {
      case Cut::kEach:
        return cut_each(step, begin, end);
      case Cut::kRuns:
      case Cut::kRunsWithSpace:
        return cut_runs(step, begin, end);
      case Cut::kTrailingSpace:
        return cut_trailing_space(step, begin, end);
    }
  }

 private:
  bool has(size_t at, uint8_t char_class) const { return (classes_[at] & char_class) != 0; }

  size_t skip_without(size_t at, size_t end, uint8_t char_class) const {
    while (at < end && !has(at, char_class)) ++at;
    return at;
  }

  size_t skip_with(size_t at, size_t end, uint8_t char_class) const {
    while (at < end && has(at, char_class)) ++at;
    return at;
  }

  void cut_each(size_t step, size_t begin, size_t end) {
    const uint8_t char_class = steps_[step].char_class;
    while (true) {
      const size_t match = skip_without(begin, end, char_class);
      cut(step + 1, begin, match);
      if (match == end) return;
      begin = skip_with(match + 1, end, kContinuation);
      cut(step + 1, match, begin);
    }
  }

  void cut_runs(size_t step, size_t begin, size_t end) {
    const uint8_t char_class = steps_[step].char_class;
    while (true) {
      const size_t run = skip_without(begin, end, char_class);
      if (run == end) return cut(step + 1, begin, end);
      size_t match = run;
      if (steps_[step].cut == Cut::kRunsWithSpace && run > begin) {
        size_t before = run - 1;
        while (has(before, kContinuation)) --before;
        if (has(before, kSpace)) match = before;
      }
      cut(step + 1, begin, match);
      begin = skip_with(run, end, char_class);
      cut(step + 1, match, begin);
    }
  }

  // \s+$ in Oniguruma: $ also matches before each LF, so that a run of spaces is cut at the last place inside
  // it that ends the piece or comes before an LF.
  void cut_trailing_space(size_t step, size_t begin, size_t end) {
    size_t at = begin;
    while (true) {
      const size_t run = skip_without(at, end, kSpace);
      if (run == end) return cut(step + 1, begin, end);
      at = skip_with(run, end, kSpace);
      size_t match_end = at;
      while (match_end > run && match_end != end && text_[match_end] != '\n') --match_end;
      if (match_end == run) continue;
      cut(step + 1, begin, run);
      cut(step + 1, run, match_end);
      begin = match_end;
    }
  }

  std::span<const Step> steps_;
  std::string_view text_;
  const uint8_t* classes_;
  std::vector<size_t>& ends_;
};

void PreTokenizer::split(std::string_view text, std::vector<uint8_t>& classes,
                         std::vector<size_t>& ends) const {
  ends.clear();
  classes.resize(text.size());
  classify(text, classes.data());
  Splitter(steps_, text, classes.data(), ends).cut(0, 0, text.size());
}

bool PreTokenizer::isolates_line_breaks() const {
  return !steps_.empty() && steps_.front().cut == Cut::kEach && steps_.front().char_class == kLineBreak;
}

}  // namespace fathom::engine
