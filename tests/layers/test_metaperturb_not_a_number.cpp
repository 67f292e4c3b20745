// Values that are not finite, in phi and in the input.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "layers/metaperturb_layer.hpp"
#include "testing/blob_util.hpp"
#include "testing/gpu_util.hpp"

namespace caffe {
namespace {

using testing::FillGaussian;
using testing::LayerFromText;
using testing::LayerRun;

struct Case {
  double value;
  bool in_phi;  // phi[index] is changed, else x[index]
  int index;
  Phase phase;
};

// The kappas of s are read in TRAIN alone.
std::vector<Case> Cases() {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  return {{nan, true, 4, TEST},   {nan, true, 13, TEST},       {nan, true, 22, TEST},
          {nan, true, 31, TEST},  {nan, true, 40, TRAIN},      {nan, true, 75, TRAIN},
          {nan, false, 30, TEST}, {infinity, false, 30, TEST}, {nan, false, 30, TRAIN}};
}

// Which values of y are finite.
template <typename Dtype>
std::vector<bool> WhichAreFinite(const Case& one, const std::vector<int>& shape) {
  Blob<Dtype> x(shape);
  FillGaussian(&x, 4);
  LayerParameter param =
      LayerFromText("name: 'mp' type: 'MetaPerturb' metaperturb_param { noise: MEAN }");
  param.set_phase(one.phase);
  LayerRun<Dtype> run(param, {&x});
  FillGaussian(run.layer->blobs()[0].get(), 5, Dtype(0), Dtype(0.3));
  Blob<Dtype>* changed = one.in_phi ? run.layer->blobs()[0].get() : &x;
  changed->mutable_cpu_data()[one.index] = static_cast<Dtype>(one.value);
  run.Forward();
  std::vector<bool> finite;
  for (int i = 0; i < x.count(); ++i) finite.push_back(std::isfinite(run.top[0]->cpu_data()[i]));
  return finite;
}

// Float's kernels multiply the zeros around an image, too: more may be without meaning there.
void ExpectNoneWentLost(const Case& one, const std::vector<bool>& expected,
                        const std::vector<bool>& found) {
  EXPECT_GT(std::count(expected.begin(), expected.end(), false), 0) << one.index;
  ASSERT_EQ(expected.size(), found.size());
  for (size_t i = 0; i < found.size(); ++i) {
    ASSERT_FALSE(found[i] && !expected[i])
        << "element " << i << ", changed " << (one.in_phi ? "phi[" : "x[") << one.index << "], "
        << Phase_Name(one.phase);
  }
}

// A prediction that means nothing must be seen to be one, in float as in double.
TEST(MetaPerturbLayerTest, NotANumberStaysOne) {
  for (const Case& one : Cases()) {
    ExpectNoneWentLost(one, WhichAreFinite<double>(one, {2, 3, 4, 5}),
                       WhichAreFinite<float>(one, {2, 3, 4, 5}));
  }
}

class MetaPerturbNotANumberGpu : public testing::GpuTest {};

// By the kernels for images (4x5) and those of bands.
TEST_F(MetaPerturbNotANumberGpu, StaysOne) {
  for (const std::vector<int>& shape : {std::vector<int>{2, 3, 4, 5}, {2, 3, 40, 40}}) {
    for (const Case& one : Cases()) {
      const auto expected = WhichAreFinite<double>(one, shape);
      const testing::GpuMode mode;
      ExpectNoneWentLost(one, expected, WhichAreFinite<float>(one, shape));
      ExpectNoneWentLost(one, expected, WhichAreFinite<double>(one, shape));
    }
  }
}

}  // namespace
}  // namespace caffe
