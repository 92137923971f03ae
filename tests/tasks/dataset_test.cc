#include "tasks/dataset.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include "base/file.h"
#include "tests/expect_error.h"
#include "tests/temporary_folder.h"

namespace fathom::tasks {
namespace {

using testing::expect_bad_input;
using testing::TemporaryFolder;

std::vector<std::vector<std::string>> fields_of(std::string_view text) {
  std::vector<std::vector<std::string>> rows;
  for (CsvRow& row : parse_csv(text, "t.csv")) rows.push_back(std::move(row.fields));
  return rows;
}

using Rows = std::vector<std::vector<std::string>>;

std::string gzip(const std::string& text) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

DataFile text_file(std::string text) {
  return {"rows.jsonl", std::move(text), {}};
}

TEST(Csv, ReadsQuotesCommasAndLineBreaksAsPythonDoes) {
  EXPECT_EQ(fields_of("a,b\n"), (Rows{{"a", "b"}}));
  EXPECT_EQ(fields_of("\"a,\"\"b\"\"\",\"x\ny\"\nz,"), (Rows{{"a,\"b\"", "x\ny"}, {"z", ""}}));
  EXPECT_EQ(fields_of("5\" pipe,it's \"so\"\n"), (Rows{{"5\" pipe", "it's \"so\""}}));
  EXPECT_EQ(fields_of("\"\",\"\"\"\"\n"), (Rows{{"", "\""}}));
  EXPECT_EQ(fields_of(" a , \"b\" \n"), (Rows{{" a ", " \"b\" "}}));
}

TEST(Csv, RecordsEndWithAnyLineBreakAndKeepTheirOwn) {
  EXPECT_EQ(fields_of("a\r\nb\rc\nd"), (Rows{{"a"}, {"b"}, {"c"}, {"d"}}));
  EXPECT_EQ(fields_of("\"a\r\nb\"\r\n"), (Rows{{"a\r\nb"}}));
  EXPECT_EQ(fields_of("a\n\n\nb\n"), (Rows{{"a"}, {"b"}}));
  EXPECT_TRUE(fields_of("").empty());
}

TEST(Csv, CountsLinesAcrossQuotedFields) {
  const std::vector<CsvRow> rows = parse_csv("\"a\n\nb\",c\nd\n", "t.csv");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].line, 1);
  EXPECT_EQ(rows[1].line, 4);
}

TEST(Csv, RefusesBrokenQuotesWithTheirLine) {
  expect_bad_input([] { parse_csv("a\n\"b\nc", "t.csv"); }, {"t.csv:2", "never closed"});
  expect_bad_input([] { parse_csv("a\n\"b\"c,d\n", "t.csv"); }, {"t.csv:2", "closing quote", "\"c\""});
}

TEST(ChoiceQuestions, RefusesWrongColumnsAndLabels) {
  auto parse = [](std::string text) { return parse_choice_questions({"q.csv", std::move(text), {}}); };
  const std::vector<ChoiceQuestion> questions = parse("q,1,2,3,4,C\n");
  ASSERT_EQ(questions.size(), 1u);
  EXPECT_EQ(questions[0].gold, 2);
  EXPECT_EQ(questions[0].choices, (std::vector<std::string>{"1", "2", "3", "4"}));
  expect_bad_input([&] { parse("q,1,2,3,4,C\nq,1,2,3,A\n"); }, {"q.csv:2", "6 columns", "found 5"});
  expect_bad_input([&] { parse("q,1,2,3,4,E\n"); }, {"q.csv:1", "A, B, C or D", "\"E\""});
  expect_bad_input([&] { parse("q,1,2,3,4,a\n"); }, {"A, B, C or D"});
  expect_bad_input([&] { parse("\n"); }, {"q.csv", "empty"});
}

TEST(JsonRows, RefusesMissingFieldsWrongTypesAndOtherJson) {
  EXPECT_EQ(parse_json_rows(text_file("{\"a\":\"x\"}\n\n{\"a\":\"y\",\"b\":1}"), {"a"}).size(), 2u);
  expect_bad_input([] { parse_json_rows(text_file("{\"a\":\"x\"}\n{\"b\":\"x\"}"), {"a"}); },
                   {"rows.jsonl:2", "\"a\" is missing"});
  expect_bad_input([] { parse_json_rows(text_file("{\"a\":3}"), {"a"}); },
                   {"rows.jsonl:1", "string in \"a\"", "number"});
  expect_bad_input([] { parse_json_rows(text_file("[1]"), {"a"}); }, {"rows.jsonl:1", "object", "array"});
  expect_bad_input([] { parse_json_rows(text_file("{\"a\":"), {"a"}); }, {"rows.jsonl:1"});
  expect_bad_input([] { parse_json_rows(text_file(""), {"a"}); }, {"empty"});
}

TEST(DataFiles, AreFoundBelowTheFolderOrInIt) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "set");
  write_file_atomically(folder / "set/x.jsonl", "nested");
  EXPECT_EQ(read_data_file({folder.path(), {}}, "set", "x.jsonl").text, "nested");
  EXPECT_EQ(read_data_file({folder / "set", {}}, "set", "x.jsonl").text, "nested");
  EXPECT_EQ(read_data_file({folder.path(), {}}, "set", "x.jsonl.gz").text, "nested");  // the plain file
}

TEST(DataFiles, AbsenceNamesTheCommandThatGetsThem) {
  const TemporaryFolder folder;
  expect_bad_input([&] { read_data_file({folder.path(), {}}, "gsm8k", "test.jsonl"); },
                   {"test.jsonl", "gsm8k", "fathom data fetch gsm8k", "--data"});
}

TEST(DataFiles, GzipIsRecognisedByItsBytes) {
  const TemporaryFolder folder;
  const std::string packed = gzip("one\n") + gzip("two\n");
  write_file_atomically(folder / "a.jsonl.gz", packed);
  const DataFile file = read_data_file({folder.path(), {}}, "set", "a.jsonl.gz");
  EXPECT_EQ(file.text, "one\ntwo\n");
  EXPECT_EQ(file.sha256, sha256(packed));
  write_file_atomically(folder / "cut.gz", packed.substr(0, packed.size() - 3));
  expect_bad_input([&] { read_data_file({folder.path(), {}}, "set", "cut.gz"); }, {"cut.gz", "broken gzip"});
  std::string damaged = gzip("some text that is long enough to be damaged");
  damaged[15] = static_cast<char>(damaged[15] ^ 0x55);
  write_file_atomically(folder / "bad.gz", damaged);
  expect_bad_input([&] { read_data_file({folder.path(), {}}, "set", "bad.gz"); }, {"bad.gz", "broken gzip"});
}

TEST(DataFiles, BytesThatAreNotUtf8AreRefusedWithTheirLine) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "x.csv",
                        "good\nb\xff"
                        "ad\n");
  expect_bad_input([&] { read_data_file({folder.path(), {}}, "set", "x.csv"); },
                   {"x.csv:2", "UTF-8", "0xff"});
}

}  // namespace
}  // namespace fathom::tasks
