#ifndef METAPERTURB_TESTS_TESTING_GOLDEN_HPP_
#define METAPERTURB_TESTS_TESTING_GOLDEN_HPP_

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "testing/blob_util.hpp"

// Golden vectors: a MetaPerturb layer with its inputs and results, computed in double precision
// with the authors' code. Only Caffe's public API, so that they can be checked in any host.

namespace caffe {
namespace testing {

const char* const kGoldenNames[] = {"train_small",   "train_c16",          "train_annealed",
                                    "train_clipped", "test_running_stats", "mean_field"};

/// They lie beside a developer's checkout, or where METAPERTURB_GOLDEN says.
inline std::string GoldenFile(const std::string& name) {
  const char* given = std::getenv("METAPERTURB_GOLDEN");
  const std::string folder = given ? given : METAPERTURB_SOURCE_DIR "/../shared/golden";
  return folder + "/" + name + ".prototxt";
}

inline const LayerParameter& FindLayer(const NetParameter& net, const std::string& name) {
  for (const LayerParameter& layer : net.layer()) {
    if (layer.name() == name) return layer;
  }
  throw Error("no layer " + name);
}

template <typename Dtype>
void CheckGolden(const std::string& name, double tolerance) {
  const std::string file = GoldenFile(name);
  std::ifstream stream(file);
  if (!stream) GTEST_SKIP() << file << " is not here";
  const NetParameter net = NetFromText({std::istreambuf_iterator<char>(stream), {}});
  Blob<Dtype> x, epsilon, expected_y, dy, expected_dx, expected_dphi, mean, var;
  x.FromProto(FindLayer(net, "x").blobs(0));
  epsilon.FromProto(FindLayer(net, "eps").blobs(0));
  expected_y.FromProto(FindLayer(net, "y").blobs(0));
  dy.FromProto(FindLayer(net, "dy").blobs(0));
  expected_dx.FromProto(FindLayer(net, "dx").blobs(0));
  expected_dphi.FromProto(FindLayer(net, "dphi").blobs(0));
  mean.FromProto(FindLayer(net, "running_mean_after").blobs(0));
  var.FromProto(FindLayer(net, "running_var_after").blobs(0));

  LayerParameter param = FindLayer(net, "mp");
  if (param.param_size() == 0) param.add_param()->set_name("phi");  // learn it
  LayerRun<Dtype> run(param, {&x, &epsilon});
  run.Forward();
  const Blob<Dtype>& y = *run.top[0];
  EXPECT_LT(RelativeError(y.cpu_data(), expected_y.cpu_data(), y.count()), tolerance);
  SetDiff(dy, run.top[0]);
  Blob<Dtype>& phi = *run.layer->blobs()[0];
  std::fill_n(phi.mutable_cpu_diff(), 82, Dtype(0));
  run.Backward({true, false});
  EXPECT_LT(RelativeError(x.cpu_diff(), expected_dx.cpu_data(), x.count()), tolerance);
  EXPECT_LT(RelativeError(phi.cpu_diff(), expected_dphi.cpu_data(), 82), tolerance);
  const auto& blobs = run.layer->blobs();
  EXPECT_LT(RelativeError(blobs[1]->cpu_data(), mean.cpu_data(), mean.count()), tolerance);
  EXPECT_LT(RelativeError(blobs[2]->cpu_data(), var.cpu_data(), var.count()), tolerance);
}

/// Golden vectors as a parameterized test, in float and in double.
#define INSTANTIATE_GOLDEN_TESTS(Suite)                          \
  class Suite : public ::testing::TestWithParam<const char*> {}; \
  TEST_P(Suite, Float) {                                         \
    ::caffe::testing::CheckGolden<float>(GetParam(), 1e-4);      \
  }                                                              \
  TEST_P(Suite, Double) {                                        \
    ::caffe::testing::CheckGolden<double>(GetParam(), 1e-7);     \
  }                                                              \
  INSTANTIATE_TEST_SUITE_P(MetaPerturb, Suite, ::testing::ValuesIn(::caffe::testing::kGoldenNames))

}  // namespace testing
}  // namespace caffe

#endif  // METAPERTURB_TESTS_TESTING_GOLDEN_HPP_
