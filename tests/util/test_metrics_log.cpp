#include "util/metrics_log.hpp"

#include <limits>

#include "testing/blob_util.hpp"
#include "testing/data_util.hpp"

namespace caffe {
namespace {

namespace fs = std::filesystem;

class MetricsLogTest : public testing::TempDirTest {
 protected:
  static Scalars Values(double a, double b) { return {{"loss", a}, {"task, 1/loss", b}}; }
  string OnlyFile(const string& folder) const {
    vector<string> files;
    for (const auto& entry : fs::directory_iterator(Path(folder))) {
      files.push_back(entry.path().filename().string());
    }
    EXPECT_EQ(1u, files.size());
    return folder + "/" + files.at(0);
  }
};

TEST_F(MetricsLogTest, Csv) {
  MetricsLog log;
  EXPECT_FALSE(log.wanted());
  log.Start(Path("m.csv"), "", 0);
  EXPECT_TRUE(log.wanted());
  log.Write(0, Values(0.5, 1e-10));
  log.Write(10, Values(1.0 / 3, std::numeric_limits<double>::infinity()));
  EXPECT_EQ("iteration,loss,\"task, 1/loss\"\n0,0.5,1e-10\n10,0.333333333,inf\n", Read("m.csv"));
}

TEST_F(MetricsLogTest, AContinuedRunKeepsTheRowsBefore) {
  MetricsLog log;
  log.Start(Path("m.csv"), "", 0);
  for (int i = 0; i < 5; ++i) log.Write(i, Values(i, 2 * i));
  const string whole = Read("m.csv");
  Write("m.csv", whole + "5,1");  // killed while it wrote
  MetricsLog next;
  next.Start(Path("m.csv"), "", 3);
  for (int i = 3; i < 5; ++i) next.Write(i, Values(i, 2 * i));
  EXPECT_EQ(whole, Read("m.csv"));
  MetricsLog other;
  other.Start(Path("m.csv"), "", 3);
  EXPECT_ERROR(other.Write(3, {{"loss", 1}}), "m.csv: has other columns");
  MetricsLog anew;
  anew.Start(Path("m.csv"), "", 0);
  anew.Write(0, {{"loss", 1}});
  EXPECT_EQ("iteration,loss\n0,1\n", Read("m.csv"));
}

TEST_F(MetricsLogTest, Errors) {
  MetricsLog log;
  EXPECT_ERROR(log.Start(Path("none/m.csv"), "", 0), "none/m.csv: cannot be written");
  Write("file", "");
  EXPECT_ERROR(log.Start("", Path("file/events"), 0), "file/events: cannot be made");
  // A full disk later on costs the file, not the run.
  log.Start(Path("m.csv"), Path("events"), 0);
  log.Write(0, Values(1, 2));
  {
    const testing::FullDisk full(Read("m.csv").size());
    for (int i = 1; i < 100; ++i) log.Write(i, Values(1, 2));
  }
  EXPECT_FALSE(log.wanted());
}

// The rows before are written anew at the first row after: whole or not at all, as a kill (or a
// full disk) there must not cost them.
TEST_F(MetricsLogTest, AFullDiskAtTheStartOfAContinuedRunLosesNoRow) {
  MetricsLog log;
  log.Start(Path("m.csv"), "", 0);
  for (int i = 0; i < 5; ++i) log.Write(i, Values(i, 2 * i));
  const string whole = Read("m.csv");
  MetricsLog next;
  next.Start(Path("m.csv"), "", 3);
  {
    const testing::FullDisk full(10);
    for (int i = 3; i < 5; ++i) next.Write(i, Values(i, 2 * i));
  }
  EXPECT_FALSE(next.wanted());
  EXPECT_EQ(whole, Read("m.csv"));
  EXPECT_FALSE(Exists("m.csv.tmp"));
}

// The records of an event file, read by TFRecord's rules: their messages.
TEST_F(MetricsLogTest, TensorBoardEvents) {
  MetricsLog log;
  log.Start("", Path("events"), 0);
  log.Write(300, {{"a", 1.5}});
  const string bytes = Read(OnlyFile("events"));
  vector<string> records;
  for (size_t at = 0; at < bytes.size();) {
    uint64_t length = 0;
    std::memcpy(&length, &bytes[at], 8);
    ASSERT_LE(at + 16 + length, bytes.size());
    records.push_back(bytes.substr(at + 12, length));
    at += 16 + length;
  }
  ASSERT_EQ(2u, records.size());
  EXPECT_EQ(string("\x1a\x0d") + "brain.Event:2", records[0].substr(9));
  // step 300; summary { value { tag: "a" simple_value: 1.5 } }
  const string event(
      "\x10\xac\x02\x2a\x0a\x0a\x08\x0a\x01"
      "a"
      "\x15\0\0\xc0\x3f",
      15);
  EXPECT_EQ(event, records[1].substr(9));
  EXPECT_EQ('\x09', records[1][0]);
  // The masked CRC-32C of the first length, 24: computed with another implementation.
  uint32_t masked = 0;
  std::memcpy(&masked, &bytes[8], 4);
  EXPECT_EQ(24u, records[0].size());
  EXPECT_EQ(575373219u, masked);
}

}  // namespace
}  // namespace caffe
