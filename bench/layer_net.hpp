#ifndef METAPERTURB_BENCH_LAYER_NET_HPP_
#define METAPERTURB_BENCH_LAYER_NET_HPP_

#include <google/protobuf/text_format.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "caffe/net.hpp"

namespace metaperturb {
namespace bench {

struct Shape {
  int channels, extent;  // height = width
};

/// The feature maps of ResNet-20.
const Shape kShapes[] = {{16, 32}, {32, 16}, {64, 8}};

/// Layers from blob "x" to blob "y" in a net that trains, so that they are fused as in a network
/// and keep their memory layouts; they alone are run. They stand between convolutions, which give x
/// and the gradient of y the layouts that they have in a network, and need x's gradient. (With
/// force_backward a frozen phi would get one too.)
class LayerNet {
 public:
  /// `layers`: prototxt of the layers; batch x channels x extent x extent is the shape of x.
  LayerNet(const std::string& layers, int batch, const Shape& shape) {
    const std::string c = std::to_string(shape.channels), extent = std::to_string(shape.extent);
    const std::string text =
        "layer { name: 'data' type: 'Input' top: 'data' input_param { shape { dim: " +
        std::to_string(batch) + " dim: " + c + " dim: " + extent + " dim: " + extent +
        " } } } "
        "layer { name: 'before' type: 'Convolution' bottom: 'data' top: 'x' convolution_param {"
        "  num_output: " +
        c + " kernel_size: 3 pad: 1 weight_filler { type: 'msra' } } } " + layers +
        " layer { name: 'after' type: 'Convolution' bottom: 'y' top: 'after' convolution_param {"
        "  num_output: 16 kernel_size: 3 pad: 1 weight_filler { type: 'msra' } } } "
        "layer { name: 'pool' type: 'Pooling' bottom: 'after' top: 'pool'"
        "  pooling_param { pool: AVE global_pooling: true } } "
        "layer { name: 'loss' type: 'InnerProduct' bottom: 'pool' top: 'loss' loss_weight: 1"
        "  inner_product_param { num_output: 1 weight_filler { type: 'gaussian' std: 0.01 } } }";
    caffe::NetParameter param;
    ENFORCE(google::protobuf::TextFormat::ParseFromString(text, &param)) << text;
    param.mutable_state()->set_phase(caffe::TRAIN);
    caffe::Caffe::set_random_seed(1);
    net_.reset(new caffe::Net<float>(param));
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    caffe::Blob<float>& data = *net_->blob_by_name("data");
    float* values = data.mutable_cpu_data();
    for (int i = 0; i < data.count(); ++i) values[i] = normal(random);
    elements_ = net_->blob_by_name("x")->count();
    last_ = static_cast<int>(net_->layers().size()) - 4;
    for (int i = 0; i < 2; ++i) net_->ForwardBackward();
  }
  void Forward() { net_->ForwardFromTo(kFirst, last_); }
  void Backward() { net_->BackwardFromTo(last_, kFirst); }
  double elements() const { return elements_; }

 private:
  static constexpr int kFirst = 2;  // behind the data and the convolution
  std::unique_ptr<caffe::Net<float>> net_;
  int last_;
  double elements_;
};

/// `noise`: SAMPLE or MEAN.
inline std::string MetaPerturbText(bool learned_phi, const std::string& noise = "SAMPLE") {
  return std::string("layer { name: 'mp' type: 'MetaPerturb' bottom: 'x' top: 'y' ") +
         (learned_phi ? "param { name: 'phi' } " : "") + "metaperturb_param { noise: " + noise +
         " } }";
}

}  // namespace bench
}  // namespace metaperturb

#endif  // METAPERTURB_BENCH_LAYER_NET_HPP_
