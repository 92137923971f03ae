#include "tasks/haystack.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "base/utf8.h"
#include "tasks/filler.h"

namespace fathom::tasks {
namespace {

namespace fs = std::filesystem;

constexpr size_t kHashedFillerBytes = size_t{1} << 20;

bool ends_sentence(char c) {
  return c == '.' || c == '!' || c == '?';
}

bool is_space(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

// Text of at least about `n_bytes` bytes, the beginning of every longer one.
std::string source_text(const HaystackSource& source, size_t n_bytes) {
  if (source.text.empty()) return filler_text(n_bytes);
  std::string text;
  while (text.size() < n_bytes) text += source.text + "\n";
  return text;
}

}  // namespace

HaystackSource filler_source() {
  static const Sha256Digest kHash =
      sha256(std::string_view(filler_text(kHashedFillerBytes)).substr(0, kHashedFillerBytes));
  return {std::string(kFillerName), kHash, ""};
}

HaystackSource folder_source(const fs::path& folder) {
  if (!fs::is_directory(folder))
    bad_input(folder.string(), "expected a folder of .txt files for the haystack");
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.is_regular_file() && entry.path().extension() == ".txt") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::string text;
  for (const fs::path& file : files) {
    const std::string content = read_file(file);
    const size_t valid = valid_utf8_prefix(content);
    if (valid != content.size())
      bad_input(file.string(), "expected UTF-8, found something else at byte {}", valid);
    if (!text.empty()) text += "\n";
    text += content;
  }
  if (text.find_first_not_of(" \t\r\n") == std::string::npos) {
    bad_input(folder.string(), "found no text in {} .txt files; a haystack needs some", files.size());
  }
  return {"folder", sha256(text), std::move(text)};
}

std::vector<int64_t> sentence_ends(std::string_view text) {
  static constexpr std::string_view kClosing[] = {"\"", "'", ")", "]", "\u201d", "\u2019"};
  std::vector<int64_t> ends;
  for (size_t at = 0; at < text.size();) {
    if (!ends_sentence(text[at++])) continue;
    for (bool closed = true; closed;) {
      closed = false;
      for (const std::string_view mark : kClosing) {
        if (!text.substr(at).starts_with(mark)) continue;
        at += mark.size();
        closed = true;
      }
    }
    if (at < text.size() && is_space(text[at])) ends.push_back(static_cast<int64_t>(at));
  }
  if (!text.empty() && (ends.empty() || ends.back() != static_cast<int64_t>(text.size()))) {
    ends.push_back(static_cast<int64_t>(text.size()));
  }
  return ends;
}

Haystack::Haystack(const HaystackSource& source, int64_t n_tokens, const TokenCounter& tokens) {
  // A token is at least a byte, and four or five of English text: grow until there are enough.
  for (size_t n_bytes = static_cast<size_t>(std::max<int64_t>(n_tokens, 1)) * 5;; n_bytes *= 2) {
    text_ = source_text(source, n_bytes);
    ends_ = {End{}};
    for (const int64_t end : sentence_ends(text_)) {
      const End& last = ends_.back();
      const std::string_view piece = std::string_view(text_).substr(last.byte, end - last.byte);
      ends_.push_back({end, last.token + tokens.count(piece)});
      if (ends_.back().token >= n_tokens) break;
    }
    if (ends_.back().token >= n_tokens) break;
  }
  text_.resize(static_cast<size_t>(ends_.back().byte));
}

std::string_view Haystack::first_sentences(int64_t n) const {
  return std::string_view(text_).substr(0, static_cast<size_t>(end_byte(n)));
}

int64_t Haystack::sentences_within(int64_t n_tokens) const {
  const auto beyond = std::upper_bound(ends_.begin(), ends_.end(), n_tokens,
                                       [](int64_t limit, const End& end) { return limit < end.token; });
  return std::max<int64_t>(beyond - ends_.begin() - 1, 0);
}

}  // namespace fathom::tasks
