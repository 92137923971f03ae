#include "tasks/dataset.h"

#include <zlib.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"
#include "tasks/embedded_data.h"

namespace fathom::tasks {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxInflatedBytes = size_t{1} << 30;

bool is_gzip(std::string_view bytes) {
  return bytes.starts_with("\x1f\x8b");
}

struct InflateEnd {
  void operator()(z_stream* stream) const { inflateEnd(stream); }
};

// All members of a gzip file, one after the other.
std::string gunzip(std::string_view bytes, const std::string& where) {
  z_stream stream{};
  FATHOM_CHECK(inflateInit2(&stream, 15 + 16) == Z_OK);
  const std::unique_ptr<z_stream, InflateEnd> guard(&stream);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  std::string text;
  std::vector<char> buffer(size_t{1} << 16);
  while (true) {
    stream.next_out = reinterpret_cast<Bytef*>(buffer.data());
    stream.avail_out = static_cast<uInt>(buffer.size());
    const int status = inflate(&stream, Z_NO_FLUSH);
    text.append(buffer.data(), buffer.size() - stream.avail_out);
    if (text.size() > kMaxInflatedBytes) bad_input(where, "opens to more than {} bytes", kMaxInflatedBytes);
    if (status == Z_STREAM_END) {
      if (stream.avail_in == 0) return text;
      if (inflateReset(&stream) != Z_OK) break;
    } else if (status != Z_OK) {
      break;
    }
  }
  bad_input(where, "broken gzip file ({}); fetch it again",
            stream.msg != nullptr ? stream.msg : "it ends too early");
}

int64_t count_lines(std::string_view text) {
  return std::count(text.begin(), text.end(), '\n');
}

void require_utf8(std::string_view text, const std::string& where) {
  const size_t valid = valid_utf8_prefix(text);
  if (valid == text.size()) return;
  bad_input(fmt::format("{}:{}", where, count_lines(text.substr(0, valid)) + 1),
            "expected UTF-8, found byte 0x{:02x}", static_cast<unsigned char>(text[valid]));
}

// Reads one CSV record after another.
class CsvReader {
 public:
  CsvReader(std::string_view text, const std::string& where) : text_(text), where_(where) {}

  bool at_end() const { return at_ == text_.size(); }

  CsvRow read_row() {
    CsvRow row;
    row.line = line_;
    do {
      row.fields.push_back(at('"') ? read_quoted() : read_plain());
    } while (skip(','));
    skip_line_break();
    return row;
  }

 private:
  bool at(char c) const { return at_ < text_.size() && text_[at_] == c; }

  bool skip(char c) {
    if (!at(c)) return false;
    ++at_;
    return true;
  }

  void skip_line_break() {
    const bool carriage_return = skip('\r');
    if (skip('\n') || carriage_return) ++line_;
  }

  std::string read_plain() {
    const size_t end = std::min(text_.find_first_of(",\r\n", at_), text_.size());
    std::string field(text_.substr(at_, end - at_));
    at_ = end;
    return field;
  }

  std::string read_quoted() {
    const int64_t first_line = line_;
    std::string field;
    ++at_;
    while (true) {
      const size_t quote = text_.find('"', at_);
      if (quote == std::string_view::npos) {
        bad_input(fmt::format("{}:{}", where_, first_line), "a quoted field opens here and is never closed");
      }
      const std::string_view piece = text_.substr(at_, quote - at_);
      field += piece;
      line_ += count_lines(piece);
      at_ = quote + 1;
      if (!skip('"')) break;
      field += '"';
    }
    if (!at_end() && !at(',') && !at('\r') && !at('\n')) {
      bad_input(fmt::format("{}:{}", where_, line_),
                "expected a comma or line end after a closing quote, found {}",
                json_quoted(text_.substr(at_, 1)));
    }
    return field;
  }

  std::string_view text_;
  const std::string& where_;
  size_t at_ = 0;
  int64_t line_ = 1;
};

// source.root/dataset/file or source.root/file; a file that is compressed by rule may also lie there plain.
fs::path find_data_file(const DataSource& source, std::string_view dataset, const fs::path& file) {
  std::vector<fs::path> names = {file};
  if (file.extension() == ".gz") names.push_back(fs::path(file).replace_extension());
  for (const fs::path& name : names) {
    for (const fs::path& path : {source.root / dataset / name, source.root / name}) {
      if (fs::exists(path)) return path;
    }
  }
  bad_input((source.root / file).string(),
            "the data set {0} has no such file; `fathom data fetch {0}` gets it, and --data DIR names "
            "another folder",
            dataset);
}

}  // namespace

DataFile read_data_file(const DataSource& source, std::string_view dataset, const fs::path& file) {
  DataFile data;
  const std::string built_in = fmt::format("{}/{}", dataset, file.string());
  if (const std::optional<std::string_view> bytes = embedded_file(built_in)) {
    data.where = fmt::format("(built in) {}", built_in);
    data.text = *bytes;
  } else {
    const fs::path path = find_data_file(source, dataset, file);
    data.where = path.string();
    data.text = read_file(path);
  }
  data.sha256 = sha256(data.text);
  if (is_gzip(data.text)) data.text = gunzip(data.text, data.where);
  require_utf8(data.text, data.where);
  return data;
}

bool is_built_in(std::string_view dataset) {
  return dataset.empty() || has_embedded_files(dataset);
}

std::vector<CsvRow> parse_csv(std::string_view text, const std::string& where) {
  std::vector<CsvRow> rows;
  CsvReader reader(text, where);
  while (!reader.at_end()) {
    CsvRow row = reader.read_row();
    const bool blank = row.fields.size() == 1 && row.fields[0].empty();
    if (!blank) rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<ChoiceQuestion> parse_choice_questions(const DataFile& file) {
  std::vector<ChoiceQuestion> questions;
  for (CsvRow& row : parse_csv(file.text, file.where)) {
    const std::string where = fmt::format("{}:{}", file.where, row.line);
    if (row.fields.size() != 6) {
      bad_input(where, "expected 6 columns (question, A, B, C, D, letter of the answer), found {}",
                row.fields.size());
    }
    const std::string& letter = row.fields[5];
    if (letter.size() != 1 || letter[0] < 'A' || letter[0] > 'D') {
      bad_input(where, "expected A, B, C or D as the answer, found {}", json_quoted(letter));
    }
    ChoiceQuestion question;
    question.question = std::move(row.fields[0]);
    question.choices.assign(std::make_move_iterator(row.fields.begin() + 1),
                            std::make_move_iterator(row.fields.begin() + 5));
    question.gold = letter[0] - 'A';
    questions.push_back(std::move(question));
  }
  if (questions.empty()) bad_input(file.where, "expected at least one question, found an empty file");
  return questions;
}

std::vector<JsonRow> parse_json_rows(const DataFile& file, std::initializer_list<std::string_view> keys) {
  std::vector<JsonRow> rows;
  int64_t line_number = 0;
  for (size_t at = 0; at < file.text.size();) {
    const size_t end = std::min(file.text.find('\n', at), file.text.size());
    const std::string_view line = std::string_view(file.text).substr(at, end - at);
    at = end + 1;
    ++line_number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    JsonRow row;
    row.where = fmt::format("{}:{}", file.where, line_number);
    row.fields = parse_json(line, row.where);
    if (!row.fields.is_object())
      bad_input(row.where, "expected a JSON object, found {}", row.fields.type_name());
    for (const std::string_view key : keys) {
      const auto found = row.fields.find(key);
      if (found == row.fields.end()) bad_input(row.where, "the field \"{}\" is missing", key);
      if (!found->is_string()) {
        bad_input(row.where, "expected a string in \"{}\", found {}", key, found->type_name());
      }
    }
    rows.push_back(std::move(row));
  }
  if (rows.empty()) bad_input(file.where, "expected at least one row, found an empty file");
  return rows;
}

}  // namespace fathom::tasks
