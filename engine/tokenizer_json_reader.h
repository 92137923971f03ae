// Reads the text of tokenizer.json in one pass: model.vocab and model.merges, some 200,000 strings, into flat
// arrays, and everything else into a tree. A tree of the whole file takes several times as long.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace fathom::engine {

struct RawTokenizerJson {
  struct Entry {
    std::string text;
    int64_t id;
  };
  struct MergeText {  // offsets into merge_texts: left is [begin, middle), right [middle, end)
    uint32_t begin;
    uint32_t middle;
    uint32_t end;
  };

  nlohmann::json tree;  ///< the file without model.vocab and model.merges
  std::vector<Entry> vocab;
  std::string merge_texts;
  std::vector<MergeText> merges;
};

/// Throws Error{kBadInput} for text that is not JSON, has a key twice, or whose vocab or merges have another
/// form than {"text": id} and "left right" or ["left", "right"].
RawTokenizerJson read_tokenizer_json(std::string_view text, const std::string& where);

}  // namespace fathom::engine
