// Values that are not finite, in phi and in the input.
#include <algorithm>
#include <cmath>
#include <limits>

#include "layers/metaperturb_layer.hpp"
#include "testing/blob_util.hpp"

namespace caffe {
namespace {

using testing::FillGaussian;
using testing::LayerFromText;
using testing::LayerRun;

// Which values of y are finite, with one of phi or of x that is not.
template <typename Dtype>
std::vector<bool> WhichAreFinite(double value, bool in_phi, int index) {
  Blob<Dtype> x(2, 3, 4, 5);
  FillGaussian(&x, 4);
  LayerParameter param =
      LayerFromText("name: 'mp' type: 'MetaPerturb' metaperturb_param { noise: MEAN }");
  param.set_phase(TEST);
  LayerRun<Dtype> run(param, {&x});
  FillGaussian(run.layer->blobs()[0].get(), 5, Dtype(0), Dtype(0.3));
  Blob<Dtype>* changed = in_phi ? run.layer->blobs()[0].get() : &x;
  changed->mutable_cpu_data()[index] = static_cast<Dtype>(value);
  run.Forward();
  std::vector<bool> finite;
  for (int i = 0; i < x.count(); ++i) finite.push_back(std::isfinite(run.top[0]->cpu_data()[i]));
  return finite;
}

// A prediction that means nothing must be seen to be one, in float as in double. (Float's kernels
// multiply the zeros around an image, too.)
TEST(MetaPerturbLayerTest, NotANumberStaysOne) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  struct {
    double value;
    bool in_phi;
    int index;
  } const all[] = {{nan, true, 4},  {nan, true, 13},  {nan, true, 22},
                   {nan, true, 31}, {nan, false, 30}, {infinity, false, 30}};
  for (const auto& one : all) {
    const auto expected = WhichAreFinite<double>(one.value, one.in_phi, one.index);
    const auto found = WhichAreFinite<float>(one.value, one.in_phi, one.index);
    EXPECT_GT(std::count(expected.begin(), expected.end(), false), 0) << one.index;
    for (size_t i = 0; i < found.size(); ++i) {
      EXPECT_FALSE(found[i] && !expected[i]) << "element " << i << ", changed " << one.index;
    }
  }
}

}  // namespace
}  // namespace caffe
