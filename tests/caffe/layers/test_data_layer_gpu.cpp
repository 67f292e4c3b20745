// What the Data layer gives in GPU mode, where it may keep the data set on the device, against the
// same on the CPU: bit for bit.
#include <opencv2/imgcodecs.hpp>

#include "caffe/layers/data_layer.hpp"
#include "testing/data_util.hpp"
#include "testing/gpu_util.hpp"

namespace caffe {
namespace {

using testing::ByteDatum;
using testing::GpuMode;
using testing::LayerFromText;
using testing::LayerRun;
using testing::WriteDatums;
using testing::WriteRecords;

template <typename Dtype>
class DataLayerGpu : public testing::TempDirTest {
 protected:
  void SetUp() override {
    string why_not;
    if (!Device::IsThere(&why_not)) GTEST_SKIP() << why_not;
  }
  void WriteImages(int count, int channels = 2, int height = 5, int width = 6) {
    vector<Datum> datums;
    for (int i = 0; i < count; ++i) {
      datums.push_back(ByteDatum(channels, height, width, i, 37 * i));
    }
    WriteDatums(Path("db"), datums);
  }
  LayerParameter Param(int batch, const string& transform = "", const string& data = "",
                       const string& phase = "TRAIN") const {
    return LayerFromText(testing::DataLayerText(Path("db"), batch, transform, data, phase));
  }
  struct BatchOf {
    vector<int> shape;
    vector<Dtype> values, labels;
    bool operator==(const BatchOf& other) const {
      return shape == other.shape && values == other.values && labels == other.labels;
    }
  };
  static BatchOf Read(LayerRun<Dtype>* run, int pass) {
    run->layer->set_next_pass(pass);
    run->Forward();
    BatchOf batch;
    batch.shape = run->top[0]->shape();
    for (Blob<Dtype>* top : run->top) {
      vector<Dtype>* values = top == run->top[0] ? &batch.values : &batch.labels;
      values->assign(top->cpu_data(), top->cpu_data() + top->count());
    }
    return batch;
  }
  // Expects the same batches in both modes, for passes in order and out of it. `is_resident`: those
  // of GPU mode were made on the device.
  void ExpectEqual(const LayerParameter& param, bool is_resident, int tops = 2) {
    SCOPED_TRACE(param.ShortDebugString());
    const vector<int> passes = {0, 1, 2, 3, 4, 5, 6, 2, 2, 40, 0};
    vector<BatchOf> cpu;
    Caffe::set_random_seed(11);
    {
      LayerRun<Dtype> run(param, {}, tops);
      for (const int pass : passes) cpu.push_back(Read(&run, pass));
    }
    const GpuMode mode;
    Caffe::set_random_seed(11);
    LayerRun<Dtype> run(param, {}, tops);
    for (size_t i = 0; i < passes.size(); ++i) {
      run.layer->set_next_pass(passes[i]);
      run.Forward();
      for (const Blob<Dtype>* top : run.top) {
        EXPECT_EQ(SyncedMemory::HEAD_AT_GPU, top->data()->head()) << "pass " << passes[i];
      }
      EXPECT_TRUE(Read(&run, passes[i]) == cpu[i]) << "pass " << passes[i];
    }
    // The thread that loads batches has nothing to do where the device makes them.
    EXPECT_EQ(!is_resident, dynamic_cast<InternalThread&>(*run.layer).is_started());
  }
  void ExpectEqualByTurns(const LayerParameter& param) {
    Caffe::set_random_seed(11);
    LayerRun<Dtype> cpu(param, {}, 2);
    Caffe::set_random_seed(11);
    LayerRun<Dtype> both(param, {}, 2);
    for (int pass = 0; pass < 20; ++pass) {
      const auto expected = Read(&cpu, pass);
      Caffe::set_mode(pass % 3 ? Caffe::GPU : Caffe::CPU);
      EXPECT_TRUE(Read(&both, pass) == expected) << pass;
      Caffe::set_mode(Caffe::CPU);
    }
  }
};

typedef ::testing::Types<float, double> Dtypes;
TYPED_TEST_SUITE(DataLayerGpu, Dtypes);

TYPED_TEST(DataLayerGpu, EqualsTheCpuInEveryTransformation) {
  this->WriteImages(7);
  for (const string transform :
       {"", "scale: 0.00390625", "mirror: true", "crop_size: 3", "crop_size: 5 mirror: true",
        "crop_size: 3 mirror: true scale: 0.017 mean_value: 113.7",
        "crop_size: 4 scale: 0.3 mean_value: 10.1 mean_value: 200.9"}) {
    for (const string phase : {"TRAIN", "TEST"}) {
      this->ExpectEqual(this->Param(3, transform, "", phase), true);
    }
  }
  this->ExpectEqual(this->Param(3, "mirror: true"), true, 1);  // no labels
  this->ExpectEqual(this->Param(20, "mirror: true"), true);    // more than there are
  this->ExpectEqual(this->Param(2, "", "rand_skip: 5"), true);
}

TYPED_TEST(DataLayerGpu, SubtractsAMeanImage) {
  this->WriteImages(4);
  Blob<float> mean(1, 2, 5, 6);
  testing::FillGaussian(&mean, 3);
  BlobProto proto;
  mean.ToProto(&proto);
  this->Write("mean.binaryproto", proto.SerializeAsString());
  const string file = "mean_file: '" + this->Path("mean.binaryproto") + "' ";
  this->ExpectEqual(this->Param(3, file), true);
  this->ExpectEqual(this->Param(3, file + "crop_size: 3 mirror: true scale: 0.1"), true);
}

TYPED_TEST(DataLayerGpu, DecodesImagesOnce) {
  vector<Datum> datums(5);
  for (int i = 0; i < 5; ++i) {
    cv::Mat image(6, 7, CV_8UC3);
    for (size_t k = 0; k < image.total() * 3; ++k)
      image.data[k] = static_cast<uint8_t>(k * (i + 3));
    cv::imwrite(this->Path("a.png"), image);
    ASSERT_TRUE(ReadImageToDatum(this->Path("a.png"), i + 3, 0, 0, true, "png", &datums[i]));
  }
  WriteDatums(this->Path("db"), datums);
  for (const string color : {"", "force_color: true ", "force_gray: true "}) {
    this->ExpectEqual(this->Param(2, color + "crop_size: 4 mirror: true"), true);
  }
}

TYPED_TEST(DataLayerGpu, SeveralSolversShareTheRecords) {
  this->WriteImages(7);
  Caffe::set_solver_count(3);
  for (int rank = 0; rank < 3; ++rank) {
    Caffe::set_solver_rank(rank);
    this->ExpectEqual(this->Param(2, "mirror: true"), true);
    this->ExpectEqual(this->Param(2, "", "", "TEST"), true);
  }
  Caffe::set_solver_count(1);
  Caffe::set_solver_rank(0);
}

// More than is read at a time.
TYPED_TEST(DataLayerGpu, ManyLargeImages) {
  this->WriteImages(25, 3, 600, 600);
  LayerParameter param = this->Param(2, "crop_size: 2");
  Caffe::set_random_seed(11);
  LayerRun<TypeParam> cpu(param, {}, 2);
  const GpuMode mode;
  Caffe::set_random_seed(11);
  LayerRun<TypeParam> gpu(param, {}, 2);
  for (int pass = 0; pass < 13; ++pass) {
    Caffe::set_mode(Caffe::CPU);
    const auto expected = this->Read(&cpu, pass);
    Caffe::set_mode(Caffe::GPU);
    EXPECT_TRUE(this->Read(&gpu, pass) == expected) << pass;
  }
  EXPECT_FALSE(dynamic_cast<InternalThread&>(*gpu.layer).is_started());
}

TYPED_TEST(DataLayerGpu, OtherDataSetsAreSentBatchByBatch) {
  WriteDatums(this->Path("db"), {ByteDatum(2, 3, 4, 0), ByteDatum(2, 5, 2, 1, 50)});
  this->ExpectEqual(this->Param(1, "mirror: true"), false);
  this->ExpectEqual(this->Param(2, "crop_size: 2"), false);
  std::filesystem::remove_all(this->Path("db"));
  vector<Datum> floats(3);
  for (int i = 0; i < 3; ++i) {
    floats[i] = ByteDatum(1, 2, 2, i);
    floats[i].clear_data();
    for (int k = 0; k < 4; ++k) floats[i].add_float_data(0.3f * static_cast<float>(k + i));
  }
  WriteDatums(this->Path("db"), floats);
  this->ExpectEqual(this->Param(2, "mirror: true"), false);
}

// A damaged record matters when its turn comes, as on the CPU, and is named.
TYPED_TEST(DataLayerGpu, DamagedRecordsAreNamed) {
  const string good = ByteDatum(1, 2, 2, 0).SerializeAsString();
  Datum image;
  image.set_encoded(true);
  image.set_data("\x89PNG, but damaged");
  Datum small = ByteDatum(1, 2, 2, 0);
  small.set_data("x");
  const GpuMode mode;
  for (const string& bad : {string(good).substr(0, good.size() - 1), image.SerializeAsString(),
                            small.SerializeAsString(), Datum().SerializeAsString()}) {
    std::filesystem::remove_all(this->Path("db"));
    WriteRecords(this->Path("db"), {good, good, bad});
    LayerRun<TypeParam> run(this->Param(1), {}, 2);
    run.Forward();
    run.Forward();
    EXPECT_ERROR(run.Forward(), this->Path("db") + ": record '002': ");
    EXPECT_ERROR((run.layer->set_next_pass(2), run.Forward()), "record '002': ");
    run.layer->set_next_pass(0);
    run.Forward();  // the layer still works
  }
}

TYPED_TEST(DataLayerGpu, EitherModeByTurns) {
  this->WriteImages(7);
  this->ExpectEqualByTurns(this->Param(3, "crop_size: 3 mirror: true"));
  std::filesystem::remove_all(this->Path("db"));
  WriteDatums(this->Path("db"), {ByteDatum(2, 3, 4, 0), ByteDatum(2, 5, 2, 1, 50)});
  this->ExpectEqualByTurns(this->Param(3, "crop_size: 2 mirror: true"));
}

// A layer behind may work in place.
TYPED_TEST(DataLayerGpu, WhatIsWrittenToATopIsGoneInTheNextPass) {
  for (const bool is_resident : {true, false}) {
    std::filesystem::remove_all(this->Path("db"));
    if (is_resident) {
      this->WriteImages(5);
    } else {
      WriteDatums(this->Path("db"), {ByteDatum(2, 3, 4, 0), ByteDatum(2, 4, 3, 1, 50)});
    }
    const GpuMode mode;
    LayerRun<TypeParam> run(this->Param(1), {}, 2);
    const auto first = this->Read(&run, 0);
    for (int pass = 0; pass < 12; ++pass) {
      run.Forward();
      caffe_gpu_set(run.top[0]->count(), TypeParam(-1), run.top[0]->mutable_gpu_data());
      caffe_gpu_set(run.top[1]->count(), TypeParam(-1), run.top[1]->mutable_gpu_data());
    }
    EXPECT_TRUE(this->Read(&run, 0) == first);
  }
}

TEST(ResidentImages, FitWhereHalfOfTheMemoryStaysFree) {
  const size_t gib = size_t{1} << 30;
  const auto fits = ResidentImages<float>::Fits;
  EXPECT_TRUE(fits(gib, {16 * gib, 16 * gib}));
  EXPECT_TRUE(fits(2 * gib, {16 * gib, 10 * gib}));
  EXPECT_FALSE(fits(2 * gib, {16 * gib, 10 * gib - 1}));
  EXPECT_FALSE(fits(2 * gib + 1, {80 * gib, 80 * gib}));
  EXPECT_FALSE(fits(1, {16 * gib, gib}));
}

}  // namespace
}  // namespace caffe
