#include "layers/metaperturb_scale.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "testing/blob_util.hpp"

namespace metaperturb {
namespace {

const int kNum = 5, kChannels = 3, kLanes = 4;
const double kCShare = 0.4, kHShare = 0.7, kOld = 0.9;

std::vector<double> Gaussian(int count, uint64_t seed) {
  caffe::Blob<double> blob(std::vector<int>{count});
  caffe::testing::FillGaussian(&blob, seed);
  return std::vector<double>(blob.cpu_data(), blob.cpu_data() + count);
}

// f of lane 3, which holds no channel, is a number that would show.
struct Scaled {
  Scaled() : f(Gaussian(kNum * 4 * kChannels, 1)), w(Gaussian(10, 2)) {
    scale.Reshape(kNum, kChannels, kLanes, kCShare, kHShare);
  }
  double& At(int n, int k, int c) { return f[(n * 4 + k) * kChannels + c]; }
  void FromBatch() {
    for (int n = 0; n < kNum; ++n) {
      for (int k = 0; k < 4; ++k) {
        for (int c = 0; c < kChannels; ++c) scale.f(n)[k * kLanes + c] = At(n, k, c);
        scale.f(n)[k * kLanes + 3] = 1e6;
      }
    }
    running_mean.assign(4 * kChannels, 0.5);
    running_var.assign(4 * kChannels, 2);
    scale.FromBatch(w.data(), kOld, running_mean.data(), running_var.data());
  }
  ChannelScale<double> scale;
  std::vector<double> f, w, running_mean, running_var;
};

TEST(ChannelScaleTest, FromBatchIsTheFormula) {
  Scaled s;
  s.FromBatch();
  for (int c = 0; c < kChannels; ++c) {
    double sum = s.w[8] * kCShare + s.w[9] * kHShare;
    for (int k = 0; k < 4; ++k) {
      double mean = 0, variance = 0;
      for (int n = 0; n < kNum; ++n) mean += s.At(n, k, c) / kNum;
      for (int n = 0; n < kNum; ++n) variance += std::pow(s.At(n, k, c) - mean, 2) / (kNum - 1);
      sum += s.w[k] * mean + s.w[4 + k] * variance;
      EXPECT_NEAR(s.running_mean[c * 4 + k], 0.9 * 0.5 + 0.1 * mean, 1e-12);
      EXPECT_NEAR(s.running_var[c * 4 + k], 0.9 * 2 + 0.1 * variance * kNum / (kNum - 1), 1e-12);
    }
    EXPECT_NEAR(s.scale.s()[c], 1 / (1 + std::exp(-sum)), 1e-12);
  }
  EXPECT_EQ(s.scale.s()[3], 0);
}

TEST(ChannelScaleTest, FromRunningTakesWhatItIsGiven) {
  Scaled s;
  const std::vector<double> mean = Gaussian(4 * kChannels, 3), variance(4 * kChannels, 2);
  s.scale.FromRunning(s.w.data(), mean.data(), variance.data());
  for (int c = 0; c < kChannels; ++c) {
    double sum = s.w[8] * kCShare + s.w[9] * kHShare;
    for (int k = 0; k < 4; ++k) sum += s.w[k] * mean[c * 4 + k] + s.w[4 + k] * 2;
    EXPECT_NEAR(s.scale.s()[c], 1 / (1 + std::exp(-sum)), 1e-12);
  }
}

TEST(ChannelScaleTest, StatisticsThatOverflowFloatAreNotFinite) {
  ChannelScale<float> scale;
  scale.Reshape(2, 1, 1, kCShare, kHShare);
  std::fill_n(scale.f(0), 4, 1e30f);
  std::fill_n(scale.f(1), 4, 0.0f);
  std::vector<float> w(10, 0), mean(4, 0), variance(4, 1);
  w[4] = 1;
  w[5] = -1;
  scale.FromBatch(w.data(), kOld, mean.data(), variance.data());
  EXPECT_TRUE(std::isnan(scale.s()[0]));
}

// The gradients of sum_c weight[c] s[c], with every image's share of dL/ds given.
TEST(ChannelScaleTest, BackwardIsTheDerivative) {
  Scaled s;
  const std::vector<double> weight = Gaussian(kNum * kChannels, 4);
  const auto loss = [&] {
    s.FromBatch();
    double sum = 0;
    for (int i = 0; i < kNum * kChannels; ++i) sum += weight[i] * s.scale.s()[i % kChannels];
    return sum;
  };
  loss();
  for (int n = 0; n < kNum; ++n) {
    for (int c = 0; c < kChannels; ++c) s.scale.ds(n)[c] = weight[n * kChannels + c];
    s.scale.ds(n)[3] = 1e6;
  }
  std::vector<double> dw(10, 0.25);  // is added to
  s.scale.Backward(s.w.data(), dw.data());
  std::vector<double> df;
  for (int n = 0; n < kNum; ++n) {
    df.insert(df.end(), s.scale.df(n), s.scale.df(n) + 4 * kLanes);
    for (int k = 0; k < 4; ++k) EXPECT_EQ(s.scale.df(n)[k * kLanes + 3], 0);
  }
  const double step = 1e-5;
  const auto slope = [&](double* at) {
    const double value = *at;
    *at = value + step;
    const double above = loss();
    *at = value - step;
    const double below = loss();
    *at = value;
    return (above - below) / (2 * step);
  };
  for (int j = 0; j < 10; ++j) EXPECT_NEAR(dw[j] - 0.25, slope(&s.w[j]), 1e-8) << "w " << j;
  for (int n = 0; n < kNum; ++n) {
    for (int k = 0; k < 4; ++k) {
      for (int c = 0; c < kChannels; ++c) {
        EXPECT_NEAR(df[(n * 4 + k) * kLanes + c], slope(&s.At(n, k, c)), 1e-8);
      }
    }
  }
}

}  // namespace
}  // namespace metaperturb
