// MetaPerturb in a foreign host: what the host's own Net makes of it.

#include "caffe/net.hpp"
#include "testing/blob_util.hpp"

namespace caffe {
namespace testing {
namespace {

const char kNet[] =
    "name: 'small' force_backward: true "
    "layer { name: 'x' type: 'DummyData' top: 'x' dummy_data_param {"
    "  shape { dim: 4 dim: 5 dim: 6 dim: 7 } data_filler { type: 'gaussian' mean: 1 } } } "
    "layer { name: 'c' type: 'Convolution' bottom: 'x' top: 'c' convolution_param {"
    "  num_output: 12 kernel_size: 3 pad: 1 weight_filler { type: 'msra' } } } "
    "layer { name: 'mp' type: 'MetaPerturb' bottom: 'c' top: 'mp' PARAM } "
    "layer { name: 'r' type: 'ReLU' bottom: 'mp' top: 'mp' } "
    "layer { name: 'loss' type: 'Reduction' bottom: 'mp' top: 'loss' loss_weight: 1"
    "  reduction_param { operation: MEAN } }";

NetParameter NetWith(const std::string& param, Phase phase = TRAIN) {
  std::string text = kNet;
  text.replace(text.find("PARAM"), 5, param);
  NetParameter net = NetFromText(text);
  net.mutable_state()->set_phase(phase);
  return net;
}

std::vector<float> Output(const NetParameter& param, unsigned seed, int passes = 1) {
  Caffe::set_random_seed(seed);
  Net<float> net(param);
  for (int i = 0; i < passes; ++i) net.Forward();
  const Blob<float>& y = *net.blob_by_name("mp");
  return std::vector<float>(y.cpu_data(), y.cpu_data() + y.count());
}

TEST(HostLayerTest, NoiseFollowsTheSeed) {
  const NetParameter net = NetWith("");
  EXPECT_EQ(Output(net, 1), Output(net, 1));
  EXPECT_NE(Output(net, 1), Output(net, 2));
}

TEST(HostLayerTest, EveryPassDrawsAnew) {
  Caffe::set_random_seed(3);
  Net<float> net(NetWith("", TEST));
  const auto pass = [&net] {
    net.ForwardFrom(2);  // the same x
    const Blob<float>& y = *net.blob_by_name("mp");
    return std::vector<float>(y.cpu_data(), y.cpu_data() + y.count());
  };
  net.Forward();
  EXPECT_NE(pass(), pass());
}

TEST(HostLayerTest, PhiIsFixedUnlessItIsNamed) {
  for (const bool named : {false, true}) {
    Net<float> net(NetWith(named ? "param { name: 'phi' }" : ""));
    net.ClearParamDiffs();
    net.ForwardBackward();
    const Layer<float>& layer = *net.layer_by_name("mp");
    ASSERT_EQ(4u, const_cast<Layer<float>&>(layer).blobs().size());
    const Blob<float>& phi = *const_cast<Layer<float>&>(layer).blobs()[0];
    EXPECT_EQ(named, phi.asum_diff() != 0);
    EXPECT_NE(0, net.blob_by_name("c")->asum_diff());
    for (size_t i = 0; i < net.learnable_params().size(); ++i) {
      if (net.learnable_params()[i] == &phi) {
        EXPECT_EQ(named ? 1 : 0, net.params_lr()[i]);
      }
    }
  }
}

TEST(HostLayerTest, ErrorsNameTheLayer) {
  EXPECT_ERROR(Net<float>(NetWith("python_param { param_str: 'clip: 3' }")),
               "layer 'mp' (MetaPerturb): python_param.param_str \"clip: 3\" is no "
               "MetaPerturbParameter");
  EXPECT_ERROR(Net<float>(NetWith("python_param { param_str: 'phi: \"no_such.caffemodel\"' }")),
               "layer 'mp' (MetaPerturb): no_such.caffemodel");
  EXPECT_ERROR(Net<float>(NetWith("python_param { param_str: 'noise_coeff: 2' }")),
               "layer 'mp' (MetaPerturb): noise_coeff is 2");
}

}  // namespace
}  // namespace testing
}  // namespace caffe
