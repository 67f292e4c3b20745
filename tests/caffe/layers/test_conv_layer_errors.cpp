#include "caffe/layers/conv_layer.hpp"
#include "testing/blob_util.hpp"

namespace caffe {
namespace testing {
namespace {

std::string Conv(const std::string& settings, const std::string& more = "") {
  return "name: 'c' type: 'Convolution' convolution_param { " + settings + " } " + more;
}

TEST(ConvolutionLayer, SettingErrors) {
  const struct {
    const char *settings, *message;
  } cases[] = {
      {"kernel_size: 3", "num_output is not given or 0"},
      {"num_output: 2", "kernel_size is not given or 0"},
      {"num_output: 2 kernel_h: 3", "kernel_size is not given or 0"},
      {"num_output: 2 kernel_size: 3 kernel_w: 3",
       "kernel_size is given together with its _h or _w field"},
      {"num_output: 2 kernel_size: [1, 2, 3]", "kernel_size is given 3 times"},
      {"num_output: 2 kernel_size: 3 stride: 0", "stride is 0"},
      {"num_output: 2 kernel_size: 3 dilation: 1 dilation: 0", "dilation is 0"},
      {"num_output: 2 kernel_size: 1 group: 2", "group 2 does not divide 3 input and 2 output"},
      {"num_output: 2 kernel_size: 1 group: 3", "group 3 does not divide 3 input and 2 output"},
      {"num_output: 2 kernel_size: 1 group: 0", "group 0 does not divide"},
      {"num_output: 2 kernel_size: 1 axis: 2",
       "takes N x C x H x W with axis 1; the bottom has "
       "shape 2 3 4 6 (144), axis is 2"},
      {"num_output: 2 kernel_h: 5 kernel_w: 1",
       "kernel of height 5 exceeds the padded input of height 4"},
      {"num_output: 2 kernel_size: 3 pad: 1 dilation: 4",
       "kernel of height 9 exceeds the padded input of height 6"},
      {"num_output: 2 kernel_h: 1 kernel_w: 9 pad_w: 1",
       "kernel of width 9 exceeds the padded input of width 8"}};
  Blob<float> x(2, 3, 4, 6);
  for (const auto& c : cases) {
    SCOPED_TRACE(c.settings);
    EXPECT_ERROR(LayerRun<float>(LayerFromText(Conv(c.settings)), {&x}), c.message);
  }
}

TEST(ConvolutionLayer, BlobErrors) {
  Blob<float> x(2, 3, 4, 6), other(2, 3, 4, 5), flat(vector<int>{2, 3});
  const std::string size = "num_output: 2 kernel_size: 1 ";
  const LayerParameter param = LayerFromText(Conv(size));
  EXPECT_ERROR(LayerRun<float>(param, {&flat}), "the bottom has shape 2 3 (6), axis is 1");
  EXPECT_ERROR(LayerRun<float>(param, {&x, &other}, 2),
               "bottom 1 has shape 2 3 4 5 (120), bottom 0 2 3 4 6 (144)");
  EXPECT_ERROR(LayerRun<float>(param, {&x, &x}, 1), "as many tops as bottoms, not 1 for 2");
  const std::string six = "blobs { shape { dim: [2, 3, 1, 1] } data: [1, 2, 3, 4, 5, 6] }";
  EXPECT_ERROR(LayerRun<float>(LayerFromText(Conv(size, six)), {&x}),
               "1 stored parameter blobs where 2 are expected");
  EXPECT_ERROR(LayerRun<float>(LayerFromText(Conv("num_output: 2 kernel_h: 1 kernel_w: 2 "
                                                  "bias_term: false",
                                                  six)),
                               {&x}),
               "stored weights have shape 2 3 1 1 (6)");
  EXPECT_ERROR(
      LayerRun<float>(LayerFromText(Conv(size, six + "blobs { shape { dim: 1 } data: 1 }")), {&x}),
      "stored bias has shape 1 (1)");
  LayerRun<float> run(param, {&x});
  x.Reshape(2, 4, 4, 6);
  EXPECT_ERROR(run.Forward(), "bottom has shape 2 4 4 6 (192) where 3 channels are expected");
  ConvolutionLayer<float> layer(LayerFromText(Conv("num_output: 4 kernel_size: 1")));
  EXPECT_ERROR(layer.SetUp({&x}, {&x}), "cannot work in place");
}

}  // namespace
}  // namespace testing
}  // namespace caffe
