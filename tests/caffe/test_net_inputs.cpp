// A program that drives a Net: pointers that it keeps, and layers that it runs itself.
#include <gtest/gtest.h>

#include "caffe/net.hpp"
#include "testing/blob_util.hpp"

namespace caffe {
namespace testing {
namespace {

// An input of whole channel blocks, which the convolution takes in its own layout.
NetParameter Convolution(int channels, const string& more = "") {
  return NetFromText(
      "layer { name: 'in' type: 'Input' top: 'x' input_param { shape { dim: 2 dim: " +
      std::to_string(channels) +
      " dim: 6 dim: 6 } } }"
      "layer { name: 'c' type: 'Convolution' bottom: 'x' top: 'c' convolution_param {"
      " num_output: 24 kernel_size: 3 bias_term: false"
      " weight_filler { type: 'gaussian' std: 0.3 } } }" +
      more);
}

void ExpectEqualGradients(const Net<float>& expected, const Net<float>& net) {
  ASSERT_EQ(expected.learnable_params().size(), net.learnable_params().size());
  float total = 0;
  for (size_t i = 0; i < net.learnable_params().size(); ++i) {
    const Blob<float>&a = *expected.learnable_params()[i], &b = *net.learnable_params()[i];
    total += a.asum_diff();
    const float bound = 1e-5f * a.asum_diff() / a.count();
    for (int j = 0; j < a.count(); ++j) ASSERT_NEAR(a.cpu_diff()[j], b.cpu_diff()[j], bound) << i;
  }
  EXPECT_GT(total, 0);
}

TEST(NetInputs, APointerThatIsKeptStaysTheInput) {
  Net<float> net(Convolution(32));
  Blob<float>* x = net.input_blobs()[0];
  FillGaussian<float>(x, 1);
  float* kept = x->mutable_cpu_data();
  vector<float> own(x->count());
  for (const bool outside : {false, true}) {
    if (outside) {
      std::copy(kept, kept + x->count(), own.begin());
      kept = own.data();
      x->set_cpu_data(kept);
    }
    const float before = net.Forward()[0]->cpu_data()[5];
    for (int i = 0; i < x->count(); ++i) kept[i] *= 2;
    EXPECT_NEAR(net.Forward()[0]->cpu_data()[5], 2 * before, 1e-5 * std::abs(before));
  }
}

// As Caffe's own `time` does; layers that another one computes are in there, too.
TEST(NetInputs, LayersOneByOneAreTheNet) {
  const NetParameter param = Convolution(
      16,
      "layer { name: 'bn' type: 'BatchNorm' bottom: 'c' top: 'c' }"
      "layer { name: 'scale' type: 'Scale' bottom: 'c' top: 'c' scale_param {"
      " bias_term: true filler { value: 3 } bias_filler { value: 1 } } }"
      "layer { name: 'relu' type: 'ReLU' bottom: 'c' top: 'c' relu_param { negative_slope: 0.5 } }"
      "layer { name: 'l' type: 'Reduction' bottom: 'c' top: 'l' loss_weight: 1"
      " reduction_param { operation: SUMSQ } }");
  Caffe::set_random_seed(4);
  Net<float> whole(param);
  Caffe::set_random_seed(4);
  Net<float> parts(param);
  for (Net<float>* net : {&whole, &parts}) FillGaussian<float>(net->input_blobs()[0], 7);
  const float loss = whole.ForwardBackward();
  float sum = 0;
  const int count = static_cast<int>(parts.layers().size());
  for (int i = 0; i < count; ++i) {
    sum += parts.layers()[i]->Forward(parts.bottom_vecs()[i], parts.top_vecs()[i]);
  }
  for (int i = count - 1; i > 0; --i) {
    parts.layers()[i]->Backward(parts.top_vecs()[i], parts.bottom_need_backward()[i],
                                parts.bottom_vecs()[i]);
  }
  EXPECT_EQ(sum, loss);
  ExpectEqualGradients(whole, parts);
}

// In place, a layer that joins or cuts into one part has nothing to do.
TEST(NetInputs, OnePartInPlace) {
  const string end =
      "layer { name: 'd' type: 'Convolution' bottom: 'c' top: 'd' convolution_param {"
      " num_output: 5 kernel_size: 3 weight_filler { type: 'gaussian' std: 0.3 } } }"
      "layer { name: 'l' type: 'Reduction' bottom: 'd' top: 'l' loss_weight: 1"
      " reduction_param { operation: SUMSQ } }";
  for (const char* type : {"Concat", "Slice"}) {
    Caffe::set_random_seed(4);
    Net<float> plain(Convolution(16, end));
    Caffe::set_random_seed(4);
    Net<float> with(Convolution(
        16, string("layer { name: 'p' type: '") + type + "' bottom: 'c' top: 'c' }" + end));
    for (Net<float>* net : {&plain, &with}) FillGaussian<float>(net->input_blobs()[0], 7);
    EXPECT_EQ(with.ForwardBackward(), plain.ForwardBackward()) << type;
    ExpectEqualGradients(plain, with);
  }
}

TEST(NetInputs, CopyBetweenBlobsThatShareTheirMemory) {
  Blob<float> a(2, 16, 3, 3), b(2, 16, 3, 3);
  b.ShareData(a);
  b.ShareDiff(a);
  for (const bool diff : {false, true}) {
    float* values = diff ? a.mutable_cpu_diff(16) : a.mutable_cpu_data(16);
    std::fill_n(values, a.count(), 5.f);
    b.CopyFrom(a, diff);
    EXPECT_EQ((diff ? b.cpu_diff() : b.cpu_data())[7], 5) << diff;
  }
}

// A Reshape that changes nothing, between the two passes, changes no gradient.
TEST(NetInputs, ReshapeBetweenThePasses) {
  const string mp =
      "layer { name: 'mp' type: 'MetaPerturb' bottom: 'c' top: 'y' param { lr_mult: 1 } }"
      "layer { name: 'l' type: 'Reduction' bottom: 'y' top: 'l' loss_weight: 1"
      " reduction_param { operation: SUMSQ } }";
  Caffe::set_random_seed(4);
  Net<float> plain(Convolution(16, mp));
  Caffe::set_random_seed(4);
  Net<float> again(Convolution(16, mp));
  for (Net<float>* net : {&plain, &again}) FillGaussian<float>(net->input_blobs()[0], 7);
  plain.ForwardBackward();
  again.Forward();
  again.Reshape();
  again.Backward();
  ExpectEqualGradients(plain, again);
}

}  // namespace
}  // namespace testing
}  // namespace caffe
