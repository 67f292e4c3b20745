#include "layers/information_dropout_layer.hpp"

#include <cmath>
#include <limits>

#include "layers/aligned_vector.hpp"
#include "layers/metaperturb_kernels.hpp"
#include "testing/gradient_checker.hpp"
#include "testing/noise_util.hpp"

namespace caffe {
namespace testing {
namespace {

std::string Text(const std::string& inside = "", const std::string& more = "") {
  return "name: 'id' type: 'InformationDropout' information_dropout_param { " + inside + " } " +
         more;
}

// Positive values; every third is 0 with `zeros`, as behind a ReLU.
template <typename Dtype>
void FillActivations(Blob<Dtype>* x, uint64_t seed, bool zeros) {
  FillGaussian(x, seed);
  for (int i = 0; i < x->count(); ++i) {
    Dtype& value = x->mutable_cpu_data()[i];
    value = zeros && i % 3 == 0 ? Dtype(0) : std::fabs(value) + Dtype(0.1);
  }
}

double Alpha(double logit, double max_alpha = 0.7) {
  return 0.001 + max_alpha / (1 + std::exp(-logit));
}

// ln(z / x) / alpha is standard normal, with the alpha of the element's own logit.
template <typename Dtype>
void ExpectNormalNoise() {
  Caffe::set_random_seed(51);
  Blob<Dtype> x(6, 21, 12, 11), logits(6, 21, 12, 11);
  FillActivations(&x, 1, false);
  FillGaussian(&logits, 2, Dtype(0), Dtype(2));
  LayerRun<Dtype> run(LayerFromText(Text()), {&x, &logits});
  run.Forward();
  double sum = 0, squares = 0, fourth = 0;
  for (int i = 0; i < x.count(); ++i) {
    const double epsilon =
        std::log(double{run.top[0]->cpu_data()[i]} / x.cpu_data()[i]) / Alpha(logits.cpu_data()[i]);
    sum += epsilon;
    squares += epsilon * epsilon;
    fourth += epsilon * epsilon * epsilon * epsilon;
  }
  const double n = x.count();  // 16632
  EXPECT_NEAR(0, sum / n, 5 / std::sqrt(n));
  EXPECT_NEAR(1, squares / n, 5 * std::sqrt(2 / n));
  EXPECT_NEAR(3, fourth / n, 5 * std::sqrt(96 / n));
}
TEST(InformationDropoutLayer, NormalNoiseInFloat) {
  ExpectNormalNoise<float>();
}
TEST(InformationDropoutLayer, NormalNoiseInDouble) {
  ExpectNormalNoise<double>();
}

TEST(InformationDropoutLayer, Divergence) {
  Blob<double> x(3, 4, 2, 5), logits(3, 4, 2, 5);
  FillActivations(&x, 1, true);
  FillGaussian(&logits, 2);
  double expected = 0;
  for (int i = 0; i < x.count(); ++i) {
    if (x.cpu_data()[i] != 0) {
      expected += std::log(0.501) - std::log(Alpha(logits.cpu_data()[i], 0.5));
    }
  }
  for (const char* more : {"phase: TRAIN", "phase: TEST"}) {
    LayerRun<double> run(LayerFromText(Text("max_alpha: 0.5", more)), {&x, &logits}, 2);
    run.Forward();
    EXPECT_NEAR(expected / 3, run.top[1]->cpu_data()[0], 1e-6) << more;  // max_alpha is a float
    EXPECT_EQ(1, run.top[1]->count());
  }
}

TEST(InformationDropoutLayer, Gradient) {
  Blob<double> x(2, 3, 2, 3), logits(2, 3, 2, 3), z, kl;
  FillActivations(&x, 1, false);
  FillGaussian(&logits, 2);
  for (const char* param : {"", "test_mean: true"}) {
    for (const char* more : {"", "phase: TEST", "loss_weight: 0 loss_weight: 0.3"}) {
      const auto layer = LayerRegistry<double>::CreateLayer(LayerFromText(Text(param, more)));
      GradientChecker<double>(1e-5, 1e-7)
          .CheckGradientExhaustive(layer.get(), {&x, &logits}, {&z, &kl});
    }
  }
}

// The logits of an element at 0 neither change z nor the divergence.
TEST(InformationDropoutLayer, NoGradientForTheLogitsOfZeros) {
  Blob<float> x(2, 5, 3, 3), logits(2, 5, 3, 3);
  FillActivations(&x, 1, true);
  FillGaussian(&logits, 2);
  LayerRun<float> run(LayerFromText(Text()), {&x, &logits}, 2);
  run.Forward();
  SetDiff(logits, run.top[0]);
  run.top[1]->mutable_cpu_diff()[0] = 1;
  run.Backward();
  for (int i = 0; i < x.count(); ++i) {
    EXPECT_EQ(x.cpu_data()[i] == 0, logits.cpu_diff()[i] == 0) << i;
    EXPECT_NE(0, x.cpu_diff()[i]);
  }
}

TEST(InformationDropoutLayer, IdentityInTest) {
  Blob<float> x(2, 5, 3, 3), logits(2, 5, 3, 3);
  FillActivations(&x, 1, true);
  FillGaussian(&logits, 2);
  const auto result = ThirdPass<float>(Text("", "phase: TEST"), x, {&logits});
  EXPECT_EQ(DataOf(x), result[0]);
  EXPECT_EQ(DataOf(x), result[1]);
}

// The mean over many draws in TRAIN approaches what TEST computes with test_mean.
TEST(InformationDropoutLayer, TestMeanIsTheMeanOfTraining) {
  Blob<double> x(1, 4, 2, 2), logits(1, 4, 2, 2);
  FillActivations(&x, 1, false);
  FillGaussian(&logits, 2);
  LayerRun<double> test(LayerFromText(Text("test_mean: true", "phase: TEST")), {&x, &logits}, 2);
  LayerRun<double> train(LayerFromText(Text("test_mean: true", "phase: TRAIN")), {&x, &logits}, 2);
  test.Forward();
  const int passes = 20000;
  std::vector<double> mean(x.count());
  for (int pass = 0; pass < passes; ++pass) {
    train.Forward();
    for (int i = 0; i < x.count(); ++i) mean[i] += train.top[0]->cpu_data()[i] / passes;
  }
  for (int i = 0; i < x.count(); ++i) {
    const double alpha = Alpha(logits.cpu_data()[i]);
    // The factor's deviation is sqrt(exp(alpha^2) - 1) of its mean.
    const double error = std::sqrt(std::expm1(alpha * alpha) / passes);
    EXPECT_NEAR(1, mean[i] / test.top[0]->cpu_data()[i], 5 * error) << i;
  }
}

TEST(InformationDropoutLayer, FloatAgreesWithDouble) {
  for (const std::vector<int>& shape :
       {std::vector<int>{3, 19, 4, 5}, std::vector<int>{4, 10}, std::vector<int>{2, 3, 7}}) {
    Blob<double> x(shape), logits(shape);
    FillActivations(&x, 1, true);
    FillGaussian(&logits, 2);
    Blob<float> xf(shape), logits_f(shape);
    std::copy_n(x.cpu_data(), x.count(), xf.mutable_cpu_data());
    std::copy_n(logits.cpu_data(), x.count(), logits_f.mutable_cpu_data());
    Caffe::set_random_seed(52);
    LayerRun<double> plain(LayerFromText(Text()), {&x, &logits}, 2);
    Caffe::set_random_seed(52);
    LayerRun<float> fast(LayerFromText(Text()), {&xf, &logits_f}, 2);
    plain.Forward();
    fast.Forward();
    SetDiff(logits, plain.top[0]);
    SetDiff(logits_f, fast.top[0]);
    plain.top[1]->mutable_cpu_diff()[0] = 0.5;
    fast.top[1]->mutable_cpu_diff()[0] = 0.5;
    plain.Backward();
    fast.Backward();
    const int count = x.count();
    EXPECT_LT(RelativeError(fast.top[0]->cpu_data(), plain.top[0]->cpu_data(), count), 2e-5);
    EXPECT_LT(RelativeError(fast.top[1]->cpu_data(), plain.top[1]->cpu_data(), 1), 2e-5);
    EXPECT_LT(RelativeError(xf.cpu_diff(), x.cpu_diff(), count), 2e-5);
    EXPECT_LT(RelativeError(logits_f.cpu_diff(), logits.cpu_diff(), count), 2e-5);
  }
}

// The vector functions that the layer computes with in float.
TEST(InformationDropoutLayer, EveryInstructionSetAgreesWithTheLibrary) {
  const std::vector<const metaperturb::Kernels*> all = {&metaperturb::KernelsFor("generic"),
                                                        &metaperturb::KernelsFor("avx2"),
                                                        &metaperturb::KernelsFor("avx512")};
  const int size = 16 * 2000;
  metaperturb::AlignedVector<float> x(size), y(size);
  const float largest = std::numeric_limits<float>::infinity(), none = std::nanf("");
  for (const metaperturb::Kernels* kernels : all) {
    SCOPED_TRACE(kernels->name);
    for (int i = 0; i < size; ++i) x[i] = 172.0f * static_cast<float>(i) / size - 86;
    kernels->exp(size, x.data(), y.data());
    for (int i = 0; i < size; ++i) ASSERT_NEAR(1, y[i] / std::exp(double{x[i]}), 3e-6) << x[i];
    kernels->logistic(size, x.data(), y.data());
    for (int i = 0; i < size; ++i) {
      ASSERT_NEAR(1, y[i] * (1 + std::exp(-double{x[i]})), 3e-6) << x[i];
    }
    for (int i = 0; i < size; ++i) x[i] = static_cast<float>(i + 1) / size;
    kernels->log_of_fraction(size, x.data(), y.data());
    for (int i = 0; i < size; ++i) ASSERT_NEAR(y[i], std::log(double{x[i]}), 2e-6) << x[i];
    EXPECT_EQ(0, y[size - 1]);

    const float edges[] = {0, 1000, largest, -1000, -largest, none};
    std::fill(x.begin(), x.end(), 0.0f);
    std::copy_n(edges, 6, x.begin());
    kernels->exp(16, x.data(), y.data());
    EXPECT_TRUE(y[0] == 1 && y[1] == largest && y[2] == largest && std::isnan(y[5]));
    EXPECT_TRUE(y[3] >= 0 && y[3] < 1e-37 && y[4] >= 0 && y[4] < 1e-37);
    kernels->logistic(16, x.data(), x.data());
    EXPECT_TRUE(x[0] == 0.5 && x[1] == 1 && x[2] == 1 && std::isnan(x[5]));
    EXPECT_TRUE(x[3] >= 0 && x[3] < 1e-37 && x[4] >= 0 && x[4] < 1e-37);
  }
}

TEST(InformationDropoutLayer, SameForAnyThreads) {
  Blob<float> x(7, 21, 3, 5), logits(7, 21, 3, 5);
  FillActivations(&x, 2, true);
  FillGaussian(&logits, 3);
  ExpectSameEverywhere(Text(), x, {&logits}, false, false);
}

TEST(InformationDropoutLayer, NewNoisePerPass) {
  Blob<float> x(2, 3, 4, 4), logits(2, 3, 4, 4);
  FillActivations(&x, 2, true);
  FillGaussian(&logits, 3);
  ExpectNewChoicesPerPass<float>(Text(), {&x, &logits});
}

TEST(InformationDropoutLayer, Mistakes) {
  Blob<float> x(2, 3, 4, 4), other(2, 3, 4, 5), line(std::vector<int>{6});
  EXPECT_ERROR(LayerRun<float>(LayerFromText(Text("max_alpha: 0")), {&x, &x}), "max_alpha is 0");
  EXPECT_ERROR(LayerRun<float>(LayerFromText(Text("max_alpha: inf")), {&x, &x}),
               "max_alpha is inf");
  EXPECT_ERROR(LayerRun<float>(LayerFromText(Text()), {&x, &other}),
               "the logits have shape 2 3 4 5 (120), x has 2 3 4 4 (96)");
  EXPECT_ERROR(LayerRun<float>(LayerFromText(Text()), {&line, &line}), "6 (6)");
  const auto layer = LayerRegistry<float>::CreateLayer(LayerFromText(Text()));
  EXPECT_ERROR(layer->SetUp({&x, &x}, {&x}), "cannot work in place");
}

}  // namespace
}  // namespace testing
}  // namespace caffe
