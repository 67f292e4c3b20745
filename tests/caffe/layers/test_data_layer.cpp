#include "caffe/layers/data_layer.hpp"

#include <opencv2/imgcodecs.hpp>
#include <set>

#include "caffe/net.hpp"
#include "testing/blob_util.hpp"
#include "testing/data_util.hpp"

namespace caffe {
namespace {

using testing::ByteDatum;
using testing::LayerFromText;
using testing::LayerRun;
using testing::WriteDatums;
using testing::WriteRecords;

template <typename Dtype>
class DataLayerTest : public testing::TempDirTest {
 protected:
  // Record i: label i, pixels 10 i, 10 i + 1, ...
  void WriteImages(int count, int height = 4, int width = 4) {
    vector<Datum> datums;
    for (int i = 0; i < count; ++i) datums.push_back(ByteDatum(2, height, width, i, 10 * i));
    WriteDatums(Path("db"), datums);
  }
  LayerParameter Param(int batch, const string& transform = "", const string& data = "",
                       const string& phase = "TRAIN") const {
    return LayerFromText(testing::DataLayerText(Path("db"), batch, transform, data, phase));
  }
  typedef LayerRun<Dtype> Run;
  static vector<Dtype> Labels(const Run& run) {
    return vector<Dtype>(run.top[1]->cpu_data(), run.top[1]->cpu_data() + run.top[1]->count());
  }
  static vector<Dtype> Pixels(const Run& run) {
    return vector<Dtype>(run.top[0]->cpu_data(), run.top[0]->cpu_data() + run.top[0]->count());
  }
};

typedef ::testing::Types<float, double> Dtypes;
TYPED_TEST_SUITE(DataLayerTest, Dtypes);

TYPED_TEST(DataLayerTest, ReadsAroundAndAround) {
  this->WriteImages(5);
  LayerRun<TypeParam> run(this->Param(3, "scale: 0.5"), {}, 2);
  EXPECT_EQ(run.top[0]->shape(), (vector<int>{3, 2, 4, 4}));
  EXPECT_EQ(run.top[1]->shape(), (vector<int>{3}));
  for (int pass = 0; pass < 12; ++pass) {
    run.Forward();
    for (int i = 0; i < 3; ++i) {
      const int record = (pass * 3 + i) % 5;
      EXPECT_EQ(this->Labels(run)[i], record);
      for (int k = 0; k < 32; ++k) {
        EXPECT_EQ(this->Pixels(run)[i * 32 + k], (10 * record + k) * TypeParam(0.5));
      }
    }
  }
}

TYPED_TEST(DataLayerTest, ImagesOfAnySizeOneAtATime) {
  WriteDatums(this->Path("db"), {ByteDatum(2, 3, 4, 0), ByteDatum(2, 5, 2, 1, 50)});
  LayerRun<TypeParam> run(this->Param(1), {}, 2);
  for (int pass = 0; pass < 5; ++pass) {
    run.Forward();
    EXPECT_EQ(this->Labels(run), (vector<TypeParam>{TypeParam(pass % 2)}));
    EXPECT_EQ(run.top[0]->shape(),
              pass % 2 ? (vector<int>{1, 2, 5, 2}) : (vector<int>{1, 2, 3, 4}));
    EXPECT_EQ(this->Pixels(run).back(), pass % 2 ? 50 + 19 : 23);
  }
}

TYPED_TEST(DataLayerTest, SolversShareTheRecords) {
  this->WriteImages(5);
  Caffe::set_solver_count(3);
  for (int rank = 0; rank < 3; ++rank) {
    Caffe::set_solver_rank(rank);
    LayerRun<TypeParam> run(this->Param(2), {}, 2);
    for (int pass = 0; pass < 6; ++pass) {
      run.Forward();
      for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(this->Labels(run)[i], ((pass * 2 + i) * 3 + rank) % 5);
      }
    }
    // One alone tests.
    LayerParameter param = this->Param(2);
    param.set_phase(TEST);
    LayerRun<TypeParam> test(param, {}, 2);
    test.Forward();
    EXPECT_EQ(this->Labels(test), (vector<TypeParam>{0, 1}));
  }
  Caffe::set_solver_count(1);
  Caffe::set_solver_rank(0);
}

TYPED_TEST(DataLayerTest, SolversThatSkipShareTheRecords) {
  this->WriteImages(6);
  LayerParameter param = this->Param(1);
  param.mutable_data_param()->set_rand_skip(5);
  Caffe::set_solver_count(2);
  for (unsigned int seed = 1; seed <= 8; ++seed) {
    std::multiset<TypeParam> read;
    for (int rank = 0; rank < 2; ++rank) {
      Caffe::set_solver_rank(rank);
      Caffe::set_random_seed(seed + rank);
      LayerRun<TypeParam> run(param, {}, 2);
      for (int pass = 0; pass < 3; ++pass) {
        run.Forward();
        read.insert(this->Labels(run)[0]);
      }
    }
    EXPECT_EQ((std::multiset<TypeParam>{0, 1, 2, 3, 4, 5}), read) << "seed " << seed;
  }
  Caffe::set_solver_count(1);
  Caffe::set_solver_rank(0);
}

TYPED_TEST(DataLayerTest, BatchLargerThanTheDatabase) {
  this->WriteImages(2);
  LayerRun<TypeParam> run(this->Param(5), {}, 2);
  run.Forward();
  EXPECT_EQ(this->Labels(run), (vector<TypeParam>{0, 1, 0, 1, 0}));
  run.Forward();
  EXPECT_EQ(this->Labels(run), (vector<TypeParam>{1, 0, 1, 0, 1}));
}

TYPED_TEST(DataLayerTest, LabelsAreOptional) {
  this->WriteImages(3);
  LayerRun<TypeParam> run(this->Param(2), {}, 1);
  run.Forward();
  EXPECT_EQ(this->Pixels(run)[32], 10);
}

// What a pass gives depends on its number alone: random windows included.
TYPED_TEST(DataLayerTest, AnyPassCanBeRepeated) {
  this->WriteImages(7, 6, 6);
  Caffe::set_random_seed(5);
  const LayerParameter param = this->Param(3, "crop_size: 3 mirror: true", "prefetch: 3");
  LayerRun<TypeParam> straight(param, {}, 2);
  vector<vector<TypeParam>> pixels, labels;
  for (int pass = 0; pass < 10; ++pass) {
    straight.Forward();
    pixels.push_back(this->Pixels(straight));
    labels.push_back(this->Labels(straight));
  }
  EXPECT_NE(pixels[0], pixels[7]);  // the same records, other windows
  EXPECT_EQ(labels[0], labels[7]);
  Caffe::set_random_seed(5);
  LayerRun<TypeParam> jumping(param, {}, 2);
  for (const int pass : {6, 7, 2, 2, 9, 0, 1}) {
    jumping.layer->set_next_pass(pass);
    jumping.Forward();
    EXPECT_EQ(this->Pixels(jumping), pixels[pass]) << pass;
    EXPECT_EQ(this->Labels(jumping), labels[pass]) << pass;
  }
  Caffe::set_random_seed(6);
  LayerRun<TypeParam> other(param, {}, 2);
  other.Forward();
  EXPECT_NE(this->Pixels(other), pixels[0]);
}

TYPED_TEST(DataLayerTest, RandSkip) {
  this->WriteImages(50);
  std::set<TypeParam> first;
  for (int seed = 0; seed < 8; ++seed) {
    Caffe::set_random_seed(seed);
    LayerRun<TypeParam> run(this->Param(2, "", "rand_skip: 10"), {}, 2);
    run.Forward();
    EXPECT_LT(this->Labels(run)[0], 10);
    EXPECT_EQ(this->Labels(run)[1], this->Labels(run)[0] + 1);
    first.insert(this->Labels(run)[0]);
  }
  EXPECT_GT(first.size(), 1u);
}

TYPED_TEST(DataLayerTest, TwoLayersReadOneDatabase) {
  this->WriteImages(4);
  LayerRun<TypeParam> a(this->Param(1), {}, 2), b(this->Param(3), {}, 2);
  a.Forward();
  b.Forward();
  a.Forward();
  EXPECT_EQ(this->Labels(a)[0], 1);
  EXPECT_EQ(this->Labels(b)[2], 2);
}

TYPED_TEST(DataLayerTest, CropMakesShapesFit) {
  WriteDatums(this->Path("db"), {ByteDatum(1, 4, 4, 0), ByteDatum(1, 6, 8, 1)});
  LayerRun<TypeParam> run(this->Param(2, "crop_size: 4", "", "TEST"), {}, 2);
  run.Forward();
  EXPECT_EQ(run.top[0]->shape(), (vector<int>{2, 1, 4, 4}));
  EXPECT_EQ(this->Pixels(run)[16], 8 + 2);  // row 1, column 2
}

TYPED_TEST(DataLayerTest, EncodedImages) {
  cv::imwrite(this->Path("a.png"), cv::Mat(2, 3, CV_8UC3, cv::Scalar(10, 20, 30)));
  Datum datum;
  ASSERT_TRUE(ReadImageToDatum(this->Path("a.png"), 4, 0, 0, true, "png", &datum));
  WriteDatums(this->Path("db"), {datum});
  LayerRun<TypeParam> run(this->Param(1), {}, 2);
  run.Forward();
  EXPECT_EQ(run.top[0]->shape(), (vector<int>{1, 3, 2, 3}));
  EXPECT_EQ(this->Pixels(run)[6], 20);
  EXPECT_EQ(this->Labels(run)[0], 4);
}

TYPED_TEST(DataLayerTest, DamagedRecordsAreNamed) {
  const string good = ByteDatum(1, 2, 2, 0).SerializeAsString();
  Datum image;
  image.set_encoded(true);
  image.set_data("\x89PNG, but damaged");
  Datum small = ByteDatum(1, 2, 2, 0);
  small.set_data("x");
  const string prefix = this->Path("db") + ": record '002': ";
  const vector<pair<string, string>> cases = {
      {string(good).substr(0, good.size() - 1), this->Path("db") + ": record '002': is no Datum"},
      {image.SerializeAsString(), prefix + "the encoded image cannot be decoded"},
      {small.SerializeAsString(), prefix + "the Datum holds 1 bytes for 1x2x2"},
      {Datum().SerializeAsString(), prefix + "the image is empty"},
  };
  for (const auto& bad : cases) {
    std::filesystem::remove_all(this->Path("db"));
    WriteRecords(this->Path("db"), {good, good, bad.first});
    LayerRun<TypeParam> run(this->Param(1), {}, 2);
    run.Forward();
    run.Forward();
    EXPECT_ERROR(run.Forward(), bad.second);  // thrown in the thread that reads ahead
    EXPECT_ERROR((run.layer->set_next_pass(2), run.Forward()), bad.second);
    run.layer->set_next_pass(0);
    run.Forward();  // the layer still works
  }
}

TYPED_TEST(DataLayerTest, ImagesOfTwoSizesInABatch) {
  const Datum good = ByteDatum(1, 2, 2, 0);
  WriteDatums(this->Path("db"), {good, good, ByteDatum(1, 3, 2, 0)});
  LayerRun<TypeParam> run(this->Param(2), {}, 2);
  run.Forward();
  EXPECT_ERROR(run.Forward(), "is expected");  // the second batch begins with 1x3x2, then 1x2x2
  LayerRun<TypeParam> three(this->Param(3), {}, 2);
  EXPECT_ERROR(three.Forward(), this->Path("db") + ": record '002': an image of 1x3x2 gives 1x3x2");
}

TYPED_TEST(DataLayerTest, DamagedFirstRecord) {
  const auto set_up = [this] { LayerRun<TypeParam> run(this->Param(1), {}, 2); };
  WriteRecords(this->Path("db"), {"\xff\xff"});
  EXPECT_ERROR(set_up(), this->Path("db") + ": record '000': is no Datum");
  std::filesystem::remove_all(this->Path("db"));
  Datum image;
  image.set_encoded(true);
  image.set_data("no image");
  WriteDatums(this->Path("db"), {image});
  EXPECT_ERROR(set_up(), this->Path("db") + ": record '000': the encoded image cannot");
}

TYPED_TEST(DataLayerTest, BadParameters) {
  const auto set_up = [](const LayerParameter& param) { LayerRun<TypeParam> run(param, {}, 2); };
  EXPECT_ERROR(set_up(this->Param(2)), this->Path("db") + ": is no LMDB");
  this->WriteImages(2);
  EXPECT_ERROR(set_up(this->Param(0)), "batch_size");
  EXPECT_ERROR(set_up(this->Param(2, "crop_size: 5")),
               this->Path("db") + ": record '000': crop_size 5 exceeds the image's 4x4");
  LayerParameter leveldb = this->Param(2);
  leveldb.mutable_data_param()->clear_backend();
  EXPECT_ERROR(set_up(leveldb), "backend: LMDB");
  LayerParameter nameless = this->Param(2);
  nameless.mutable_data_param()->clear_source();
  EXPECT_ERROR(set_up(nameless), "source");
  std::filesystem::remove_all(this->Path("db"));
  WriteRecords(this->Path("db"), {});
  EXPECT_ERROR(set_up(this->Param(2)), this->Path("db") + ": the database is empty");
}

// What is given and not read is told.
TYPED_TEST(DataLayerTest, WarnsOfWhatHasNoEffect) {
  this->WriteImages(2);
  const auto said = [](const LayerParameter& param) {
    ::testing::internal::CaptureStderr();
    LayerRun<TypeParam> run(param, {}, 2);
    return ::testing::internal::GetCapturedStderr();
  };
  EXPECT_EQ("", said(this->Param(2, "crop_size: 2")));
  EXPECT_NE(string::npos, said(this->Param(2, "", "crop_size: 2"))
                              .find("crop_size and mirror are not read in data_param, only in "));
  EXPECT_NE(
      string::npos,
      said(this->Param(2, "force_gray: true")).find("are for encoded images; " + this->Path("db")));
}

// Net puts the layer in front.
TYPED_TEST(DataLayerTest, NetNamesTheLayer) {
  NetParameter net;
  *net.add_layer() = this->Param(2);
  net.mutable_layer(0)->add_top("data");
  EXPECT_ERROR(Net<TypeParam>{net}, "layer 'data' (Data): " + this->Path("db"));
}

}  // namespace
}  // namespace caffe
