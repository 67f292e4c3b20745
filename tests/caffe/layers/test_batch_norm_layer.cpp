#include "caffe/layers/batch_norm_layer.hpp"

#include <omp.h>

#include "testing/gradient_checker.hpp"
#include "testing/layer_result.hpp"

namespace caffe {
namespace testing {
namespace {

const char kBatchNorm[] = "name: 'bn' type: 'BatchNorm' ";

// Statistics that a trained layer has: mean / weight and variance / weight, weight 2.
const auto kStatistics = [](auto* layer, const auto&) {
  for (int c = 0; c < layer->blobs()[0]->count(); ++c) {
    layer->blobs()[0]->mutable_cpu_data()[c] = 0.3 * c - 1;
    layer->blobs()[1]->mutable_cpu_data()[c] = 0.5 + 0.2 * c;
  }
  layer->blobs()[2]->mutable_cpu_data()[0] = 2;
};
const auto kNoStatistics = [](auto* layer, const auto&) {
  for (auto& blob : layer->blobs()) {
    for (int i = 0; i < blob->count(); ++i) blob->mutable_cpu_data()[i] = 0;
  }
};

struct Moments {
  double mean, var;
  int count;
};

template <typename Dtype>
Moments ChannelMoments(const Blob<Dtype>& x, int c) {
  double sum = 0, squares = 0;
  const int area = x.count(2), count = x.shape(0) * area;
  for (int pass = 0; pass < 2; ++pass) {
    for (int n = 0; n < x.shape(0); ++n) {
      for (int s = 0; s < area; ++s) {
        const double v = x.cpu_data()[(n * x.shape(1) + c) * area + s];
        if (pass == 0) {
          sum += v;
        } else {
          squares += (v - sum / count) * (v - sum / count);
        }
      }
    }
  }
  return {sum / count, squares / count, count};
}

template <typename Dtype>
class BatchNormLayerTest : public ::testing::Test {};
typedef ::testing::Types<float, double> Dtypes;
TYPED_TEST_SUITE(BatchNormLayerTest, Dtypes);

TYPED_TEST(BatchNormLayerTest, NormalisesAndKeepsRunningStatistics) {
  Blob<TypeParam> x(3, 5, 4, 2);
  FillGaussian<TypeParam>(&x, 1, 3, 2);
  LayerRun<TypeParam> run(
      LayerFromText(std::string(kBatchNorm) +
                    "batch_norm_param { moving_average_fraction: 0.9 eps: 0.001 }"),
      {&x});
  run.Forward();
  run.Forward();
  const auto& blobs = run.layer->blobs();
  ASSERT_EQ(3u, blobs.size());
  EXPECT_NEAR(1.9, blobs[2]->cpu_data()[0], 1e-6);
  for (int c = 0; c < 5; ++c) {
    const Moments m = ChannelMoments(x, c);
    for (int n = 0; n < 3; ++n) {
      for (int s = 0; s < 8; ++s) {
        const int i = (n * 5 + c) * 8 + s;
        EXPECT_NEAR((x.cpu_data()[i] - m.mean) / std::sqrt(m.var + 0.001),
                    run.top[0]->cpu_data()[i], 1e-5);
      }
    }
    EXPECT_NEAR(1.9 * m.mean, blobs[0]->cpu_data()[c], 1e-5);
    EXPECT_NEAR(1.9 * m.var * m.count / (m.count - 1), blobs[1]->cpu_data()[c], 1e-4);
  }
}

TYPED_TEST(BatchNormLayerTest, TestPhaseUsesTheRunningOnes) {
  Blob<TypeParam> x(2, 2, 1, 1);
  FillValues<TypeParam>(&x, {1, 2, 3, 4});
  LayerParameter param = LayerFromText(std::string(kBatchNorm) + "batch_norm_param { eps: 1 }");
  param.set_phase(TEST);
  LayerRun<TypeParam> run(param, {&x});
  FillValues<TypeParam>(run.layer->blobs()[0].get(), {2, 4});
  FillValues<TypeParam>(run.layer->blobs()[1].get(), {6, 16});
  FillValues<TypeParam>(run.layer->blobs()[2].get(), {2});
  run.Forward();
  const TypeParam* y = run.top[0]->cpu_data();  // means 1, 2; variances 3, 8
  EXPECT_NEAR(0, y[0], 1e-6);
  EXPECT_NEAR(0, y[1], 1e-6);
  EXPECT_NEAR(1, y[2], 1e-6);
  EXPECT_NEAR(2. / 3, y[3], 1e-6);
  EXPECT_EQ(2, run.layer->blobs()[0]->cpu_data()[0]);
  EXPECT_EQ(2, run.layer->blobs()[2]->cpu_data()[0]);
}

TYPED_TEST(BatchNormLayerTest, WithoutStatisticsMeanAndVarianceAreZero) {
  Blob<TypeParam> x(1, 1, 1, 2);
  FillValues<TypeParam>(&x, {1, -3});
  LayerRun<TypeParam> run(LayerFromText(std::string(kBatchNorm) +
                                        "batch_norm_param { eps: 0.25 use_global_stats: true }"),
                          {&x});
  run.Forward();
  EXPECT_NEAR(2, run.top[0]->cpu_data()[0], 1e-6);
  EXPECT_NEAR(-6, run.top[0]->cpu_data()[1], 1e-6);
}

TYPED_TEST(BatchNormLayerTest, TwoAxes) {
  Blob<TypeParam> x(vector<int>{4, 3});
  FillGaussian<TypeParam>(&x, 2);
  LayerRun<TypeParam> run(LayerFromText(kBatchNorm), {&x});
  run.Forward();
  for (int c = 0; c < 3; ++c) {
    const Moments m = ChannelMoments(*run.top[0], c);
    EXPECT_NEAR(0, m.mean, 1e-6);
    EXPECT_NEAR(1, m.var, 1e-3);
  }
}

TEST(BatchNormLayer, Gradient) {
  for (const char* global : {"false", "true"}) {
    Blob<double> x(3, 2, 2, 3), y;
    FillGaussian<double>(&x, 3, 1, 2);
    BatchNormLayer<double> layer(
        LayerFromText(std::string(kBatchNorm) + "batch_norm_param { use_global_stats: " + global +
                      " } param { lr_mult: 0 } param { lr_mult: 0 } param { lr_mult: 0 }"));
    layer.SetUp({&x}, {&y});
    kStatistics(&layer, 0);
    GradientChecker<double>(1e-4, 1e-6).CheckGradient(&layer, {&x}, {&y});
  }
}

TEST(BatchNormLayer, AllLayoutsAgree) {
  for (int channels : {5, 16, 19}) {
    SCOPED_TRACE(channels);
    ExpectAllLayoutsAgree(kBatchNorm, {{3, channels, 5, 4}}, true, RunOptions(), 2e-5,
                          kNoStatistics);
    ExpectAllLayoutsAgree(std::string(kBatchNorm) + "batch_norm_param { use_global_stats: true }",
                          {{3, channels, 5, 4}}, true, RunOptions(), 1e-5, kStatistics);
  }
}

TEST(BatchNormLayer, LargeMeanDoesNotCancelInFloat) {
  Blob<float> x(4, 3, 8, 8);
  FillGaussian<float>(&x, 4, 1000, 1);
  for (int block : {1, 8}) {
    LayerRun<float> run(LayerFromText(kBatchNorm), {&x});
    x.mutable_cpu_data(block);
    run.Forward();
    for (int c = 0; c < 3; ++c) {
      const Moments m = ChannelMoments(*run.top[0], c);
      EXPECT_NEAR(0, m.mean, 1e-3);
      EXPECT_NEAR(1, m.var, 1e-3);
    }
  }
}

TEST(BatchNormLayer, ThreadsDoNotChangeABit) {
  const int threads = omp_get_max_threads();
  LayerResult results[2];
  for (int i = 0; i < 2; ++i) {
    omp_set_num_threads(i == 0 ? 1 : 3);
    RunOptions options;
    options.block = 8;
    results[i] = RunLayer<float>(kBatchNorm, {{5, 19, 6, 6}}, options, kNoStatistics);
  }
  omp_set_num_threads(threads);
  EXPECT_EQ(results[0].y, results[1].y);
  EXPECT_EQ(results[0].dx, results[1].dx);
}

TEST(BatchNormLayer, StatisticsAreNotLearned) {
  Blob<float> x(2, 3, 2, 2);
  FillGaussian<float>(&x, 5);
  LayerRun<float> run(LayerFromText(kBatchNorm), {&x});
  ASSERT_EQ(3, run.layer->layer_param().param_size());
  for (const ParamSpec& spec : run.layer->layer_param().param()) EXPECT_EQ(0, spec.lr_mult());
}

TEST(BatchNormLayer, Errors) {
  Blob<float> x(2, 3, 2, 2);
  const auto make = [&x](const std::string& more) {
    LayerRun<float> run(LayerFromText(kBatchNorm + more), {&x});
  };
  EXPECT_ERROR(make("batch_norm_param { eps: 0 }"), "eps is 0");
  EXPECT_ERROR(make("batch_norm_param { moving_average_fraction: 1.5 }"),
               "moving_average_fraction is 1.5");
  EXPECT_ERROR(make("param { lr_mult: 1 }"), "param 0 has lr_mult 1");
  EXPECT_ERROR(make("blobs { shape { dim: 4 } data: [0, 0, 0, 0] }"
                    "blobs { shape { dim: 4 } data: [0, 0, 0, 0] }"
                    "blobs { shape { dim: 1 } data: 0 }"),
               "3 channels");
  LayerRun<float> run(LayerFromText(kBatchNorm), {&x});
  x.Reshape(2, 4, 2, 2);
  EXPECT_ERROR(run.Forward(), "2 4 2 2 (32) where 3 channels");
}

}  // namespace
}  // namespace testing
}  // namespace caffe
