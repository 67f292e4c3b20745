#include <gtest/gtest.h>

#include "testing/blob_util.hpp"
#include "testing/gradient_checker.hpp"

namespace caffe {
namespace {

using namespace testing;  // NOLINT

struct Result {
  std::vector<int> shape;
  std::vector<float> values;
};

Result ArgMax(Blob<float>* x, const std::string& param) {
  LayerRun<float> run(LayerFromText("type: 'ArgMax' argmax_param { " + param + " }"), {x});
  run.Forward();
  const Blob<float>& top = *run.top[0];
  return {top.shape(), {top.cpu_data(), top.cpu_data() + top.count()}};
}

TEST(ArgMaxLayer, OverAllAxesFromTheFirst) {
  Blob<float> x(2, 3, 1, 2);
  FillValues(&x, {1.f, 9.f, 3.f, 4.f, 5.f, 2.f, -1.f, -9.f, -3.f, -4.f, -5.f, -2.f});
  Result r = ArgMax(&x, "");
  EXPECT_EQ((std::vector<int>{2, 1, 1, 1}), r.shape);
  EXPECT_EQ((std::vector<float>{1, 0}), r.values);
  r = ArgMax(&x, "top_k: 2");
  EXPECT_EQ((std::vector<int>{2, 1, 2, 1}), r.shape);
  EXPECT_EQ((std::vector<float>{1, 4, 0, 5}), r.values);
  r = ArgMax(&x, "top_k: 2 out_max_val: true");
  EXPECT_EQ((std::vector<int>{2, 2, 2, 1}), r.shape);
  EXPECT_EQ((std::vector<float>{1, 4, 9, 5, 0, 5, -1, -2}), r.values);
}

TEST(ArgMaxLayer, AlongAnAxis) {
  Blob<float> x(std::vector<int>{2, 3, 2});
  FillValues(&x, {1.f, 9.f, 3.f, 4.f, 5.f, 2.f, -1.f, -9.f, -3.f, -4.f, -5.f, -2.f});
  Result r = ArgMax(&x, "axis: 1");
  EXPECT_EQ((std::vector<int>{2, 1, 2}), r.shape);
  EXPECT_EQ((std::vector<float>{2, 0, 0, 2}), r.values);
  r = ArgMax(&x, "axis: -1 out_max_val: true");
  EXPECT_EQ((std::vector<int>{2, 3, 1}), r.shape);
  EXPECT_EQ((std::vector<float>{9, 4, 5, -1, -3, -2}), r.values);
  r = ArgMax(&x, "axis: 1 top_k: 2");
  EXPECT_EQ((std::vector<float>{2, 0, 1, 1, 0, 2, 1, 1}), r.values);
}

TEST(ArgMaxLayer, OfEqualEntriesTheLastComesFirst) {
  Blob<float> x(std::vector<int>{1, 4});
  FillValues(&x, {1.f, 7.f, 7.f, 0.f});
  EXPECT_EQ((std::vector<float>{2, 1}), ArgMax(&x, "top_k: 2").values);
}

TEST(ArgMaxLayer, Errors) {
  Blob<float> x(std::vector<int>{1, 4});
  EXPECT_ERROR(ArgMax(&x, "top_k: 5"), "top_k 5 does not lie between 1 and 4");
  EXPECT_ERROR(ArgMax(&x, "top_k: 0"), "top_k 0");
  EXPECT_ERROR(ArgMax(&x, "axis: 2"), "axis 2 is out of range");
  LayerRun<float> run(LayerFromText("type: 'ArgMax'"), {&x});
  EXPECT_ERROR(run.Backward(), "no gradient");
}

}  // namespace
}  // namespace caffe
