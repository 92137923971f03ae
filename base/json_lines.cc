#include "base/json_lines.h"

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace fathom {

JsonLinesReader::JsonLinesReader(const std::string& path)
    : name_(path == "-" ? "standard input" : path), in_(&std::cin) {
  if (path == "-") return;
  file_.open(path, std::ios::binary);
  if (!file_) bad_input(path, "cannot open; expected a JSON Lines file, or - for standard input");
  in_ = &file_;
}

std::optional<nlohmann::json> JsonLinesReader::next() {
  std::string line;
  while (std::getline(*in_, line)) {
    ++line_;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    nlohmann::json value;
    try {
      value = nlohmann::json::parse(line);
    } catch (const nlohmann::json::exception& error) {
      bad_input(where(), "not valid JSON ({})", error.what());
    }
    if (!value.is_object()) bad_input(where(), "expected a JSON object, found {}", value.type_name());
    return value;
  }
  if (in_->bad()) bad_input(name_, "cannot read after line {}", line_);
  return std::nullopt;
}

std::string JsonLinesReader::where() const {
  return fmt::format("{}:{}", name_, line_);
}

void require_known_keys(const nlohmann::json& object, std::initializer_list<std::string_view> known,
                        const std::string& where) {
  for (const auto& [key, value] : object.items()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    bad_input(where, "unknown key \"{}\"; accepted are {}", key, fmt::join(known, ", "));
  }
}

JsonLinesWriter::JsonLinesWriter(const std::string& path)
    : name_(path == "-" ? "standard output" : path), out_(&std::cout) {
  if (path == "-") return;
  file_.open(path, std::ios::binary | std::ios::trunc);
  if (!file_) bad_input(path, "cannot create the output file");
  out_ = &file_;
}

void JsonLinesWriter::write(const nlohmann::json& value) {
  *out_ << value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << '\n' << std::flush;
  if (!*out_) bad_input(name_, "cannot write; the output is incomplete (disk full or pipe closed?)");
}

}  // namespace fathom
