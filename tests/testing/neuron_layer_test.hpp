#ifndef METAPERTURB_TESTS_TESTING_NEURON_LAYER_TEST_HPP_
#define METAPERTURB_TESTS_TESTING_NEURON_LAYER_TEST_HPP_

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "caffe/blob.hpp"
#include "testing/blob_util.hpp"
#include "testing/gradient_checker.hpp"

namespace caffe {
namespace testing {

/// The top of an element-wise layer, and its bottom's diff for the top's diff `dy`.
template <typename Dtype>
struct NeuronResult {
  std::vector<Dtype> y, dx;
  int data_block, diff_block;
};

/// Runs the layer on x; with `block` > 1 bottom and top's diff are handed over in channel blocks,
/// and the lanes beyond the last channel must be zero in what the layer writes.
template <typename Dtype>
NeuronResult<Dtype> RunNeuron(const LayerParameter& param, const Blob<Dtype>& x,
                              const Blob<Dtype>& dy, bool in_place = false, int block = 1,
                              bool backward = true) {
  Blob<Dtype> bottom, separate;
  bottom.CopyFrom(x, false, true);
  Blob<Dtype>& top = in_place ? bottom : separate;
  const auto layer = LayerRegistry<Dtype>::CreateLayer(param);
  layer->SetUp({&bottom}, {&top});
  for (size_t i = 0; i < layer->blobs().size(); ++i) layer->set_param_propagate_down(i, true);
  const auto padding_is_zero = [block](const Blob<Dtype>& blob, const Dtype* values) {
    const ChannelBlocks layout = blob.Blocks(block);
    for (size_t i = 0; i < layout.count(); ++i) {
      const size_t group = i / block / layout.spatial % layout.groups();
      if (group * block + i % block < static_cast<size_t>(layout.channels)) continue;
      if (values[i] != 0) return false;
    }
    return true;
  };
  if (block > 1) bottom.mutable_cpu_data(block);
  layer->Forward({&bottom}, {&top});
  NeuronResult<Dtype> result;
  result.data_block = top.data_block();
  EXPECT_TRUE(result.data_block != block || padding_is_zero(top, top.cpu_data(block)));
  result.y.assign(top.cpu_data(), top.cpu_data() + top.count());
  if (!backward) return result;
  SetDiff(dy, &top);
  if (block > 1) top.mutable_cpu_diff(block);
  layer->Backward({&top}, {true}, {&bottom});
  result.diff_block = bottom.diff_block();
  EXPECT_TRUE(result.diff_block != block || padding_is_zero(bottom, bottom.cpu_diff(block)));
  result.dx.assign(bottom.cpu_diff(), bottom.cpu_diff() + bottom.count());
  return result;
}

/// Whether the layer hands channel blocks on or falls back to the plain layout.
enum class Layout { KEEPS_BLOCKS, PLAIN };

/// Checks an element-wise layer against y = f(x): forward in both number types, the gradient in
/// double, the gradient in place (unless !in_place), and channel blocks of 8 and 16 against the
/// plain layout.
template <class Function>
void CheckNeuron(const std::string& text, const Function& f, Layout layout, bool in_place = true,
                 double kink = 0, double shift = 0) {
  const LayerParameter param = LayerFromText(text);
  Blob<double> x(2, 5, 3, 3), dy(2, 5, 3, 3);
  FillGaussian(&x, 1, shift, 1.5);
  FillGaussian(&dy, 2, 0.0, 1.0);
  Blob<float> x32(2, 5, 3, 3), dy32(2, 5, 3, 3);
  std::copy_n(x.cpu_data(), x.count(), x32.mutable_cpu_data());
  std::copy_n(dy.cpu_data(), dy.count(), dy32.mutable_cpu_data());

  const auto plain = RunNeuron(param, x, dy);
  const auto plain32 = RunNeuron(param, x32, dy32);
  for (int i = 0; i < x.count(); ++i) {
    const double expected = f(x.cpu_data()[i]);
    ASSERT_NEAR(plain.y[i], expected, 1e-6 * std::max(1.0, std::fabs(expected))) << i;
    ASSERT_NEAR(plain32.y[i], expected, 1e-5 * std::max(1.0, std::fabs(expected))) << i;
    ASSERT_NEAR(plain32.dx[i], plain.dx[i], 1e-4 * std::max(1.0, std::fabs(plain.dx[i]))) << i;
  }

  Blob<double> bottom, top;
  bottom.CopyFrom(x, false, true);
  const auto layer = LayerRegistry<double>::CreateLayer(param);
  GradientChecker<double>(1e-5, 1e-6, 1701, kink, 1e-3)
      .CheckGradientEltwise(layer.get(), {&bottom}, {&top});

  for (const int block : {8, 16}) {
    const auto blocked = RunNeuron(param, x32, dy32, false, block);
    EXPECT_EQ(plain32.y, blocked.y) << "block " << block;
    EXPECT_EQ(plain32.dx, blocked.dx) << "block " << block;
    if (layout == Layout::KEEPS_BLOCKS) {
      EXPECT_EQ(block, blocked.data_block);
      EXPECT_EQ(block, blocked.diff_block);
    }
    if (!in_place) continue;
    const auto blocked_in_place = RunNeuron(param, x32, dy32, true, block);
    EXPECT_EQ(plain32.y, blocked_in_place.y) << "block " << block;
    EXPECT_EQ(plain32.dx, blocked_in_place.dx) << "block " << block;
  }
  if (!in_place) return;
  const auto same = RunNeuron(param, x, dy, true);
  EXPECT_EQ(plain.y, same.y);
  EXPECT_LT(RelativeError(same.dx.data(), plain.dx.data(), x.count()), 1e-12);
}

}  // namespace testing
}  // namespace caffe

#endif  // METAPERTURB_TESTS_TESTING_NEURON_LAYER_TEST_HPP_
