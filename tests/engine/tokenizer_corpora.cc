#include "tests/engine/tokenizer_corpora.h"

#include <map>

#include "base/utf8.h"
#include "engine/unicode_tables.h"

namespace fathom::engine {
namespace {

using Ranges = std::vector<CodePointRange>;

const std::map<std::string, Ranges>& kinds() {
  static const std::map<std::string, Ranges> kKinds = {
      {"lower", {{0x61, 0x7A}}},
      {"upper", {{0x41, 0x5A}}},
      {"digit", {{0x30, 0x39}}},
      {"punctuation", {{0x21, 0x2F}, {0x3A, 0x40}, {0x5B, 0x60}, {0x7B, 0x7E}}},
      {"space", {{0x20, 0x20}}},
      {"white",
       {{0x9, 0xD},
        {0x20, 0x20},
        {0x85, 0x85},
        {0xA0, 0xA0},
        {0x1680, 0x1680},
        {0x2000, 0x200A},
        {0x2028, 0x2029},
        {0x202F, 0x202F},
        {0x205F, 0x205F},
        {0x3000, 0x3000}}},
      {"line", {{0xA, 0xA}, {0xD, 0xD}}},
      {"latin", {{0xC0, 0x24F}}},
      {"greek", {{0x370, 0x52F}}},
      {"vietnamese", {{0x1E00, 0x1FFF}}},
      {"semitic", {{0x590, 0x6FF}}},
      {"indic", {{0x900, 0xDFF}}},
      {"symbol", {{0x2010, 0x2BFF}}},
      {"kana", {{0x3000, 0x30FF}}},
      {"cjk", {{0x4E00, 0x9FFF}}},
      {"hangul", {{0xAC00, 0xD7FF}}},
      {"fullwidth", {{0xFF00, 0xFFEF}}},
      {"number", {{0xB2, 0xBE}, {0x660, 0x669}, {0x2150, 0x218B}, {0x2460, 0x249B}, {0x1D7CE, 0x1D7FF}}},
      {"emoji", {{0x1F300, 0x1FAFF}, {0x200D, 0x200D}, {0xFE0F, 0xFE0F}}},
      {"control", {{0x0, 0x1F}, {0x7F, 0x9F}}},
      {"any", {{0x0, 0xD7FF}, {0xE000, 0x10FFFF}}},
  };
  return kKinds;
}

const std::map<std::string, std::vector<std::string>>& corpora() {
  static const std::map<std::string, std::vector<std::string>> kCorpora = {
      {"prose",
       {"lower", "lower", "lower", "lower", "space", "space", "space", "upper", "punctuation", "digit",
        "line"}},
      {"code", {"lower", "punctuation", "punctuation", "space", "space", "white", "line", "digit", "upper"}},
      {"white", {"white", "white", "space", "space", "line", "lower", "punctuation", "kana"}},
      {"scripts",
       {"latin", "greek", "vietnamese", "semitic", "indic", "kana", "cjk", "hangul", "space", "lower",
        "fullwidth", "number", "white"}},
      {"cjk", {"cjk", "cjk", "cjk", "kana", "hangul", "fullwidth", "space", "digit"}},
      {"symbols", {"symbol", "emoji", "number", "fullwidth", "control", "punctuation", "space", "latin"}},
      {"anything", {"any", "any", "lower", "space"}},
      {"tokens", {"token", "token", "cut", "lower", "space", "punctuation", "line", "latin", "cjk"}},
  };
  return kCorpora;
}

// The first `n` characters of a text.
std::string first_characters(const std::string& text, size_t n) {
  size_t end = 0;
  while (n-- > 0) end += static_cast<size_t>(utf8_length(static_cast<unsigned char>(text[end])));
  return text.substr(0, end);
}

size_t count_characters(const std::string& text) {
  size_t n = 0;
  for (size_t at = 0; at < text.size(); ++n)
    at += static_cast<size_t>(utf8_length(static_cast<unsigned char>(text[at])));
  return n;
}

std::string make_run(SplitMix& draw, const std::string& kind, const std::vector<std::string>& tokens) {
  if (kind == "token" || kind == "cut") {
    const std::string& token = tokens[draw.below(tokens.size())];
    return kind == "token" ? token : first_characters(token, draw.below(count_characters(token)) + 1);
  }
  const Ranges& ranges = kinds().at(kind);
  size_t total = 0;
  for (const CodePointRange& range : ranges) total += range.last - range.first + 1;
  std::string text;
  for (size_t left = 1 + draw.below(6); left > 0; --left) {
    size_t index = draw.below(total);
    auto range = ranges.begin();
    for (; index > range->last - range->first; ++range) index -= range->last - range->first + 1;
    append_utf8(text, range->first + static_cast<char32_t>(index));
  }
  return text;
}

}  // namespace

uint64_t SplitMix::next() {
  state_ += 0x9E3779B97F4A7C15u;
  uint64_t z = state_;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return z ^ z >> 31;
}

std::vector<std::string> corpus_texts(const std::string& corpus, uint64_t seed, int count,
                                      const std::vector<std::string>& tokens) {
  SplitMix draw(seed);
  const std::vector<std::string>& choices = corpora().at(corpus);
  std::vector<std::string> texts;
  for (int i = 0; i < count; ++i) {
    std::string text;
    for (size_t left = 1 + draw.below(12); left > 0; --left) {
      const std::string& kind = choices[draw.below(choices.size())];
      text += make_run(draw, kind, tokens);
    }
    texts.push_back(std::move(text));
  }
  return texts;
}

}  // namespace fathom::engine
