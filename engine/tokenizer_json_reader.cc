#include "engine/tokenizer_json_reader.h"

#include "base/error.h"
#include "base/json.h"

namespace fathom::engine {
namespace {

using nlohmann::json;

// Receives the events of nlohmann's parser. Outside the two big values it builds the tree; inside them it
// appends to the arrays.
class Reader : public nlohmann::json_sax<json> {
 public:
  Reader(RawTokenizerJson& raw, const std::string& where) : raw_(raw), where_(where) {}

  bool null() override { return value(json(), "null"); }
  bool boolean(bool v) override { return value(json(v), "a boolean"); }
  bool number_integer(int64_t v) override { return number(json(v), v); }
  bool number_unsigned(uint64_t v) override {
    return number(json(v), static_cast<int64_t>(std::min(v, kMaxId)));
  }
  bool number_float(double v, const std::string&) override { return value(json(v), "a fraction"); }
  bool binary(json::binary_t&) override { return value(json(), "binary data"); }

  bool string(std::string& text) override {
    if (part_ == Part::kMerges) {
      add_merge_in_one_string(text);
    } else if (part_ == Part::kMergePair) {
      add_half_of_pair(text);
    } else {
      return value(json(std::move(text)), "a string");
    }
    return true;
  }

  bool start_object(size_t) override {
    if (part_ == Part::kVocabComes) {
      part_ = Part::kVocab;
      return true;
    }
    return open(json::object(), "an object");
  }

  bool end_object() override {
    if (part_ == Part::kVocab) {
      part_ = Part::kTree;
      return true;
    }
    stack_.pop_back();
    return true;
  }

  bool start_array(size_t) override {
    if (part_ == Part::kMergesCome) {
      part_ = Part::kMerges;
    } else if (part_ == Part::kMerges) {
      part_ = Part::kMergePair;
      halves_ = 0;
    } else {
      return open(json::array(), "an array");
    }
    return true;
  }

  bool end_array() override {
    if (part_ == Part::kMerges) {
      part_ = Part::kTree;
    } else if (part_ == Part::kMergePair) {
      if (halves_ != 2) bad_merge("an array of another length than 2");
      finish_merge();
      part_ = Part::kMerges;
    } else {
      stack_.pop_back();
    }
    return true;
  }

  bool key(std::string& text) override {
    key_ = std::move(text);
    if (part_ == Part::kVocab) return true;
    const bool in_model = stack_.size() == 2 && stack_[0]->is_object() && stack_[1] == model();
    const bool vocab = in_model && key_ == "vocab";
    const bool merges = in_model && key_ == "merges";
    if ((vocab && vocab_seen_) || (merges && merges_seen_) || stack_.back()->contains(key_)) {
      bad_input(where_, "key {} appears twice in one object", json_quoted(key_));
    }
    if (vocab) part_ = Part::kVocabComes;
    if (merges) part_ = Part::kMergesCome;
    vocab_seen_ = vocab_seen_ || vocab;
    merges_seen_ = merges_seen_ || merges;
    return true;
  }

  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception& error) override {
    bad_input(where_, "not valid JSON ({})", error.what());
  }

 private:
  enum class Part { kTree, kVocabComes, kVocab, kMergesCome, kMerges, kMergePair };
  static constexpr uint64_t kMaxId = INT64_MAX;
  static constexpr size_t kMaxDepth = 64;

  const json* model() const {
    const auto found = raw_.tree.find("model");
    return found == raw_.tree.end() ? nullptr : &*found;
  }

  [[noreturn]] void bad_merge(std::string_view found) const {
    bad_input(where_, "model.merges[{}]: expected \"left right\" or [\"left\", \"right\"], found {}",
              raw_.merges.size(), found);
  }

  // Stores a value that is no part of the two big ones and returns where it stands.
  json* place(json v, const char* what) {
    if (part_ == Part::kVocabComes) bad_input(where_, "model.vocab: expected an object, found {}", what);
    if (part_ == Part::kVocab)
      bad_input(where_, "model.vocab: expected an id for {}, found {}", json_quoted(key_), what);
    if (part_ == Part::kMergesCome) bad_input(where_, "model.merges: expected an array, found {}", what);
    if (part_ != Part::kTree) bad_merge(what);
    if (stack_.empty()) {
      raw_.tree = std::move(v);
      return &raw_.tree;
    }
    json& parent = *stack_.back();
    if (parent.is_object()) return &(parent[key_] = std::move(v));
    parent.push_back(std::move(v));
    return &parent.back();
  }

  bool value(json v, const char* what) {
    place(std::move(v), what);
    return true;
  }

  bool number(json v, int64_t id) {
    if (part_ != Part::kVocab) return value(std::move(v), "a number");
    raw_.vocab.push_back({std::move(key_), id});
    return true;
  }

  bool open(json v, const char* what) {
    stack_.push_back(place(std::move(v), what));
    if (stack_.size() > kMaxDepth) bad_input(where_, "JSON nested deeper than {}", kMaxDepth);
    return true;
  }

  // Token texts hold no space: in the byte alphabet it is U+0120.
  void add_merge_in_one_string(std::string_view text) {
    const size_t space = text.find(' ');
    if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) {
      bad_merge("a string without exactly one space");
    }
    add_left(text.substr(0, space));
    raw_.merge_texts.append(text.substr(space + 1));
    finish_merge();
  }

  void add_half_of_pair(std::string_view text) {
    if (halves_++ == 0) {
      add_left(text);
    } else {
      raw_.merge_texts.append(text);
    }
  }

  void add_left(std::string_view left) {
    begin_ = static_cast<uint32_t>(raw_.merge_texts.size());
    raw_.merge_texts.append(left);
    middle_ = static_cast<uint32_t>(raw_.merge_texts.size());
  }

  void finish_merge() {
    raw_.merges.push_back({begin_, middle_, static_cast<uint32_t>(raw_.merge_texts.size())});
  }

  RawTokenizerJson& raw_;
  const std::string& where_;
  Part part_ = Part::kTree;
  std::vector<json*> stack_;                       // the open objects and arrays of the tree
  std::string key_;                                // the latest
  bool vocab_seen_ = false, merges_seen_ = false;  // they are not in the tree
  uint32_t begin_ = 0, middle_ = 0;                // of the merge that is being read
  int halves_ = 0;
};

}  // namespace

RawTokenizerJson read_tokenizer_json(std::string_view text, const std::string& where) {
  if (text.size() > UINT32_MAX) bad_input(where, "{} bytes; expected less than 4 GiB", text.size());
  RawTokenizerJson raw;
  Reader reader(raw, where);
  json::sax_parse(text, &reader);
  if (!raw.tree.is_object()) bad_input(where, "expected a JSON object, found {}", raw.tree.type_name());
  return raw;
}

}  // namespace fathom::engine
