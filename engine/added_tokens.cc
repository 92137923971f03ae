#include "engine/added_tokens.h"

#include <algorithm>
#include <iterator>

namespace fathom::engine {
namespace {

// The stretch that holds offset `at`.
const SpecialRegion& region_at(const std::vector<SpecialRegion>& regions, size_t at) {
  return *std::upper_bound(regions.begin(), regions.end(), at,
                           [](size_t offset, const SpecialRegion& region) { return offset < region.end; });
}

}  // namespace

AddedTokens::AddedTokens(const std::vector<AddedToken>& tokens) {
  std::vector<AddedToken> raw, normalized;
  std::partition_copy(tokens.begin(), tokens.end(), std::back_inserter(normalized), std::back_inserter(raw),
                      [](const AddedToken& token) { return token.normalized; });
  raw_ = make_group(std::move(raw));
  normalized_ = make_group(std::move(normalized));
}

AddedTokens::Group AddedTokens::make_group(std::vector<AddedToken> tokens) {
  auto by_content = [](const AddedToken& a, const AddedToken& b) { return a.content < b.content; };
  std::sort(tokens.begin(), tokens.end(), by_content);
  Group group;
  size_t i = 0;
  for (int byte = 0; byte <= 256; ++byte) {
    while (i < tokens.size() && static_cast<unsigned char>(tokens[i].content[0]) < byte) ++i;
    group.first_with[byte] = i;
  }
  group.tokens = std::move(tokens);
  return group;
}

// Narrows the sorted tokens to those that share a growing prefix with `text`: the first of them is the one
// that ends there, if any does.
const AddedToken* AddedTokens::Group::longest_at(std::string_view text) const {
  const auto lead = static_cast<unsigned char>(text[0]);
  auto first = tokens.begin() + static_cast<ptrdiff_t>(first_with[lead]);
  auto last = tokens.begin() + static_cast<ptrdiff_t>(first_with[lead + 1]);
  const AddedToken* longest = nullptr;
  for (size_t length = 1; first != last; ++length) {
    if (first->content.size() == length) longest = &*first++;
    if (length == text.size()) break;
    const auto next = static_cast<unsigned char>(text[length]);
    first = std::lower_bound(first, last, next, [length](const AddedToken& token, unsigned char byte) {
      return static_cast<unsigned char>(token.content[length]) < byte;
    });
    last = std::upper_bound(first, last, next, [length](unsigned char byte, const AddedToken& token) {
      return byte < static_cast<unsigned char>(token.content[length]);
    });
  }
  return longest;
}

void AddedTokens::Group::find(std::string_view text, size_t begin, size_t end,
                              const std::vector<SpecialRegion>& regions,
                              std::vector<TextSegment>& segments) const {
  const std::string_view searched = text.substr(0, end);
  size_t at = begin;
  while (at < end) {
    const auto lead = static_cast<unsigned char>(text[at]);
    if (first_with[lead] == first_with[lead + 1]) {
      ++at;
      continue;
    }
    const AddedToken* token = longest_at(searched.substr(at));
    if (token == nullptr) {
      ++at;
      continue;
    }
    const size_t token_end = at + token->content.size();
    const SpecialRegion& region = region_at(regions, at);
    if (token->special && !(region.parse && token_end <= region.end)) {
      // The reference passes over such a match as a whole; but text of one stretch must not hide a token of
      // the next.
      at = std::min(token_end, region.end);
      continue;
    }
    if (begin < at) segments.push_back({begin, at});
    segments.push_back({at, token_end, token->id});
    begin = at = token_end;
  }
  if (begin < end) segments.push_back({begin, end});
}

void AddedTokens::split(std::string_view text, const std::vector<SpecialRegion>& regions,
                        std::vector<TextSegment>& segments) const {
  segments.clear();
  raw_.find(text, 0, text.size(), regions, segments);
  if (normalized_.tokens.empty()) return;
  std::vector<TextSegment> raw_segments;
  raw_segments.swap(segments);
  for (const TextSegment& segment : raw_segments) {
    if (segment.id >= 0) {
      segments.push_back(segment);
    } else {
      normalized_.find(text, segment.begin, segment.end, regions, segments);
    }
  }
}

}  // namespace fathom::engine
