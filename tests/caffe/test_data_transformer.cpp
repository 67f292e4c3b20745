#include "caffe/data_transformer.hpp"

#include <opencv2/imgcodecs.hpp>

#include <set>

#include "testing/blob_util.hpp"
#include "testing/data_util.hpp"

namespace caffe {
namespace {

using testing::ByteDatum;

class DataTransformerTest : public testing::TempDirTest {
 protected:
  static TransformationParameter Param(const string& text) {
    TransformationParameter param;
    CHECK(google::protobuf::TextFormat::ParseFromString(text, &param));
    return param;
  }
  // The transformed image of a record.
  template <typename Dtype = float>
  static vector<Dtype> Apply(const string& text, Phase phase, const Datum& datum,
                             uint64_t record = 0) {
    DataTransformer<Dtype> transformer(Param(text), phase);
    Blob<Dtype> blob(transformer.InferBlobShape(datum));
    transformer.SetRecord(3, record);
    transformer.Transform(datum, &blob);
    return vector<Dtype>(blob.cpu_data(), blob.cpu_data() + blob.count());
  }
  string MeanFile(int channels, int height, int width) {
    BlobProto mean;
    mean.set_num(1);
    mean.set_channels(channels);
    mean.set_height(height);
    mean.set_width(width);
    for (int i = 0; i < channels * height * width; ++i) mean.add_data(0.5f * i);
    WriteProtoToBinaryFile(mean, Path("mean.binaryproto"));
    return "mean_file: '" + Path("mean.binaryproto") + "'";
  }
};

TEST_F(DataTransformerTest, MeanAndScale) {
  const Datum datum = ByteDatum(2, 2, 3, 0, 240);  // 240 ... 251
  const auto plain = Apply("", TRAIN, datum);
  const auto one = Apply<double>("mean_value: 10 scale: 0.5", TEST, datum);
  const auto each = Apply("mean_value: 10 mean_value: 20", TEST, datum);
  const auto file = Apply(MeanFile(2, 2, 3) + " scale: 2", TEST, datum);
  for (int i = 0; i < 12; ++i) {
    EXPECT_EQ(plain[i], 240 + i);
    EXPECT_EQ(one[i], (230 + i) * 0.5);
    EXPECT_EQ(each[i], 240 + i - (i < 6 ? 10 : 20));
    EXPECT_EQ(file[i], (240 + i - 0.5f * i) * 2);
  }
}

TEST_F(DataTransformerTest, CentreCropInTest) {
  const Datum datum = ByteDatum(2, 4, 5, 0);
  const auto out = Apply("crop_size: 2", TEST, datum);
  const vector<float> expected = {6, 7, 11, 12, 26, 27, 31, 32};  // rows 1-2, columns 1-2
  EXPECT_EQ(out, expected);
  const auto mean = Apply(MeanFile(2, 4, 5) + " crop_size: 2", TEST, datum);
  for (int i = 0; i < 8; ++i) EXPECT_EQ(mean[i], expected[i] / 2);  // the mean is cropped likewise
}

TEST_F(DataTransformerTest, RandomWindowsInTrain) {
  const Datum datum = ByteDatum(1, 4, 4, 0);
  std::set<vector<float>> seen;
  for (uint64_t record = 0; record < 400; ++record) {
    const auto out = Apply("crop_size: 2 mirror: true", TRAIN, datum, record);
    const bool mirrored = out[1] < out[0];
    const float left = mirrored ? out[1] : out[0];
    EXPECT_EQ(out[mirrored ? 0 : 1], left + 1);
    EXPECT_EQ(out[mirrored ? 3 : 2], left + 4);
    seen.insert(out);
  }
  EXPECT_EQ(seen.size(), 18u);  // 3 x 3 places, plain and mirrored
}

TEST_F(DataTransformerTest, ChoicesDependOnTheRecordOnly) {
  const Datum datum = ByteDatum(1, 9, 9, 0);
  DataTransformer<float> transformer(Param("crop_size: 3 mirror: true"), TRAIN);
  Blob<float> blob(1, 1, 3, 3);
  vector<vector<float>> forward(20), backward(20);
  const auto run = [&](uint64_t key, uint64_t record) {
    transformer.SetRecord(key, record);
    transformer.Transform(datum, &blob);
    return vector<float>(blob.cpu_data(), blob.cpu_data() + 9);
  };
  for (int i = 0; i < 20; ++i) forward[i] = run(5, i);
  for (int i = 19; i >= 0; --i) backward[i] = run(5, i);
  EXPECT_EQ(forward, backward);
  for (int i = 0; i < 20; ++i) backward[i] = run(6, i);
  EXPECT_NE(forward, backward);
}

TEST_F(DataTransformerTest, InitRandFollowsTheSeed) {
  const Datum datum = ByteDatum(1, 9, 9, 0);
  vector<float> runs[2];
  for (auto& run : runs) {
    Caffe::set_random_seed(11);
    DataTransformer<float> transformer(Param("crop_size: 2"), TRAIN);
    transformer.InitRand();
    Blob<float> blob(1, 1, 2, 2);
    for (int i = 0; i < 10; ++i) {
      transformer.Transform(datum, &blob);
      run.push_back(blob.cpu_data()[0]);
    }
  }
  EXPECT_EQ(runs[0], runs[1]);
  EXPECT_GT(std::set<float>(runs[0].begin(), runs[0].end()).size(), 1u);
}

TEST_F(DataTransformerTest, FloatDatumVectorsMatsAndBlobs) {
  Datum floats = ByteDatum(1, 1, 2, 0);
  floats.clear_data();
  floats.add_float_data(-1.5f);
  floats.add_float_data(2.5f);
  EXPECT_EQ(Apply("scale: 2", TEST, floats), (vector<float>{-3, 5}));

  DataTransformer<float> transformer(Param("scale: 0.5"), TEST);
  const vector<Datum> two = {ByteDatum(1, 2, 2, 0), ByteDatum(1, 2, 2, 0, 100)};
  EXPECT_EQ(transformer.InferBlobShape(two), (vector<int>{2, 1, 2, 2}));
  Blob<float> blob(2, 1, 2, 2);
  transformer.Transform(two, &blob);
  EXPECT_EQ(blob.data_at(1, 0, 1, 1), 51.5f);

  cv::Mat image(2, 3, CV_8UC3, cv::Scalar(10, 20, 30));
  const vector<cv::Mat> mats = {image, image};
  EXPECT_EQ(transformer.InferBlobShape(mats), (vector<int>{2, 3, 2, 3}));
  EXPECT_EQ(transformer.InferBlobShape(image), (vector<int>{1, 3, 2, 3}));
  Blob<float> colour(2, 3, 2, 3);
  transformer.Transform(mats, &colour);
  for (int c = 0; c < 3; ++c) EXPECT_EQ(colour.data_at(1, c, 1, 2), 5 * (c + 1));
}

TEST_F(DataTransformerTest, BlobGetsOneWindow) {
  DataTransformer<float> transformer(Param("crop_size: 2 mirror: true"), TRAIN);
  Blob<float> in(8, 1, 5, 5), out;
  for (int i = 0; i < in.count(); ++i) in.mutable_cpu_data()[i] = static_cast<float>(i % 25);
  transformer.SetRecord(1, 1);
  transformer.Transform(&in, &out);
  EXPECT_EQ(out.shape(), (vector<int>{8, 1, 2, 2}));
  for (int i = 4; i < out.count(); ++i) EXPECT_EQ(out.cpu_data()[i], out.cpu_data()[i % 4]);
}

TEST_F(DataTransformerTest, EncodedImages) {
  cv::imwrite(Path("a.png"), cv::Mat(2, 3, CV_8UC3, cv::Scalar(10, 20, 30)));
  Datum datum;
  ASSERT_TRUE(ReadImageToDatum(Path("a.png"), 0, 0, 0, true, "png", &datum));
  EXPECT_EQ(Apply("", TEST, datum).size(), 18u);
  EXPECT_EQ(Apply("force_gray: true", TEST, datum).size(), 6u);
  EXPECT_EQ(Apply("force_color: true", TEST, datum)[6], 20);
  datum.set_data("no image");
  EXPECT_ERROR(Apply("", TEST, datum), "cannot be decoded");
}

TEST_F(DataTransformerTest, Errors) {
  const Datum datum = ByteDatum(3, 4, 5, 0);
  EXPECT_ERROR(Apply("crop_size: 5", TEST, datum), "crop_size 5 exceeds the image's 4x5");
  EXPECT_ERROR(Apply("mean_value: 1 mean_value: 2", TEST, datum), "2 mean_value entries for 3");
  EXPECT_ERROR(Apply(MeanFile(3, 4, 4), TEST, datum),
               "mean.binaryproto: the mean has shape 1 3 4 4 (48), an image 3x4x5");
  EXPECT_ERROR(Apply(MeanFile(3, 5, 4), TEST, datum), "the mean has shape 1 3 5 4 (60)");
  BlobProto cut;
  MeanFile(3, 4, 5);
  ReadProtoFromBinaryFile(Path("mean.binaryproto"), &cut);
  cut.mutable_data()->RemoveLast();
  WriteProtoToBinaryFile(cut, Path("cut"));
  EXPECT_ERROR(Apply("mean_file: '" + Path("cut") + "'", TEST, datum), Path("cut") + ": blob has");
  EXPECT_ERROR(Apply("mean_file: 'a' mean_value: 1", TEST, datum), "mean_file and mean_value");
  EXPECT_ERROR(Apply("force_color: true force_gray: true", TEST, datum), "force_color");
  EXPECT_ERROR(Apply("mean_file: '" + Path("none") + "'", TEST, datum), Path("none"));
  Datum damaged = datum;
  damaged.set_data("short");
  EXPECT_ERROR(Apply("", TEST, damaged), "holds 5 bytes for 3x4x5");
  damaged.clear_data();
  damaged.add_float_data(1);
  EXPECT_ERROR(Apply("", TEST, damaged), "holds 1 values for 3x4x5");
  EXPECT_ERROR(Apply("", TEST, Datum()), "the image is empty: 0x0x0");
  damaged.set_height(-4);
  EXPECT_ERROR(Apply("", TEST, damaged), "3x-4x5");
  DataTransformer<float> transformer(Param(""), TEST);
  Blob<float> other(1, 3, 4, 4), one(1, 3, 4, 5);
  EXPECT_ERROR(transformer.Transform(datum, &other), "gives 3x4x5 where 3x4x4 is expected");
  EXPECT_ERROR(transformer.Transform({datum, datum}, &one), "2 images for a blob of 1");
}

}  // namespace
}  // namespace caffe
