// Runs convert_imageset as a user does.
#include <opencv2/imgcodecs.hpp>

#include "testing/data_util.hpp"

namespace caffe {
namespace {

class ConvertImageset : public testing::TempDirTest {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(Path("images"));
    string list;
    for (int i = 0; i < 6; ++i) {
      const string name = "i" + std::to_string(i) + ".png";
      cv::imwrite(Path("images/" + name), cv::Mat(4, 5, CV_8UC3, cv::Scalar(i, 10 + i, 20 + i)));
      list += name + " " + std::to_string(i * i) + "\n";
    }
    Write("list", list);
  }
};

TEST_F(ConvertImageset, InOrder) {
  ASSERT_EQ(Run("convert_imageset", "--check_size images/ list db"), 0) << output_;
  EXPECT_NE(output_.find("A total of 6 images."), string::npos) << output_;
  EXPECT_NE(output_.find("Processed 6 of 6 files."), string::npos) << output_;
  const auto records = testing::ReadDatums(Path("db"));
  ASSERT_EQ(records.size(), 6u);
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(records[i].first, "0000000" + std::to_string(i) + "_i" + std::to_string(i) + ".png");
    const Datum& datum = records[i].second;
    EXPECT_EQ(datum.label(), i * i);
    EXPECT_EQ(datum.channels(), 3);
    EXPECT_EQ(datum.data(), string(20, static_cast<char>(i)) +
                                string(20, static_cast<char>(10 + i)) +
                                string(20, static_cast<char>(20 + i)));
  }
}

TEST_F(ConvertImageset, AFullDiskLeavesNothing) {
  for (const rlim_t room : {4096, 16384}) {  // none for an empty LMDB; none for the records
    const testing::FullDisk full(room);
    ExpectToolError("convert_imageset", "--resize_width=99 --resize_height=99 images list db",
                    {"db.tmp/lmdb: LMDB cannot be "});
    EXPECT_FALSE(Exists("db") || Exists("db.tmp"));
  }
}

TEST_F(ConvertImageset, GrayResizePadShuffle) {
  ASSERT_EQ(Run("convert_imageset",
                "--gray --shuffle --resize_width=3 --resize_height=2 --pad=1 images list db"),
            0)
      << output_;
  const auto records = testing::ReadDatums(Path("db"));
  ASSERT_EQ(records.size(), 6u);
  vector<int> labels;
  for (const auto& record : records) {
    const Datum& datum = record.second;
    EXPECT_EQ(datum.channels(), 1);
    EXPECT_EQ(datum.height(), 4);
    EXPECT_EQ(datum.width(), 5);
    EXPECT_EQ(datum.data()[0], 0);
    EXPECT_GT(datum.data()[6], 5);
    labels.push_back(datum.label());
  }
  EXPECT_FALSE(std::is_sorted(labels.begin(), labels.end()));
  std::sort(labels.begin(), labels.end());
  EXPECT_EQ(labels, (vector<int>{0, 1, 4, 9, 16, 25}));
}

TEST_F(ConvertImageset, Encoded) {
  ASSERT_EQ(Run("convert_imageset", "--encoded images/ list db"), 0) << output_;
  const auto records = testing::ReadDatums(Path("db"));
  ASSERT_EQ(records.size(), 6u);
  EXPECT_TRUE(records[1].second.encoded());
  EXPECT_EQ(records[1].second.data(), Read("images/i1.png"));
  ASSERT_EQ(Run("convert_imageset", "--encode_type=jpg images/ list jpg"), 0) << output_;
  const Datum jpg = testing::ReadDatums(Path("jpg"))[0].second;
  EXPECT_EQ(jpg.data().substr(0, 2), "\xff\xd8");
  EXPECT_EQ(DecodeDatumToCVMat(jpg, true).cols, 5);
}

TEST_F(ConvertImageset, Errors) {
  ExpectToolError("convert_imageset", "images/ list", {"ROOTFOLDER"});
  ExpectToolError("convert_imageset", "images/ none db", {"none: cannot be opened"});
  ExpectToolError("convert_imageset", "--backend=leveldb images/ list db", {"leveldb"});
  ExpectToolError("convert_imageset", "--resize_width=3 images/ list db", {"--resize_height=0"});
  ExpectToolError("convert_imageset", "--resize_width=-3 --resize_height=-3 images/ list db",
                  {"--resize_width=-3"});
  ExpectToolError("convert_imageset", "--resize_width=60000 --resize_height=9 images/ list db",
                  {"--resize_width=60000", "must not exceed 16384"});
  ExpectToolError("convert_imageset", "--encode_type=abc images/ list db", {"list:1: ", "'abc'"});
  ExpectToolError("convert_imageset", "--encode_type=HDR images/ list db",
                  {"list:1: image encoding 'HDR' is not of 8 bits"});
  cv::imwrite(Path("images/wide.png"), cv::Mat(1, 70000, CV_8UC3, cv::Scalar(0)));
  Write("wide", "wide.png 0\n");
  ExpectToolError("convert_imageset", "--encode_type=jpg images/ wide db",
                  {"wide:1: image 'images/wide.png', 70000x1 with 3 channels, cannot be encoded "
                   "as 'jpg'"});
  Write("images/i4.png", "no image");
  ExpectToolError("convert_imageset", "images/ list db",
                  {"list:5: image 'images/i4.png' cannot be decoded (8 bytes)"});
  cv::imwrite(Path("images/i4.png"), cv::Mat(3, 5, CV_8UC3, cv::Scalar(0)));
  ExpectToolError("convert_imageset", "--check_size images/ list db",
                  {"list:5: image 'images/i4.png' is 3x5 where the first is 4x5"});
  EXPECT_FALSE(Exists("db"));
  EXPECT_FALSE(Exists("db.tmp"));
  EXPECT_EQ(Run("convert_imageset", "images/ list db"), 0) << output_;
  ExpectToolError("convert_imageset", "images/ list db", {"db: exists already"});
  ExpectToolError("convert_imageset", "images/ list list/db", {"list/db"});
}

}  // namespace
}  // namespace caffe
