// DataSource: where the data sets lie, and readers of their file formats.
//
// Every reader checks what it reads: a missing field, a bad label, a duplicate key or a file that is not what
// its name says is Error{kBadInput} naming file and line, what was expected and what was found. Nothing is
// repaired. Data sets are untrusted input.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/sha256.h"

namespace fathom::tasks {

/// The folders that tasks read from. `root` holds one folder a data set (mmlu/, gsm8k/, humaneval/), or is
/// itself the folder of the one data set that is asked for.
struct DataSource {
  std::filesystem::path root;
  std::filesystem::path haystack;  ///< folder of .txt files for needle tasks; empty: the built-in generator
};

/// What a data set is, for the store: `sha256` covers the bytes of the file the questions come from.
struct DatasetIdentity {
  std::string name;    ///< "mmlu"
  std::string config;  ///< "abstract_algebra"; empty where the set has no parts
  std::string split;   ///< "test"
  Sha256Digest sha256{};
  int64_t n_rows = 0;
};

/// A file of a data set, whole. `where` is its path as errors show it.
struct DataFile {
  std::string where;
  std::string text;     ///< decompressed
  Sha256Digest sha256;  ///< of the bytes on disk
};

/// Reads `file` of `dataset`: the one that is built in, else source.root/dataset/file or source.root/file.
/// Gzip is recognised by its magic bytes. Throws Error{kBadInput} with the command that gets the data set
/// when there is no such file, and for gzip that is broken or opens to more than 1 GiB.
DataFile read_data_file(const DataSource& source, std::string_view dataset,
                        const std::filesystem::path& file);

/// Whether `dataset` needs no folder: it is part of the binary, or empty (the task makes its own text).
bool is_built_in(std::string_view dataset);

/// One record of a CSV file.
struct CsvRow {
  std::vector<std::string> fields;
  int64_t line = 0;  ///< of its first character, from 1
};

/// Records of RFC 4180 text as Python's csv module reads them: fields may be quoted, a quoted field holds
/// commas, line breaks and doubled quotes, a quote inside an unquoted field is itself, and records end with
/// LF, CRLF or CR. Line breaks inside quotes stay as they are. Throws Error{kBadInput} for a quote that is
/// never closed and for text between a closing quote and the next comma.
std::vector<CsvRow> parse_csv(std::string_view text, const std::string& where);

/// One row of MMLU: question, four choices and the letter of the right one.
struct ChoiceQuestion {
  std::string question;
  std::vector<std::string> choices;  // 4
  int64_t gold = 0;                  // 0..3
};

/// Rows of MMLU's CSV layout: six columns (question, A, B, C, D, letter), no header.
std::vector<ChoiceQuestion> parse_choice_questions(const DataFile& file);

/// One object of a JSON Lines file.
struct JsonRow {
  nlohmann::json fields;
  std::string where;  ///< "file:line"
};

/// Objects of a JSON Lines file, each of which must have all of `keys` as strings. Blank lines are skipped.
std::vector<JsonRow> parse_json_rows(const DataFile& file, std::initializer_list<std::string_view> keys);

}  // namespace fathom::tasks
