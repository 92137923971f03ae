// A table for terminals and logs: columns as wide as their widest cell, two spaces apart.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fathom::harness {

class TextTable {
 public:
  /// `alignment` has one letter a column: 'l' or 'r'. Cells are ASCII.
  TextTable(std::string_view alignment, std::vector<std::string> heading);

  /// One cell a column.
  void add(std::vector<std::string> cells);

  /// Lines that begin with `indent` and end without spaces.
  std::string text(std::string_view indent = {}) const;

 private:
  std::string alignment_;
  std::vector<std::vector<std::string>> rows_;  // the heading first
};

}  // namespace fathom::harness
