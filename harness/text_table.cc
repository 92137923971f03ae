#include "harness/text_table.h"

#include <algorithm>

#include "base/error.h"

namespace fathom::harness {

TextTable::TextTable(std::string_view alignment, std::vector<std::string> heading) : alignment_(alignment) {
  add(std::move(heading));
}

void TextTable::add(std::vector<std::string> cells) {
  FATHOM_CHECK(cells.size() == alignment_.size(), "{} cells, {} columns", cells.size(), alignment_.size());
  rows_.push_back(std::move(cells));
}

std::string TextTable::text(std::string_view indent) const {
  std::vector<size_t> widths(alignment_.size());
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows_) {
    std::string line(indent);
    for (size_t i = 0; i < row.size(); ++i) {
      if (i > 0) line += "  ";
      line += alignment_[i] == 'r' ? fmt::format("{:>{}}", row[i], widths[i])
                                   : fmt::format("{:<{}}", row[i], widths[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

}  // namespace fathom::harness
