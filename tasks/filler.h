// Filler: endless English-like text of our own making, the same bytes for everyone.
//
// The default haystack of needle tasks. Paragraphs of plain sentences about a small harbour town, put
// together from word lists by a counter-based generator: paragraph i depends on i alone, so a longer text
// begins with every shorter one. kFillerName names this exact text and changes whenever a byte of it would;
// tests/tasks/filler_test.cc holds the hash of its first MiB.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fathom::tasks {

inline constexpr std::string_view kFillerName = "filler-1";

/// Paragraph `index` (from 0), without a line break at its end.
std::string filler_paragraph(uint64_t index);

/// Whole paragraphs, separated by blank lines, until the text has at least `n_bytes` bytes.
std::string filler_text(size_t n_bytes);

}  // namespace fathom::tasks
