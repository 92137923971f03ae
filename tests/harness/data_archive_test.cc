// Unpacking a data set from tar archives, hostile ones included.
#include "harness/data/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "tests/temporary_folder.h"

namespace fathom::harness {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

struct Entry {
  std::string name;
  std::string content;
  mode_t type = AE_IFREG;
  std::string link{};
};

class DataArchive : public ::testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_ / "inside/target"); }

  void write_tar(const std::vector<Entry>& entries) const {
    archive* tar = archive_write_new();
    archive_write_set_format_pax_restricted(tar);
    ASSERT_EQ(archive_write_open_filename(tar, tar_path().c_str()), ARCHIVE_OK);
    for (const Entry& e : entries) {
      archive_entry* entry = archive_entry_new();
      archive_entry_set_pathname(entry, e.name.c_str());
      archive_entry_set_filetype(entry, e.type);
      archive_entry_set_perm(entry, 0644);
      archive_entry_set_size(entry, static_cast<la_int64_t>(e.content.size()));
      if (e.type == AE_IFLNK) archive_entry_set_symlink(entry, e.link.c_str());
      if (e.type == AE_IFREG && !e.link.empty()) archive_entry_set_hardlink(entry, e.link.c_str());
      ASSERT_EQ(archive_write_header(tar, entry), ARCHIVE_OK);
      archive_write_data(tar, e.content.data(), e.content.size());
      archive_entry_free(entry);
    }
    archive_write_close(tar);
    archive_write_free(tar);
  }

  std::string failure() const {
    try {
      unpack_files(tar_path(), "data/", wanted_, target());
    } catch (const Error& error) {
      return error.what();
    }
    return "nothing was thrown";
  }

  fs::path tar_path() const { return folder_ / "inside/set.tar"; }
  fs::path target() const { return folder_ / "inside/target"; }

  const testing::TemporaryFolder temporary_;
  const fs::path folder_ = temporary_.path();
  std::vector<DataFile> wanted_ = {{.path = "dev/a.csv", .bytes = 3}, {.path = "b.csv"}};
};

TEST_F(DataArchive, TakesWhatIsWantedAndPassesOverTheRest) {
  write_tar({{"data", "", AE_IFDIR},
             {"data/dev/a.csv", "abc"},
             {"data/val/c.csv", "not wanted"},
             {"./data/b.csv", std::string(200'000, 'b')}});
  unpack_files(tar_path(), "data/", wanted_, target());
  EXPECT_EQ(read_file(target() / "dev/a.csv"), "abc");
  EXPECT_EQ(read_file(target() / "b.csv"), std::string(200'000, 'b'));
  EXPECT_FALSE(fs::exists(target() / "val"));
}

TEST_F(DataArchive, NamesInTheArchiveNeverBecomePaths) {
  const std::string outside = (folder_ / "absolute").string();
  write_tar({{"../evil", "x"},
             {"data/../../evil", "x"},
             {outside, "x"},
             {"data/dev", "", AE_IFLNK, folder_.string()},
             {"data/dev/a.csv", "abc"},
             {"data/b.csv", "b"}});
  unpack_files(tar_path(), "data/", wanted_, target());
  EXPECT_FALSE(fs::exists(outside));
  EXPECT_FALSE(fs::exists(folder_ / "evil"));
  EXPECT_FALSE(fs::exists(folder_ / "inside/evil"));
  EXPECT_FALSE(fs::is_symlink(target() / "dev"));
  EXPECT_EQ(read_file(target() / "dev/a.csv"), "abc");
}

TEST_F(DataArchive, RefusesAWantedEntryThatIsNoRegularFile) {
  write_tar({{"data/dev/a.csv", "", AE_IFLNK, "/etc/passwd"}, {"data/b.csv", "b"}});
  EXPECT_THAT(failure(), HasSubstr("data/dev/a.csv: is not a regular file"));
  write_tar({{"data/dev/a.csv", "", AE_IFREG, "/etc/passwd"}, {"data/b.csv", "b"}});
  EXPECT_THAT(failure(), HasSubstr("data/dev/a.csv: is not a regular file"));
  write_tar({{"data/dev/a.csv", "", AE_IFDIR}, {"data/b.csv", "b"}});
  EXPECT_THAT(failure(), HasSubstr("data/dev/a.csv"));
}

TEST_F(DataArchive, RefusesMissingDoubledAndMissizedEntries) {
  write_tar({{"data/dev/a.csv", "abc"}});
  EXPECT_THAT(failure(), HasSubstr("lacks data/b.csv (1 of 2 files are missing)"));
  fs::remove_all(target() / "dev");
  write_tar({{"data/dev/a.csv", "abc"}, {"data/dev/a.csv", "abd"}, {"data/b.csv", "b"}});
  EXPECT_THAT(failure(), HasSubstr("data/dev/a.csv: occurs twice"));
  fs::remove_all(target() / "dev");
  write_tar({{"data/dev/a.csv", "abcd"}, {"data/b.csv", "b"}});
  EXPECT_THAT(failure(), HasSubstr("data/dev/a.csv: has 4 bytes, expected 3"));
}

TEST_F(DataArchive, RefusesWhatIsNoWholeTarArchive) {
  write_file_atomically(tar_path(), "<html>not found</html>" + std::string(2000, ' '));
  EXPECT_THAT(failure(), HasSubstr("is not a whole tar archive"));
  write_tar({{"data/b.csv", std::string(100'000, 'b')}, {"data/dev/a.csv", "abc"}});
  const std::string whole = read_file(tar_path());
  write_file_atomically(tar_path(), whole.substr(0, 50'000));
  EXPECT_THAT(failure(), HasSubstr("is not a whole tar archive"));
}

}  // namespace
}  // namespace fathom::harness
