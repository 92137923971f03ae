#include "base/json_lines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"

namespace fathom {
namespace {

using testing::HasSubstr;

std::string write_temporary(const std::string& content) {
  const std::string path = testing::TempDir() + "/json_lines_test.jsonl";
  write_file_atomically(path, content);
  return path;
}

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
    return error.what();
  }
  return "no error";
}

TEST(JsonLines, ReadsOneObjectALineAndSkipsBlankLines) {
  JsonLinesReader reader(write_temporary("{\"a\":1}\n\n  \r\n{\"a\":2}"));
  EXPECT_EQ(reader.next()->at("a"), 1);
  EXPECT_EQ(reader.next()->at("a"), 2);
  EXPECT_THAT(reader.where(), HasSubstr(".jsonl:4"));
  EXPECT_FALSE(reader.next().has_value());
}

TEST(JsonLines, ABrokenLineIsNamedByFileAndNumber) {
  JsonLinesReader reader(write_temporary("{}\n{\"a\":\n"));
  reader.next();
  EXPECT_THAT(message_of([&] { reader.next(); }), HasSubstr("json_lines_test.jsonl:2: not valid JSON"));
}

TEST(JsonLines, ALineThatIsNoObjectIsRefused) {
  JsonLinesReader reader(write_temporary("[1]\n"));
  EXPECT_THAT(message_of([&] { reader.next(); }), HasSubstr("expected a JSON object, found array"));
}

TEST(JsonLines, AnUnknownKeyIsRefusedWithTheAcceptedOnes) {
  const auto object = nlohmann::json{{"id", 1}, {"max_token", 2}};
  EXPECT_THAT(message_of([&] { require_known_keys(object, {"id", "max_tokens"}, "in:1"); }),
              HasSubstr("in:1: unknown key \"max_token\"; accepted are id, max_tokens"));
  EXPECT_NO_THROW(require_known_keys(object, {"id", "max_token"}, "in:1"));
}

TEST(JsonLines, AMissingInputFileIsAnError) {
  EXPECT_THAT(message_of([] { JsonLinesReader("/nonexistent/x.jsonl"); }), HasSubstr("/nonexistent/x.jsonl"));
}

TEST(JsonLines, WritesOneLineAValueAndReplacesInvalidUtf8) {
  const std::string path = testing::TempDir() + "/json_lines_out.jsonl";
  {
    JsonLinesWriter writer(path);
    writer.write({{"text", "a\xff"}});
    writer.write({{"n", 2}});
  }
  EXPECT_EQ(read_file(path), "{\"text\":\"a\xef\xbf\xbd\"}\n{\"n\":2}\n");
}

TEST(JsonLines, AFullDiskIsAnErrorNotASilentCut) {
  JsonLinesWriter writer("/dev/full");
  EXPECT_THAT(message_of([&] { writer.write({{"n", 2}}); }), HasSubstr("incomplete"));
}

}  // namespace
}  // namespace fathom
