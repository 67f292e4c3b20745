#include "layers/stochastic_depth_layer.hpp"

#include "testing/gradient_checker.hpp"
#include "testing/noise_util.hpp"

namespace caffe {
namespace testing {
namespace {

std::string Text(const std::string& inside, const std::string& more = "") {
  return "name: 'sd' type: 'StochasticDepth' stochastic_depth_param { " + inside + " } " + more;
}

// Whether each image went through in the next pass; nothing else may have happened to it.
std::vector<bool> Survivors(LayerRun<float>* run) {
  run->Forward();
  const Blob<float>&x = *run->bottom[0], &y = *run->top[0];
  std::vector<bool> survivors;
  for (int n = 0; n < x.shape(0); ++n) {
    const int size = x.count(1);
    const bool alive = y.cpu_data()[n * size] != 0;
    for (int i = n * size; i < (n + 1) * size; ++i) {
      EXPECT_EQ(alive ? x.cpu_data()[i] : 0, y.cpu_data()[i]);
    }
    survivors.push_back(alive);
  }
  return survivors;
}

TEST(StochasticDepthLayer, OneChoicePerPass) {
  Caffe::set_random_seed(31);
  Blob<float> x(5, 2, 3, 3);
  FillGaussian(&x, 1);
  LayerRun<float> run(LayerFromText(Text("survival_prob: 0.8")), {&x});
  int alive = 0;
  for (int pass = 0; pass < 2000; ++pass) {
    const std::vector<bool> survivors = Survivors(&run);
    ASSERT_EQ(std::vector<bool>(5, survivors[0]), survivors);
    alive += survivors[0];
  }
  EXPECT_NEAR(1600, alive, 90);  // five standard deviations
}

TEST(StochasticDepthLayer, OneChoicePerImage) {
  Caffe::set_random_seed(32);
  Blob<float> x(40, 2, 1, 1);
  FillGaussian(&x, 1);
  LayerRun<float> run(LayerFromText(Text("survival_prob: 0.3 per_image: true")), {&x});
  int alive = 0, pairs = 0;
  for (int pass = 0; pass < 100; ++pass) {
    const std::vector<bool> survivors = Survivors(&run);
    for (int n = 0; n < 40; ++n) alive += survivors[n];
    for (int n = 0; n < 40; n += 2) pairs += survivors[n] && survivors[n + 1];
  }
  EXPECT_NEAR(1200, alive, 145);
  EXPECT_NEAR(180, pairs, 65);  // 0.09 of 2000: images are independent
}

TEST(StochasticDepthLayer, ExpectedValueInTest) {
  Blob<double> x(3, 2, 3, 3);
  FillGaussian(&x, 2);
  for (const char* inside : {"survival_prob: 0.75", "survival_prob: 0.75 per_image: true"}) {
    const auto result = ThirdPass<double>(Text(inside, "phase: TEST"), x);
    for (int i = 0; i < x.count(); ++i) {
      ASSERT_EQ(0.75 * x.cpu_data()[i], result[0][i]);
      ASSERT_EQ(0.75 * x.cpu_data()[i], result[1][i]);
    }
  }
}

TEST(StochasticDepthLayer, CertainSurvivalIsTheIdentity) {
  Blob<float> x(3, 2, 3, 3);
  FillGaussian(&x, 2);
  EXPECT_EQ(DataOf(x), ThirdPass<float>(Text("survival_prob: 1"), x)[0]);
}

// A dropped branch that overflows must not spoil the sum with 0 * infinity.
TEST(StochasticDepthLayer, DroppedInfinityIsZero) {
  Blob<float> x(1, 1, 1, 2);
  FillConstant(&x, HUGE_VALF);
  LayerRun<float> run(LayerFromText(Text("survival_prob: 1e-6")), {&x});
  run.Forward();
  EXPECT_EQ(0, run.top[0]->cpu_data()[0]);
}

TEST(StochasticDepthLayer, Gradient) {
  Blob<double> x(6, 2, 2, 2), y;
  FillGaussian(&x, 1);
  for (const char* more : {"", "phase: TEST"}) {
    const auto layer =
        LayerRegistry<double>::CreateLayer(LayerFromText(Text("per_image: true", more)));
    GradientChecker<double>(1e-4, 1e-8).CheckGradientEltwise(layer.get(), {&x}, {&y});
  }
}

TEST(StochasticDepthLayer, SameForAnyThreadsAndLayout) {
  Blob<float> x(7, 21, 3, 5);
  FillGaussian(&x, 2);
  ExpectSameEverywhere(Text("per_image: true"), x, {}, true, true);
}

TEST(StochasticDepthLayer, NewChoicesPerPass) {
  Blob<float> x(64, 2, 1, 1);
  FillGaussian(&x, 3);
  ExpectNewChoicesPerPass<float>(Text("per_image: true"), {&x});
}

TEST(StochasticDepthLayer, Mistakes) {
  Blob<float> x(2, 3, 4, 4);
  EXPECT_ERROR(LayerRun<float>(LayerFromText(Text("survival_prob: 0")), {&x}),
               "survival_prob is 0; it must lie in (0, 1]");
  EXPECT_ERROR(LayerRun<float>(LayerFromText(Text("survival_prob: 1.5")), {&x}),
               "survival_prob is 1.5");
}

}  // namespace
}  // namespace testing
}  // namespace caffe
