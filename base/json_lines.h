// JSON Lines in and out: one object a line, "-" for standard input or output.
//
// Readers name the file and line in every error and refuse keys that nobody asked for, so that a misspelt
// option is never silently ignored. Writers end each line with LF and flush it, so that a reader at the other
// end of a pipe sees every result as soon as it exists.
#pragma once

#include <fstream>
#include <initializer_list>
#include <iosfwd>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace fathom {

/// Reads one JSON object per line; blank lines are skipped. Not thread-safe.
class JsonLinesReader {
 public:
  /// `path` "-" reads standard input. Throws Error{kBadInput} when the file cannot be opened.
  explicit JsonLinesReader(const std::string& path);

  /// The next object, or nothing at the end. Throws Error{kBadInput} naming file and line for text that is
  /// not one JSON object.
  std::optional<nlohmann::json> next();

  /// "file:line" of the object that next() returned last.
  std::string where() const;

 private:
  std::string name_;
  std::ifstream file_;
  std::istream* in_;
  int64_t line_ = 0;
};

/// Throws Error{kBadInput} when `object` has a key outside `known`; the message lists what is accepted.
void require_known_keys(const nlohmann::json& object, std::initializer_list<std::string_view> known,
                        const std::string& where);

/// Writes one JSON value per line. Strings that are not valid UTF-8 are written with U+FFFD.
class JsonLinesWriter {
 public:
  /// `path` "-" writes standard output. Throws Error{kBadInput} when the file cannot be created.
  explicit JsonLinesWriter(const std::string& path);

  /// Throws Error{kBadInput} when the line cannot be written whole (a full disk, a closed pipe).
  void write(const nlohmann::json& value);

 private:
  std::string name_;
  std::ofstream file_;
  std::ostream* out_;
};

}  // namespace fathom
