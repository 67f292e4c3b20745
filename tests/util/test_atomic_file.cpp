#include "util/atomic_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <thread>
#include <vector>

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

TEST_F(AtomicFileTest, CheckWritableChangesNothing) {
  CheckWritable(Path("new"));
  EXPECT_FALSE(Exists("new") || Exists("new.tmp"));
  CheckWritable(Write("file", "old"));
  EXPECT_EQ(Read("file"), "old");
  CheckWritable("/dev/null");
  EXPECT_ERROR(CheckWritable(directory_), directory_ + ": cannot be written: Is a directory");
  EXPECT_ERROR(CheckWritable(Path("no/such/file")), "no/such/file: cannot be written: No such");
  // What could be written into, but not replaced, as WriteFile would.
  const string long_name = Write(string(253, 'x'), "old");
  EXPECT_ERROR(CheckWritable(long_name), "cannot be written: File name too long");
  EXPECT_EQ(Read(string(253, 'x')), "old");
}

// Each takes the temporary file for itself: what can be read is always one writer's whole text.
TEST_F(AtomicFileTest, WritersOfOneFileDoNotMix) {
  const string path = Write("file", string(1000, 'a'));
  const size_t kSize = 1 << 20;
  std::vector<std::thread> writers;
  for (const char letter : {'b', 'c', 'd'}) {
    writers.emplace_back([&path, letter] {
      for (int i = 0; i < 20; ++i) {
        AtomicFile file(path);
        const string half(kSize / 2, letter);
        file.Write(half.data(), half.size());
        std::this_thread::yield();
        file.Write(half.data(), half.size());
        if (i % 4 != 3) file.Commit();
      }
    });
  }
  for (int i = 0; i < 200; ++i) {
    const string text = Read("file");
    EXPECT_TRUE(text.size() == 1000 || text.size() == kSize) << text.size();
    EXPECT_EQ(text.find_first_not_of(text[0]), string::npos) << text[0];
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(Read("file").size(), kSize);
  EXPECT_FALSE(Exists("file.tmp"));
}

// A reader on the other end of a pipe gets the text; a renamed file would take the pipe's place.
TEST_F(AtomicFileTest, WriteFileWritesIntoAPipe) {
  ASSERT_EQ(mkfifo(Path("pipe").c_str(), 0600), 0);
  std::thread writer([this] { WriteFile(Path("pipe"), "text"); });
  EXPECT_EQ(Read("pipe"), "text");
  writer.join();
  EXPECT_TRUE(std::filesystem::is_fifo(Path("pipe")));
}

TEST_F(AtomicFileTest, SymbolicLinksStay) {
  const string path = Write("real", "old");
  std::filesystem::create_symlink("real", Path("link"));
  std::filesystem::create_symlink("none", Path("dangling"));
  WriteFile(Path("link"), "new");
  EXPECT_TRUE(std::filesystem::is_symlink(Path("link")));
  EXPECT_EQ(Read("real"), "new");
  WriteFile(Path("dangling"), "there");
  EXPECT_TRUE(std::filesystem::is_symlink(Path("dangling")));
  EXPECT_EQ(Read("none"), "there");
}

// As /dev/stdout is a name of an open file, which may be a regular one.
TEST_F(AtomicFileTest, OpenFilesAreWrittenInto) {
  const int descriptor = open(Path("file").c_str(), O_RDWR | O_CREAT, 0600);
  ASSERT_GE(descriptor, 0);
  std::filesystem::create_symlink("/dev/null", Path("nowhere"));
  WriteFile("/proc/self/fd/" + std::to_string(descriptor), "text");
  char bytes[5] = {};
  EXPECT_EQ(pread(descriptor, bytes, 4, 0), 4);
  EXPECT_STREQ(bytes, "text");
  close(descriptor);
  WriteFile(Path("nowhere"), "text");
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
  EXPECT_TRUE(std::filesystem::is_symlink(Path("nowhere")));
}

}  // namespace
}  // namespace caffe
