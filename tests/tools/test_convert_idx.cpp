// Runs convert_idx as a user does.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>
#include <zlib.h>

#include <filesystem>
#include <set>

#include "testing/data_util.hpp"

namespace caffe {
namespace {

class ConvertIdx : public testing::TempDirTest {
 protected:
  static string BigEndian(uint32_t value) {
    string bytes;
    for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(value >> shift));
    return bytes;
  }
  // 40 images of 2x3; image i is i everywhere, of class i % 4.
  void SetUp() override {
    string images = BigEndian(0x803) + BigEndian(40) + BigEndian(2) + BigEndian(3);
    string labels = BigEndian(0x801) + BigEndian(40);
    for (int i = 0; i < 40; ++i) {
      images += string(6, static_cast<char>(i));
      labels.push_back(static_cast<char>(i % 4));
    }
    Write("images", images);
    Write("labels", labels);
  }
  void Gzip(const string& name) {
    const string bytes = Read(name);
    gzFile file = gzopen(Path(name + ".gz").c_str(), "wb");
    gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
    gzclose(file);
  }
  const string kFiles = "--images=images --labels=labels ";
};

TEST_F(ConvertIdx, OneRunAtATimeWritesAnLmdb) {
  std::filesystem::create_directory(Path("db.tmp"));
  const int folder = open(Path("db.tmp").c_str(), O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(0, flock(folder, LOCK_EX));  // as a run does
  ExpectToolError("convert_idx", kFiles + "--output=db", {"db: another run is writing it"});
  close(folder);
  // What somebody else keeps there stays.
  Write("db.tmp/notes", "mine");
  ASSERT_EQ(Run("convert_idx", kFiles + "--output=db"), 0) << output_;
  EXPECT_EQ(testing::ReadDatums(Path("db")).size(), 40u);
  EXPECT_EQ("mine", Read("db.tmp/notes"));
  EXPECT_FALSE(Exists("db.tmp/lmdb"));
}

TEST_F(ConvertIdx, AllRecordsShuffled) {
  ASSERT_EQ(Run("convert_idx", kFiles + "--output=db/"), 0) << output_;
  EXPECT_NE(output_.find("Processed 40 of 40 files."), string::npos) << output_;
  EXPECT_FALSE(Exists("db.tmp"));
  const auto records = testing::ReadDatums(Path("db"));
  ASSERT_EQ(records.size(), 40u);
  std::set<int> seen;
  bool sorted = true;
  for (size_t i = 0; i < records.size(); ++i) {
    EXPECT_EQ(records[i].first, format_int(static_cast<int>(i), 8));
    const Datum& datum = records[i].second;
    const int value = datum.data()[0];
    EXPECT_EQ(datum.data(), string(6, static_cast<char>(value)));
    EXPECT_EQ(datum.height(), 2);
    EXPECT_EQ(datum.width(), 3);
    EXPECT_EQ(datum.label(), value % 4);
    sorted = sorted && value == static_cast<int>(i);
    seen.insert(value);
  }
  EXPECT_EQ(seen.size(), 40u);
  EXPECT_FALSE(sorted);
}

TEST_F(ConvertIdx, GzipPadResize) {
  Gzip("images");
  Gzip("labels");
  ASSERT_EQ(Run("convert_idx",
                "--images=images.gz --labels=labels.gz --output=db --resize=4"
                " --pad=1"),
            0)
      << output_;
  const auto records = testing::ReadDatums(Path("db"));
  ASSERT_EQ(records.size(), 40u);
  for (const auto& record : records) {
    const Datum& datum = record.second;
    ASSERT_EQ(datum.height(), 6);
    ASSERT_EQ(datum.width(), 6);
    for (int y = 0; y < 6; ++y) {
      for (int x = 0; x < 6; ++x) {
        const bool border = y == 0 || y == 5 || x == 0 || x == 5;
        if (border) {
          EXPECT_EQ(datum.data()[y * 6 + x], 0);
        } else {
          EXPECT_EQ(datum.data()[y * 6 + x] % 4, datum.label());
        }
      }
    }
  }
}

TEST_F(ConvertIdx, SubsetsAreRelabelledAndDisjoint) {
  const string flags = kFiles + "--classes=3,1 --per_class=4 --seed=5 ";
  ASSERT_EQ(Run("convert_idx", flags + "--output=a"), 0) << output_;
  ASSERT_EQ(Run("convert_idx", flags + "--output=b --skip_per_class=4"), 0) << output_;
  std::set<int> seen;
  for (const char* name : {"a", "b"}) {
    map<int, int> count;
    for (const auto& record : testing::ReadDatums(Path(name))) {
      const int value = record.second.data()[0];
      EXPECT_EQ(value % 4, record.second.label() == 0 ? 3 : 1);
      ++count[record.second.label()];
      seen.insert(value);
    }
    EXPECT_EQ(count, (map<int, int>{{0, 4}, {1, 4}}));
  }
  EXPECT_EQ(seen.size(), 16u);
}

// The tool's own flags, those of tools/common/ among them, and not the libraries'.
TEST_F(ConvertIdx, ClassesThatAreTooSmallAreTold) {
  ASSERT_EQ(Run("convert_idx", kFiles + "--output=all --per_class=11"), 0) << output_;
  EXPECT_NE(output_.find("class 3 has 10 images; --per_class is 11"), string::npos) << output_;
  string labels = BigEndian(0x801) + BigEndian(40) + string(39, '\0');
  Write("uneven", labels + '\1');
  ExpectToolError("convert_idx", "--images=images --labels=uneven --output=db --skip_per_class=1",
                  {"class 1 has no image left"});
  EXPECT_FALSE(Exists("db"));
}

TEST_F(ConvertIdx, Help) {
  for (const char* flag : {"--help", "--helpshort"}) {
    ASSERT_EQ(Run("convert_idx", flag), 0) << output_;
    EXPECT_EQ(output_.find("Converts IDX files"), 0u) << output_;
    EXPECT_NE(output_.find("  --images=\n"), string::npos) << output_;
    EXPECT_NE(output_.find("  --pad=0\n"), string::npos) << output_;
    for (const char* foreign : {"--logtostderr", "--vmodule", "--flagfile", "--helpxml"}) {
      EXPECT_EQ(output_.find(foreign), string::npos) << output_;
    }
  }
}

TEST_F(ConvertIdx, Errors) {
  ExpectToolError("convert_idx", "--images=images --labels=labels", {"--output"});
  ExpectToolError("convert_idx", "--images=none --labels=labels --output=db",
                  {"none: cannot be opened"});
  ExpectToolError("convert_idx", "--images=labels --labels=labels --output=db",
                  {"labels: magic number 2049 where 2051 is expected"});
  ExpectToolError("convert_idx", kFiles + "--output=db --per_class=11 --classes=2",
                  {"class 2 has 10 images where 11 are asked for"});
  ExpectToolError("convert_idx", kFiles + "--output=db --classes=1,x", {"'x' is no class"});
  ExpectToolError("convert_idx", kFiles + "--output=db --classes=1,1", {"given twice"});
  ExpectToolError("convert_idx", kFiles + "--output=db --pad=-1", {"--pad=-1"});
  const string bytes = Read("images");
  Write("cut", bytes.substr(0, bytes.size() - 1));
  ExpectToolError("convert_idx", "--images=cut --labels=labels --output=db",
                  {"cut: is truncated: 255 bytes where 256 are expected"});
  Write("long", bytes + "x");
  ExpectToolError("convert_idx", "--images=long --labels=labels --output=db",
                  {"long: is too long: 257 bytes where 256 are expected"});
  // 16 x 2^30 x 2^30 is 0 in 64 bits.
  Write("damaged", BigEndian(0x803) + BigEndian(16) + BigEndian(1 << 30) + BigEndian(1 << 30));
  ExpectToolError("convert_idx", "--images=damaged --labels=labels --output=db",
                  {"damaged: is damaged: axis 2 of 3 has 1073741824 values"});
  ExpectToolError("convert_idx", kFiles + "--output=" + string(300, 'x'),
                  {"xxx: cannot be read: File name too long"});
  ExpectToolError("convert_idx", kFiles + "--output=db pad=4", {"unexpected argument 'pad=4'"});
  ExpectToolError("convert_idx", kFiles + "--output=db --skip_per_class=1000",
                  {"none is left when 1000 per class are left out"});
  Gzip("images");
  const string packed = Read("images.gz");
  Write("cut.gz", packed.substr(0, packed.size() - 12));
  ExpectToolError("convert_idx", "--images=cut.gz --labels=labels --output=db",
                  {"cut.gz: is truncated or damaged"});
  EXPECT_FALSE(Exists("db"));
  EXPECT_FALSE(Exists("db.tmp"));
  Write("db", "mine");
  ExpectToolError("convert_idx", kFiles + "--output=db", {"db: exists already"});
  EXPECT_EQ(Read("db"), "mine");
}

}  // namespace
}  // namespace caffe
