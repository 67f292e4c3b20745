#include "util/atomic_file.hpp"

#include <sys/stat.h>

#include <filesystem>
#include <thread>

#include "testing/blob_util.hpp"
#include "testing/data_util.hpp"

namespace caffe {
namespace {

class AtomicFileTest : public testing::TempDirTest {};

TEST_F(AtomicFileTest, AppearsOnlyWhenCommitted) {
  const string path = Write("file", "old");
  {
    AtomicFile file(path);
    file.Write("new", 3);
    EXPECT_EQ(Read("file"), "old");
  }
  EXPECT_EQ(Read("file"), "old");
  EXPECT_FALSE(Exists("file.tmp"));
  AtomicFile file(path);
  file.Write("ne", 2);
  file.Write("w", 1);
  file.Commit();
  EXPECT_EQ(Read("file"), "new");
  EXPECT_FALSE(Exists("file.tmp"));
}

TEST_F(AtomicFileTest, WriteFileReplacesAllOrNothing) {
  const string path = Write("file", "something longer");
  WriteFile(path, "new");
  EXPECT_EQ(Read("file"), "new");
  {
    const testing::FullDisk full(5000);
    EXPECT_ERROR(WriteFile(path, string(100000, 'x')), path + ": cannot be written: ");
  }
  EXPECT_EQ(Read("file"), "new");
  EXPECT_ERROR(WriteFile(Path("no/such/file"), ""), "no/such/file: cannot be written: No such");
  EXPECT_ERROR(WriteFile(directory_, "x"), directory_ + ": cannot be written: ");
  EXPECT_TRUE(std::filesystem::is_directory(directory_));
}

// A reader on the other end of a pipe gets the text; a renamed file would take the pipe's place.
TEST_F(AtomicFileTest, WriteFileWritesIntoAPipe) {
  ASSERT_EQ(mkfifo(Path("pipe").c_str(), 0600), 0);
  std::thread writer([this] { WriteFile(Path("pipe"), "text"); });
  EXPECT_EQ(Read("pipe"), "text");
  writer.join();
  EXPECT_TRUE(std::filesystem::is_fifo(Path("pipe")));
}

}  // namespace
}  // namespace caffe
