#include "engine/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "tests/engine/golden_weights.h"
#include "tests/expect_error.h"
#include "tests/temporary_folder.h"

namespace fathom::engine {
namespace {

using testing::expect_bad_input;

// A file with this header text, `length` bytes of it announced (default: all), and `n_data` data bytes.
std::string file_with(const std::string& header, size_t n_data, uint64_t length = UINT64_MAX) {
  if (length == UINT64_MAX) length = header.size();
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes + header + std::string(n_data, 'x');
}

std::vector<SafetensorsEntry> parse(const std::string& bytes) {
  return parse_safetensors(std::as_bytes(std::span(bytes)), "f.safetensors");
}

void refuse(const std::string& bytes, std::initializer_list<std::string_view> words) {
  expect_bad_input([&] { parse(bytes); }, words);
  expect_bad_input([&] { parse(bytes); }, {"f.safetensors"});
}

// One tensor "w" with these header fields.
std::string one(const std::string& fields) {
  return R"({"w":{)" + fields + "}}";
}

TEST(Safetensors, ReadsNamesDtypesShapesAndBytes) {
  const std::string bytes =
      golden::safetensors_bytes({{"b", "F32", {1, 2}, "12345678"}, {"a", "BF16", {3}, "abcdef"}});
  const std::vector<SafetensorsEntry> entries = parse(bytes);
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].name, "b");
  EXPECT_EQ(entries[0].dtype, "F32");
  EXPECT_EQ(entries[0].shape, (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(std::memcmp(entries[0].data.data(), "12345678", 8), 0);
  EXPECT_EQ(entries[1].name, "a");
  EXPECT_EQ(std::memcmp(entries[1].data.data(), "abcdef", 6), 0);
}

TEST(Safetensors, ReadsEmptyFilesScalarsAndEmptyTensors) {
  EXPECT_TRUE(parse(file_with("{}", 0)).empty());
  EXPECT_TRUE(parse(file_with(R"({"__metadata__":{"format":"pt"}}   )", 0)).empty());
  EXPECT_EQ(parse(file_with(one(R"("dtype":"F32","shape":[],"data_offsets":[0,4])"), 4))[0].data.size(), 4u);
  EXPECT_EQ(parse(file_with(one(R"("dtype":"F32","shape":[0,5],"data_offsets":[0,0])"), 0))[0].data.size(),
            0u);
  EXPECT_EQ(parse(file_with(one(R"("dtype":"F4","shape":[2],"data_offsets":[0,1])"), 1))[0].dtype, "F4");
}

TEST(Safetensors, TouchesNothingBeyondTheFile) {
  testing::TemporaryFolder folder;
  golden::write_bytes(folder / "empty", "");
  expect_bad_input([&] { SafetensorsFile(folder / "empty"); }, {"empty", "8 bytes"});
  expect_bad_input([&] { SafetensorsFile(folder / "absent"); }, {"absent", "cannot open"});
}

TEST(SafetensorsRefuses, AFileShorterThanItsLengthField) {
  refuse("1234567", {"8 bytes", "7 bytes"});
}

TEST(SafetensorsRefuses, AHeaderBeyondTheLimit) {
  refuse(file_with("{}", 0, 100'000'001), {"100000000", "100000001"});
  refuse(file_with("{}", 0, UINT64_MAX - 1), {"100000000"});
}

// The length field of a big-endian writer reads as an enormous number.
TEST(SafetensorsRefuses, ABigEndianLength) {
  refuse(file_with("{}", 0, uint64_t{2} << 56), {"at most 100000000"});
}

TEST(SafetensorsRefuses, AHeaderLongerThanTheFile) {
  refuse(file_with("{}", 0, 3), {"3 bytes", "only 2", "truncated"});
}

TEST(SafetensorsRefuses, ATruncatedFile) {
  refuse(file_with(one(R"("dtype":"F32","shape":[4],"data_offsets":[0,16])"), 12),
         {"\"w\"", "[0, 16)", "12", "truncated"});
}

TEST(SafetensorsRefuses, TrailingBytes) {
  refuse(file_with(one(R"("dtype":"F32","shape":[4],"data_offsets":[0,16])"), 17), {"16", "17", "trailing"});
}

TEST(SafetensorsRefuses, OverlappingTensors) {
  const std::string header = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                             R"("b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})";
  refuse(file_with(header, 12), {"\"b\"", "overlaps", "\"a\"", "byte 4", "8"});
}

TEST(SafetensorsRefuses, AHoleBetweenTensors) {
  const std::string header = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                             R"("b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}})";
  refuse(file_with(header, 12), {"\"b\"", "hole", "8", "4"});
}

TEST(SafetensorsRefuses, OffsetsThatRunBackwards) {
  refuse(file_with(one(R"("dtype":"F32","shape":[1],"data_offsets":[4,0])"), 4), {"\"w\"", "[4, 0)"});
}

TEST(SafetensorsRefuses, OffsetsBeyondInt64) {
  refuse(file_with(one(R"("dtype":"F32","shape":[1],"data_offsets":[0,18446744073709551615])"), 4),
         {"\"w\"", "18446744073709551615"});
  refuse(file_with(one(R"("dtype":"F32","shape":[1],"data_offsets":[0,99999999999999999999])"), 4),
         {"\"w\"", "data_offsets"});
  refuse(file_with(one(R"("dtype":"F32","shape":[1],"data_offsets":[-4,0])"), 4),
         {"\"w\"", "non-negative", "-4"});
}

TEST(SafetensorsRefuses, SizesThatDoNotMatchTheShape) {
  refuse(file_with(one(R"("dtype":"F32","shape":[2,2],"data_offsets":[0,8])"), 8),
         {"\"w\"", "16 bytes", "F32 [2, 2]", "8 bytes"});
  refuse(file_with(one(R"("dtype":"BF16","shape":[3],"data_offsets":[0,5])"), 5),
         {"\"w\"", "6 bytes", "5 bytes"});
  refuse(file_with(one(R"("dtype":"F4","shape":[3],"data_offsets":[0,2])"), 2),
         {"\"w\"", "whole number of bytes"});
}

TEST(SafetensorsRefuses, ShapesThatOverflow) {
  refuse(file_with(one(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0])"), 0),
         {"\"w\"", "overflows"});
  refuse(file_with(one(R"("dtype":"F32","shape":[0,18446744073709551615],"data_offsets":[0,0])"), 0),
         {"\"w\"", "overflows"});
}

TEST(SafetensorsRefuses, UnknownDtypes) {
  refuse(file_with(one(R"("dtype":"Q4_K","shape":[1],"data_offsets":[0,4])"), 4), {"\"w\"", "Q4_K", "BF16"});
}

TEST(SafetensorsRefuses, TheSameNameTwice) {
  const std::string header = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                             R"("a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})";
  refuse(file_with(header, 8), {"\"a\"", "twice"});
}

TEST(SafetensorsRefuses, TensorFieldsThatAreMissingDoubleOrUnknown) {
  refuse(file_with(one(R"("dtype":"F32","shape":[1])"), 4), {"\"w\"", "data_offsets", "missing"});
  refuse(file_with(one(R"("dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4])"), 4),
         {"\"w\"", "dtype", "twice"});
  refuse(file_with(one(R"("dtype":"F32","shape":[1],"data_offsets":[0,4],"offset":0)"), 4),
         {"\"w\"", "unknown key", "offset"});
  refuse(file_with(one(R"("dtype":"F32","shape":[1],"data_offsets":[0])"), 4), {"\"w\"", "two numbers"});
  refuse(file_with(one(R"("dtype":"F32","shape":[1],"data_offsets":[0,4,8])"), 4), {"\"w\"", "two numbers"});
}

TEST(SafetensorsRefuses, ValuesOfTheWrongType) {
  refuse(file_with("[]", 0), {"object", "array"});
  refuse(file_with(R"({"w":1})", 0), {"\"w\"", "object", "1"});
  refuse(file_with(one(R"("dtype":4,"shape":[1],"data_offsets":[0,4])"), 4),
         {"\"w\"", "dtype", "string", "4"});
  refuse(file_with(one(R"("dtype":["F32"],"shape":[1],"data_offsets":[0,4])"), 4),
         {"\"w\"", "dtype", "array"});
  refuse(file_with(one(R"("dtype":"F32","shape":[1.5],"data_offsets":[0,4])"), 4), {"\"w\"", "shape", "1.5"});
  refuse(file_with(one(R"("dtype":"F32","shape":[[1]],"data_offsets":[0,4])"), 4), {"\"w\"", "array"});
  refuse(file_with(one(R"("dtype":"F32","shape":null,"data_offsets":[0,4])"), 4), {"\"w\"", "shape", "null"});
  refuse(file_with(R"({"__metadata__":{"a":1}})", 0), {"__metadata__", "string", "1"});
  refuse(file_with(R"({"__metadata__":{"a":{}}})", 0), {"__metadata__", "object"});
}

TEST(SafetensorsRefuses, HeadersThatAreNotJson) {
  refuse(file_with("", 0), {"not valid JSON"});
  refuse(file_with("{", 0), {"not valid JSON"});
  refuse(file_with("{}x", 0), {"not valid JSON"});
  refuse(file_with("{\"\xff\":1}", 0), {"not valid JSON"});
  refuse(file_with(std::string(1 << 20, '['), 0), {"object"});
}

TEST(SafetensorsRefuses, MoreDimensionsThanAnyTensorHas) {
  std::string shape = "1";
  for (int i = 0; i < 40; ++i) shape += ",1";
  refuse(file_with(one(R"("dtype":"F32","shape":[)" + shape + R"(],"data_offsets":[0,4])"), 4),
         {"\"w\"", "32 dimensions"});
}

// A hostile name reaches the terminal escaped and cut.
TEST(SafetensorsRefuses, WithNamesMadePrintable) {
  const std::string header = R"({"\u001b[31m)" + std::string(5000, 'n') + R"(":1})";
  try {
    parse(file_with(header, 0));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find('\x1b'), std::string::npos);
    EXPECT_LT(std::strlen(error.what()), 400u);
  }
}

}  // namespace
}  // namespace fathom::engine
