#include "base/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "base/error.h"

namespace fathom {
namespace {

namespace fs = std::filesystem;

fs::path fresh_folder(const std::string& name) {
  fs::path folder = fs::path(testing::TempDir()) / ("fathom_file_test_" + name);
  fs::remove_all(folder);
  fs::create_directories(folder);
  return folder;
}

TEST(File, AMissingFileIsNamedInTheError) {
  try {
    read_file("/nonexistent/file.txt");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
    EXPECT_EQ(error.where(), "/nonexistent/file.txt");
    EXPECT_NE(error.message().find("No such file"), std::string::npos) << error.message();
  }
}

TEST(File, AFolderIsNotReadAsAFile) {
  EXPECT_THROW(read_file(testing::TempDir()), Error);
  EXPECT_THROW(MappedFile{testing::TempDir()}, Error);
}

TEST(File, AnAtomicWriteReplacesTheWholeFileAndLeavesNothingElse) {
  const fs::path folder = fresh_folder("replace");
  const fs::path path = folder / "out.json";
  write_file_atomically(path, "first, longer");
  write_file_atomically(path, "second");
  EXPECT_EQ(read_file(path), "second");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), fs::directory_iterator{}), 1);
}

TEST(File, AFailedAtomicWriteKeepsTheOldFileAndRemovesTheTemporaryOne) {
  const fs::path folder = fresh_folder("failed");
  const fs::path target = folder / "taken";
  fs::create_directories(target / "not_empty");  // rename() onto a folder fails
  EXPECT_THROW(write_file_atomically(target, "text"), Error);
  EXPECT_TRUE(fs::is_directory(target / "not_empty"));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), fs::directory_iterator{}), 1);
}

TEST(File, AnAtomicWriteHonoursTheUmask) {
  const fs::path path = fresh_folder("umask") / "out";
  const mode_t old_mask = ::umask(027);
  write_file_atomically(path, "x");
  ::umask(old_mask);
  EXPECT_EQ(static_cast<int>(fs::status(path).permissions()), 0640);
}

TEST(FileWriter, KeepsAFinishedFileOnly) {
  const fs::path path = fresh_folder("writer") / "out";
  {
    FileWriter writer(path);
    writer.append("half");
  }
  EXPECT_FALSE(fs::exists(path));
  {
    FileWriter writer(path);
    writer.append("who");
    writer.append("le");
    writer.finish();
  }
  EXPECT_EQ(read_file(path), "whole");
  EXPECT_THROW(FileWriter{path}, Error);  // it never overwrites
  EXPECT_EQ(read_file(path), "whole");
}

TEST(MappedFile, ShowsTheBytesAndSurvivesAMove) {
  const fs::path path = fresh_folder("map") / "data";
  write_file_atomically(path, "hello");
  MappedFile first(path);
  MappedFile second(std::move(first));
  EXPECT_EQ(second.text(), "hello");
  MappedFile third(path);
  third = std::move(second);
  EXPECT_EQ(third.text(), "hello");
}

TEST(MappedFile, AnEmptyFileIsAnEmptySpan) {
  const fs::path path = fresh_folder("empty") / "data";
  write_file_atomically(path, "");
  EXPECT_TRUE(MappedFile(path).bytes().empty());
}

}  // namespace
}  // namespace fathom
