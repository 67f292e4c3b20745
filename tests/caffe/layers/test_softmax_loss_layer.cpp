#include <gtest/gtest.h>

#include "testing/blob_util.hpp"
#include "testing/gradient_checker.hpp"

namespace caffe {
namespace {

using namespace testing;  // NOLINT

// Three images of two positions, four classes.
template <typename Dtype>
struct Problem {
  Problem() : x(std::vector<int>{3, 4, 2}), labels(std::vector<int>{3, 2}) {
    FillGaussian(&x, 1, Dtype(0), Dtype(2));
    FillValues(&labels, {0, 3, 2, 1, 1, 3});
  }
  double MinusLogProbability(int n, int i) const {
    double sum = 0;
    for (int c = 0; c < 4; ++c) sum += std::exp(x.cpu_data()[(n * 4 + c) * 2 + i]);
    const int label = static_cast<int>(labels.cpu_data()[n * 2 + i]);
    return std::log(sum) - x.cpu_data()[(n * 4 + label) * 2 + i];
  }
  double Sum(int ignored = -1) const {
    double sum = 0;
    for (int k = 0; k < 6; ++k) {
      if (labels.cpu_data()[k] != ignored) sum += MinusLogProbability(k / 2, k % 2);
    }
    return sum;
  }
  Blob<Dtype> x, labels;
};

double Loss(const std::string& loss_param) {
  Problem<double> p;
  LayerRun<double> run(LayerFromText("type: 'SoftmaxWithLoss' loss_param { " + loss_param + " }"),
                       {&p.x, &p.labels});
  const double loss = run.Forward();
  GradientChecker<double>(1e-5, 1e-6).CheckGradient(run.layer.get(), run.bottom, run.top, 0);
  return loss;
}

TEST(SoftmaxWithLossLayer, Normalizations) {
  const Problem<double> p;
  EXPECT_NEAR(p.Sum() / 6, Loss(""), 1e-12);
  EXPECT_NEAR(p.Sum() / 6, Loss("normalization: FULL"), 1e-12);
  EXPECT_NEAR(p.Sum() / 3, Loss("normalization: BATCH_SIZE"), 1e-12);
  EXPECT_NEAR(p.Sum(), Loss("normalization: NONE"), 1e-12);
  EXPECT_NEAR(p.Sum() / 6, Loss("normalize: true"), 1e-12);
  EXPECT_NEAR(p.Sum() / 3, Loss("normalize: false"), 1e-12);
  // The newer field decides.
  EXPECT_NEAR(p.Sum(), Loss("normalize: false normalization: NONE"), 1e-12);
}

TEST(SoftmaxWithLossLayer, IgnoreLabel) {
  const Problem<double> p;
  EXPECT_NEAR(p.Sum(1) / 4, Loss("ignore_label: 1"), 1e-12);
  EXPECT_NEAR(p.Sum(1) / 6, Loss("ignore_label: 1 normalization: FULL"), 1e-12);
  EXPECT_NEAR(p.Sum(1) / 3, Loss("ignore_label: 1 normalization: BATCH_SIZE"), 1e-12);
}

// As in Caffe: ln(1.18e-38), in float and in double.
template <typename Dtype>
void ExpectLimitedLoss() {
  Blob<Dtype> x(std::vector<int>{1, 2}), labels(std::vector<int>{1});
  FillValues(&labels, {1});
  LayerRun<Dtype> run(LayerFromText("type: 'SoftmaxWithLoss'"), {&x, &labels});
  FillValues(&x, {60, 0});
  EXPECT_NEAR(60, run.Forward(), 1e-4);
  FillValues(&x, {500, 0});
  EXPECT_NEAR(87.33654, run.Forward(), 1e-4);
}

TEST(SoftmaxWithLossLayer, ALossIsLimited) {
  ExpectLimitedLoss<float>();
  ExpectLimitedLoss<double>();
}

TEST(SoftmaxWithLossLayer, NothingCounts) {
  Problem<float> p;
  std::fill_n(p.labels.mutable_cpu_data(), 6, -1.f);
  LayerRun<float> run(LayerFromText("type: 'SoftmaxWithLoss' loss_param { ignore_label: -1 }"),
                      {&p.x, &p.labels});
  EXPECT_EQ(0, run.Forward());
  run.Backward({true, false});
  EXPECT_EQ(0, p.x.asum_diff());
}

TEST(SoftmaxWithLossLayer, LossWeightAndProbabilities) {
  Problem<double> p;
  LayerRun<double> run(LayerFromText("type: 'SoftmaxWithLoss' loss_weight: 3 loss_weight: 0"),
                       {&p.x, &p.labels}, 2);
  EXPECT_NEAR(3 * p.Sum() / 6, run.Forward(), 1e-12);
  const double* prob = run.top[1]->cpu_data();
  ASSERT_EQ(p.x.shape(), run.top[1]->shape());
  EXPECT_NEAR(std::exp(-p.MinusLogProbability(0, 0)), prob[0], 1e-12);
  EXPECT_NEAR(1, prob[0] + prob[2] + prob[4] + prob[6], 1e-12);
  run.Backward({true, false});
  EXPECT_NEAR(3 * (prob[0] - 1) / 6, p.x.cpu_diff()[0], 1e-12);
}

TEST(SoftmaxWithLossLayer, ASecondTopHasNoWeight) {
  Blob<double> x(std::vector<int>{2, 3}), labels(std::vector<int>{2});
  FillGaussian(&x, 1);
  FillValues(&labels, {0, 2});
  LayerRun<double> run(LayerFromText("type: 'SoftmaxWithLoss'"), {&x, &labels}, 2);
  EXPECT_EQ(run.Forward(), run.top[0]->cpu_data()[0]);
  EXPECT_EQ(0, run.layer->loss(1));
}

TEST(SoftmaxWithLossLayer, FloatOnBlocks) {
  Problem<float> p;
  Problem<double> reference;
  p.x.mutable_cpu_data(8);
  LayerRun<float> run(LayerFromText("type: 'SoftmaxWithLoss'"), {&p.x, &p.labels});
  EXPECT_NEAR(reference.Sum() / 6, run.Forward(), 1e-5);
}

TEST(SoftmaxWithLossLayer, NaNStaysNaN) {
  Problem<float> p;
  p.x.mutable_cpu_data()[0] = NAN;
  LayerRun<float> run(LayerFromText("type: 'SoftmaxWithLoss'"), {&p.x, &p.labels});
  EXPECT_TRUE(std::isnan(run.Forward()));
}

TEST(SoftmaxWithLossLayer, Errors) {
  Problem<float> p;
  const LayerParameter param = LayerFromText("type: 'SoftmaxWithLoss'");
  LayerRun<float> run(param, {&p.x, &p.labels});
  for (const float bad : {4.f, -1.f}) {
    p.labels.mutable_cpu_data()[3] = bad;
    EXPECT_ERROR(run.Forward(), "label " + std::to_string(static_cast<int>(bad)) + " of image 1 ");
    EXPECT_ERROR(run.Forward(), "4 classes");
  }
  EXPECT_ERROR(run.Backward({true, true}), "labels get no gradient");
  Blob<float> few(std::vector<int>{3});
  EXPECT_ERROR(LayerRun<float>(param, {&p.x, &few}), "3 labels for predictions of shape 3 4 2");
  Blob<float> other(std::vector<int>{2, 2});
  EXPECT_ERROR(LayerRun<float>(param, {&p.x, &other}), "first axes must agree");
}

}  // namespace
}  // namespace caffe
