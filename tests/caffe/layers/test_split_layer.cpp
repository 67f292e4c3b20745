#include "caffe/layers/split_layer.hpp"

#include "testing/gradient_checker.hpp"
#include "testing/layer_result.hpp"

namespace caffe {
namespace testing {
namespace {

const char kSplit[] = "name: 's' type: 'Split'";

TEST(SplitLayer, TopsShareTheBottomsMemory) {
  Blob<float> x(2, 3, 4, 5);
  FillGaussian<float>(&x, 1);
  LayerRun<float> run(LayerFromText(kSplit), {&x}, 3);
  run.Forward();
  for (const Blob<float>* top : run.top) {
    EXPECT_EQ(x.shape(), top->shape());
    EXPECT_EQ(x.cpu_data(), top->cpu_data());
  }
}

TEST(SplitLayer, FollowsABottomThatGrows) {
  Blob<float> x(1, 2, 1, 1);
  LayerRun<float> run(LayerFromText(kSplit), {&x}, 2);
  run.Forward();
  x.Reshape(3, 2, 2, 2);
  FillGaussian<float>(&x, 1);
  run.Forward();
  EXPECT_EQ(x.shape(), run.top[1]->shape());
  EXPECT_EQ(x.cpu_data(), run.top[1]->cpu_data());
}

TEST(SplitLayer, Gradient) {
  for (int tops : {1, 2, 3, 4}) {
    Blob<double> x(2, 3, 2, 2);
    FillGaussian<double>(&x, 2);
    vector<shared_ptr<Blob<double>>> owned;
    vector<Blob<double>*> top;
    for (int i = 0; i < tops; ++i) {
      owned.emplace_back(new Blob<double>());
      top.push_back(owned.back().get());
    }
    SplitLayer<double> layer(LayerFromText(kSplit));
    GradientChecker<double>(1e-3, 1e-8).CheckGradientExhaustive(&layer, {&x}, top);
  }
}

TEST(SplitLayer, AllLayoutsAgree) {
  for (int tops : {1, 2, 3}) {
    RunOptions options;
    options.tops = tops;
    ExpectAllLayoutsAgree(kSplit, {{2, 19, 3, 3}}, false, options);
  }
}

TEST(SplitLayer, SumsInTheFirstDiffsLayout) {
  Blob<float> x(2, 5, 3, 3);
  FillGaussian<float>(&x, 1);
  LayerRun<float> run(LayerFromText(kSplit), {&x}, 2);
  run.Forward();
  for (int i = 0; i < x.count(); ++i) {
    run.top[0]->mutable_cpu_diff()[i] = i;
    run.top[1]->mutable_cpu_diff()[i] = 2 * i;
  }
  run.top[0]->mutable_cpu_diff(8);
  run.Backward();
  EXPECT_EQ(8, x.diff_block());
  for (int i = 0; i < x.count(); ++i) EXPECT_EQ(3 * i, x.cpu_diff()[i]);
}

TEST(SplitLayer, NotInPlace) {
  Blob<float> x(1, 2, 1, 1);
  SplitLayer<float> layer(LayerFromText(kSplit));
  EXPECT_ERROR(layer.SetUp({&x}, {&x}), "cannot work in place");
}

}  // namespace
}  // namespace testing
}  // namespace caffe
