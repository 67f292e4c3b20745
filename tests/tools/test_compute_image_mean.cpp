// Runs compute_image_mean as a user does.
#include <climits>
#include <cmath>
#include <opencv2/imgcodecs.hpp>

#include "testing/data_util.hpp"

namespace caffe {
namespace {

using testing::ByteDatum;

class ComputeImageMean : public testing::TempDirTest {};

TEST_F(ComputeImageMean, Mean) {
  Datum floats = ByteDatum(2, 2, 3, 0);
  floats.clear_data();
  for (int i = 0; i < 12; ++i) floats.add_float_data(i + 2.0f);
  testing::WriteDatums(Path("db"), {ByteDatum(2, 2, 3, 0, 240), ByteDatum(2, 2, 3, 0, 10), floats});
  ASSERT_EQ(Run("compute_image_mean", "db mean.binaryproto"), 0) << output_;
  BlobProto mean;
  ReadProtoFromBinaryFileOrDie(Path("mean.binaryproto"), &mean);
  EXPECT_EQ(mean.num(), 1);
  EXPECT_EQ(mean.channels(), 2);
  EXPECT_EQ(mean.height(), 2);
  EXPECT_EQ(mean.width(), 3);
  ASSERT_EQ(mean.data_size(), 12);
  for (int i = 0; i < 12; ++i) EXPECT_FLOAT_EQ(mean.data(i), 84.0f + i);
  EXPECT_NE(output_.find("Processed 3 files."), string::npos) << output_;
  EXPECT_NE(output_.find("mean_value channel [0]: 86.5"), string::npos) << output_;
  EXPECT_NE(output_.find("mean_value channel [1]: 92.5"), string::npos) << output_;
  EXPECT_EQ(Run("compute_image_mean", "db"), 0) << output_;
}

TEST_F(ComputeImageMean, EncodedImages) {
  cv::imwrite(Path("a.png"), cv::Mat(2, 3, CV_8UC3, cv::Scalar(10, 20, 30)));
  Datum datum;
  ASSERT_TRUE(ReadImageToDatum(Path("a.png"), 0, 0, 0, true, "png", &datum));
  testing::WriteDatums(Path("db"), {datum});
  ASSERT_EQ(Run("compute_image_mean", "db"), 0) << output_;
  EXPECT_NE(output_.find("mean_value channel [2]: 30"), string::npos) << output_;
}

TEST_F(ComputeImageMean, Errors) {
  ExpectToolError("compute_image_mean", "", {"INPUT_DB"});
  ExpectToolError("compute_image_mean", "none", {"none: is no LMDB"});
  testing::WriteDatums(Path("db"), {ByteDatum(1, 2, 2, 0), ByteDatum(1, 2, 3, 0)});
  ExpectToolError("compute_image_mean", "db", {"db: record '001': has 6 values where"});
  testing::WriteDatums(Path("turned"), {ByteDatum(1, 3, 2, 0), ByteDatum(1, 2, 3, 0)});
  ExpectToolError("compute_image_mean", "turned", {"turned: record '001': is 1x2x3 where"});
  testing::WriteRecords(Path("bad"), {ByteDatum(1, 2, 2, 0).SerializeAsString(), "\xff\xff"});
  ExpectToolError("compute_image_mean", "bad", {"bad: record '001': is no Datum"});
  Datum huge = ByteDatum(1, 2, 2, 0);
  huge.set_channels(INT_MAX);
  huge.set_height(INT_MAX);
  testing::WriteDatums(Path("huge"), {huge});
  ExpectToolError("compute_image_mean", "huge",
                  {"huge: record '000': does not hold the values of its 2147483647x2147483647x2"});
  Datum no_number = ByteDatum(1, 2, 2, 0);
  no_number.clear_data();
  for (int i = 0; i < 4; ++i) no_number.add_float_data(i == 2 ? NAN : 1.f);
  testing::WriteDatums(Path("nan"), {no_number});
  ExpectToolError("compute_image_mean", "nan", {"nan: record '000': holds nan (value 2)"});
  testing::WriteRecords(Path("empty"), {});
  ExpectToolError("compute_image_mean", "empty", {"empty: the database is empty"});
  testing::WriteDatums(Path("good"), {ByteDatum(1, 2, 2, 0)});
  ExpectToolError("compute_image_mean", "good no/such/mean", {"no/such/mean"});
}

}  // namespace
}  // namespace caffe
