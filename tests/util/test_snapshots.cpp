#include "util/snapshots.hpp"

#include <chrono>
#include <filesystem>

#include "testing/blob_util.hpp"
#include "testing/data_util.hpp"
#include "util/checksum.hpp"

namespace caffe {
namespace {

class SnapshotsTest : public testing::TempDirTest {
 protected:
  vector<int> Iterations(const string& prefix, const string& extension = ".state") const {
    vector<int> iterations;
    for (const SnapshotFile& file : FindSnapshots(Path(prefix), extension)) {
      EXPECT_EQ(Path(prefix) + "_iter_" + std::to_string(file.iter) + extension, file.path);
      iterations.push_back(file.iter);
    }
    return iterations;
  }
};

TEST_F(SnapshotsTest, FindsTheRunsOwnFilesNewestFirst) {
  for (const char* name : {"run_iter_9.state", "run_iter_100.state", "run_iter_20.state",
                           "run_iter_30.state.tmp", "run_iter_.state", "run_iter_1x.state",
                           "other_iter_5.state", "run_iter_40.model", "run2_iter_7.state"}) {
    Write(name, "");
  }
  EXPECT_EQ((vector<int>{100, 20, 9}), Iterations("run"));
  EXPECT_EQ((vector<int>{40}), Iterations("run", ".model"));
  EXPECT_EQ((vector<int>{}), Iterations("none"));
  EXPECT_EQ((vector<int>{}), Iterations("no_folder/run"));
}

TEST_F(SnapshotsTest, TakesTheNewestThatIsGood) {
  const auto newest = [this] {
    return NewestGoodSnapshot(Path("run"), ".state", [](const string& file) {
      ENFORCE(FileCrc32(file) == Crc32("good", 4)) << file << ": is damaged";
    });
  };
  EXPECT_EQ("", newest());
  Write("run_iter_1.state", "good");
  Write("run_iter_2.state", "good");
  Write("run_iter_3.state", "goo");
  EXPECT_EQ(Path("run_iter_2.state"), newest());
  Write("run_iter_1.state", "bad");
  Write("run_iter_2.state", "");
  EXPECT_ERROR(newest(), "none of its 3 snapshot(s) can be used");
}

TEST_F(SnapshotsTest, TellsOfLaterOnesWithFewerIterations) {
  const auto log_of_newest = [this] {
    ::testing::internal::CaptureStderr();
    EXPECT_EQ(Path("run_iter_40.state"),
              NewestGoodSnapshot(Path("run"), ".state", [](const string&) {}));
    return ::testing::internal::GetCapturedStderr();
  };
  Write("run_iter_28.state", "");
  Write("run_iter_40.state", "");
  const auto time = std::filesystem::last_write_time(Path("run_iter_40.state"));
  std::filesystem::last_write_time(Path("run_iter_28.state"), time - std::chrono::hours(1));
  EXPECT_EQ(string::npos, log_of_newest().find("written later"));
  std::filesystem::last_write_time(Path("run_iter_28.state"), time + std::chrono::hours(1));
  EXPECT_NE(string::npos, log_of_newest().find("run_iter_28.state was written later"));
}

TEST_F(SnapshotsTest, PrunesWhatIsOlder) {
  for (int i = 1; i <= 6; ++i) Write("run_iter_" + std::to_string(i) + ".state", "");
  PruneSnapshots(Path("run"), {".state"}, 5, 0);
  EXPECT_EQ((vector<int>{6, 5, 4, 3, 2, 1}), Iterations("run"));
  PruneSnapshots(Path("run"), {".state"}, 5, 2);  // 6 is not this run's
  EXPECT_EQ((vector<int>{6, 5, 4}), Iterations("run"));
  PruneSnapshots(Path("run"), {".state"}, 5, 3);
  EXPECT_EQ((vector<int>{6, 5, 4}), Iterations("run"));
}

// A run that was killed between the two files of a snapshot leaves one of them.
TEST_F(SnapshotsTest, PrunesTheFilesOfASnapshotTogether) {
  for (const int i : {1, 2, 4, 5}) Write("run_iter_" + std::to_string(i) + ".state", "");
  for (int i = 0; i <= 5; ++i) Write("run_iter_" + std::to_string(i) + ".model", "");
  PruneSnapshots(Path("run"), {".state", ".model"}, 5, 3);
  EXPECT_EQ((vector<int>{5, 4, 2}), Iterations("run"));
  EXPECT_EQ((vector<int>{5, 4, 3, 2}), Iterations("run", ".model"));
  PruneSnapshots(Path("run"), {".state", ".model"}, 5, 2);
  EXPECT_EQ((vector<int>{5, 4}), Iterations("run"));
  EXPECT_EQ((vector<int>{5, 4}), Iterations("run", ".model"));
}

TEST(ChecksumTest, KnownValues) {
  EXPECT_EQ(0xCBF43926u, Crc32("123456789", 9));  // the polynomial's check value
  EXPECT_EQ(0u, Crc32("", 0));
  EXPECT_ERROR(FileCrc32("/no/such/file"), "/no/such/file: cannot be read");
}

}  // namespace
}  // namespace caffe
