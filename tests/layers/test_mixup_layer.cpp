#include "layers/mixup_layer.hpp"

#include "testing/gradient_checker.hpp"
#include "testing/noise_util.hpp"

namespace caffe {
namespace testing {
namespace {

const char kThird[] = "name: 'mix' type: 'Mixup' mixup_param { position: 2 }";

// Image 1 is the partner of two others; image 2 has itself.
template <typename Dtype>
void FillPlan(Blob<Dtype>* plan, int position = 2) {
  plan->Reshape({4, 4});
  const Dtype at = position;
  FillValues<Dtype>(plan, {1, Dtype(0.3), at, 3,   //
                           3, Dtype(0.75), at, 3,  //
                           2, Dtype(0.5), at, 3,   //
                           1, 0, at, 3});
}

TEST(MixupLayer, Formula) {
  Blob<double> x(4, 3, 2, 5), plan;
  FillGaussian(&x, 1);
  FillPlan(&plan);
  LayerRun<double> run(LayerFromText(kThird), {&x, &plan});
  run.Forward();
  const double* y = run.top[0]->cpu_data();
  for (int i = 0; i < 30; ++i) {
    const double *a = x.cpu_data() + i, *b = a + 30, *c = b + 30, *d = c + 30;
    ASSERT_NEAR(0.3 * *a + 0.7 * *b, y[i], 1e-15);
    ASSERT_NEAR(0.75 * *b + 0.25 * *d, y[30 + i], 1e-15);
    ASSERT_EQ(*c, y[60 + i]);
    ASSERT_EQ(*b, y[90 + i]);
  }
}

TEST(MixupLayer, Gradient) {
  Blob<double> x(4, 2, 2, 2), plan, y;
  FillGaussian(&x, 1);
  FillPlan(&plan);
  for (const char* text : {kThird, "type: 'Mixup'", "type: 'Mixup' phase: TEST"}) {
    const auto layer = LayerRegistry<double>::CreateLayer(LayerFromText(text));
    GradientChecker<double>(1e-4, 1e-8).CheckGradientExhaustive(layer.get(), {&x, &plan}, {&y}, 0);
  }
}

TEST(MixupLayer, IdentityElsewhereAndInTest) {
  Blob<float> x(4, 3, 2, 5), plan;
  FillGaussian(&x, 1);
  FillPlan(&plan);
  for (const char* text : {"type: 'Mixup' mixup_param { position: 1 }",
                           "type: 'Mixup' phase: TEST mixup_param { position: 2 }"}) {
    const auto result = ThirdPass<float>(text, x, {&plan});
    EXPECT_EQ(DataOf(x), result[0]) << text;
    EXPECT_EQ(DataOf(x), result[1]) << text;
  }
}

TEST(MixupLayer, SameForAnyThreadsAndLayout) {
  Blob<float> x(4, 21, 3, 5), plan;
  FillGaussian(&x, 2);
  FillPlan(&plan);
  ExpectSameEverywhere(kThird, x, {&plan}, false, true);
}

TEST(MixupLayer, AnyNumberOfAxes) {
  Blob<float> x(std::vector<int>{4}), plan;
  FillValues(&x, {1, 2, 3, 4});
  FillPlan(&plan);
  LayerRun<float> run(LayerFromText(kThird), {&x, &plan});
  run.Forward();
  EXPECT_FLOAT_EQ(1.7f, run.top[0]->cpu_data()[0]);
  EXPECT_FLOAT_EQ(2.5f, run.top[0]->cpu_data()[1]);
}

TEST(MixupLayer, Mistakes) {
  Blob<float> x(4, 3, 2, 5), plan, other(5, 3, 1, 1), scalar((std::vector<int>()));
  FillPlan(&plan);
  EXPECT_ERROR(LayerRun<float>(LayerFromText(kThird), {&x, &other}),
               "the plan has shape 5 3 1 1 (15) where 4 4 is expected");
  EXPECT_ERROR(LayerRun<float>(LayerFromText(kThird), {&scalar, &plan}), "no axis of images");
  const auto layer = LayerRegistry<float>::CreateLayer(LayerFromText(kThird));
  EXPECT_ERROR(layer->SetUp({&x, &plan}, {&x}), "cannot work in place");
  plan.mutable_cpu_data()[0] = 0.5f;
  LayerRun<float> half(LayerFromText(kThird), {&x, &plan});
  EXPECT_ERROR(half.Forward(), "the plan names image 0.5 as partner of image 0");
  FillPlan(&plan);
  LayerRun<float> beyond(LayerFromText("name: 'mix' type: 'Mixup' mixup_param { position: 3 }"),
                         {&x, &plan});
  EXPECT_ERROR(beyond.Forward(),
               "mixup_param.position is 3; it must be below the number of places");
}

}  // namespace
}  // namespace testing
}  // namespace caffe
