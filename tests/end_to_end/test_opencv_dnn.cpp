// Another reader of Caffe's files, OpenCV's dnn module, computes the same from what this project
// writes.
#ifdef HAVE_OPENCV_DNN
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <opencv2/dnn.hpp>

#include "caffe/sgd_solvers.hpp"
#include "testing/blob_util.hpp"
#include "testing/data_util.hpp"
#include "testing/model_util.hpp"

namespace caffe {
namespace testing {
namespace {

const char kBody[] = R"(
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 8 kernel_size: 3 pad: 1 weight_filler { type: "msra" } } }
layer { name: "bn1" type: "BatchNorm" bottom: "conv1" top: "bn1"
  batch_norm_param { moving_average_fraction: 0.9 } }
layer { name: "scale1" type: "Scale" bottom: "bn1" top: "bn1" scale_param { bias_term: true } }
layer { name: "relu1" type: "ReLU" bottom: "bn1" top: "bn1" relu_param { negative_slope: 0.1 } }
layer { name: "lrn" type: "LRN" bottom: "bn1" top: "lrn"
  lrn_param { local_size: 3 alpha: 0.05 beta: 0.75 } }
layer { name: "max" type: "Pooling" bottom: "lrn" top: "max"
  pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "ave" type: "Pooling" bottom: "lrn" top: "ave"
  pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 } }
layer { name: "ave_mix" type: "Convolution" bottom: "ave" top: "ave_mix"
  convolution_param { num_output: 8 kernel_size: 1 bias_term: false
                      weight_filler { type: "msra" } } }
layer { name: "depthwise" type: "Convolution" bottom: "max" top: "depthwise"
  convolution_param { num_output: 8 group: 8 kernel_size: 3 pad: 1 bias_term: false
                      weight_filler { type: "msra" } } }
layer { name: "bn2" type: "BatchNorm" bottom: "depthwise" top: "bn2"
  batch_norm_param { moving_average_fraction: 0.9 } }
layer { name: "scale2" type: "Scale" bottom: "bn2" top: "bn2" scale_param { bias_term: true } }
layer { name: "sum" type: "Eltwise" bottom: "bn2" bottom: "max" top: "sum"
  eltwise_param { operation: SUM coeff: 0.5 coeff: 1.5 } }
layer { name: "sum_relu" type: "ReLU" bottom: "sum" top: "sum" }
layer { name: "strided" type: "Convolution" bottom: "sum" top: "strided"
  convolution_param { num_output: 4 kernel_size: 3 stride: 2 pad: 1
                      weight_filler { type: "msra" } } }
layer { name: "small" type: "Pooling" bottom: "ave_mix" top: "small"
  pooling_param { pool: AVE kernel_size: 2 stride: 2 } }
layer { name: "both" type: "Concat" bottom: "strided" bottom: "small" top: "both" }
layer { name: "fc" type: "InnerProduct" bottom: "both" top: "fc"
  inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
)";

class OpenCvDnn : public TempDirTest {
 protected:
  /// Trains the net for a few steps on noise, so that no parameter and no running statistic is what
  /// it was at first, and writes its weights.
  void TrainAndSave(const NetParameter& train, const string& file) {
    SolverParameter param;
    *param.mutable_net_param() = train;
    param.set_base_lr(0.01f);
    param.set_momentum(0.9f);
    param.set_lr_policy("fixed");
    param.set_random_seed(3);
    param.set_max_iter(10);
    param.set_snapshot_after_train(false);
    SGDSolver<float> solver(param);
    solver.Solve();
    NetParameter weights;
    solver.net()->ToProto(&weights);
    WriteProtoToBinaryFile(weights, Path(file));
  }

  /// The output `prob` here and in OpenCV for the same random images.
  void Compare(const string& deploy, const string& weights, const vector<int>& shape) {
    Net<float> net(Path(deploy), TEST);
    net.CopyTrainedLayersFrom(Path(weights));
    Blob<float>* input = net.input_blobs().at(0);
    ASSERT_EQ(shape, input->shape());
    FillGaussian<float>(input, 5);
    const Blob<float>& expected = *net.Forward().at(0);
    cv::dnn::Net other = cv::dnn::readNetFromCaffe(Path(deploy), Path(weights));
    cv::Mat images(4, shape.data(), CV_32F);
    std::copy_n(input->cpu_data(), input->count(), images.ptr<float>());
    other.setInput(images);
    const cv::Mat actual = other.forward("prob");
    ASSERT_EQ(static_cast<size_t>(expected.count()), actual.total());
    float smallest = 1, largest = 0;
    for (int i = 0; i < expected.count(); ++i) {
      const float value = expected.cpu_data()[i];
      ASSERT_NEAR(value, actual.ptr<float>()[i], 1e-4) << i;
      smallest = std::min(smallest, value);
      largest = std::max(largest, value);
    }
    EXPECT_GT(largest - smallest, 0.01) << "the outputs tell nothing";
  }

  static NetParameter Deploy(const string& name, const NetParameter& layers,
                             const vector<int>& shape) {
    NetParameter net;
    net.set_name(name);
    LayerParameter* input = net.add_layer();
    input->set_name("data");
    input->set_type("Input");
    input->add_top("data");
    for (const int dim : shape) {
      if (input->input_param().shape_size() == 0) input->mutable_input_param()->add_shape();
      input->mutable_input_param()->mutable_shape(0)->add_dim(dim);
    }
    net.MergeFrom(layers);
    *net.add_layer() = LayerFromText("name: 'prob' type: 'Softmax' bottom: 'fc' top: 'prob'");
    return net;
  }
};

TEST_F(OpenCvDnn, ReadsASmallNetwork) {
  NetParameter train = NetFromText(string(R"(name: "small"
    layer { name: "noise" type: "DummyData" top: "data" top: "label"
      dummy_data_param { shape { dim: 16 dim: 3 dim: 14 dim: 14 } shape { dim: 16 }
                         data_filler { type: "gaussian" } data_filler { value: 2 } } })") +
                                   kBody);
  *train.add_layer() = LayerFromText(
      "name: 'loss' type: 'SoftmaxWithLoss' bottom: 'fc' bottom: 'label' top: 'loss'");
  TrainAndSave(train, "small.caffemodel");
  const vector<int> shape = {3, 3, 14, 14};
  WriteProtoToTextFile(Deploy("small", NetFromText(kBody), shape), Path("deploy.prototxt"));
  Compare("deploy.prototxt", "small.caffemodel", shape);
}

// OpenCV 4.6 does not know the `round_mode` with which the model takes every second pixel for its
// shortcuts; a depthwise convolution of weight 1 takes the same ones.
LayerParameter EverySecondPixel(const LayerParameter& pooling, int channels) {
  LayerParameter layer = LayerFromText(
      "type: 'Convolution' param { lr_mult: 0 decay_mult: 0 } convolution_param { kernel_size: 1 "
      "stride: 2 bias_term: false weight_filler { type: 'constant' value: 1 } }");
  layer.set_name(pooling.name());
  layer.add_bottom(pooling.bottom(0));
  layer.add_top(pooling.top(0));
  layer.mutable_convolution_param()->set_num_output(channels);
  layer.mutable_convolution_param()->set_group(channels);
  return layer;
}

TEST_F(OpenCvDnn, ReadsResNet20) {
  NetParameter train = ModelWithoutData("resnet20/train_val.prototxt", TRAIN, 4), body;
  int replaced = 0;
  for (LayerParameter& layer : *train.mutable_layer()) {
    if (layer.pooling_param().has_round_mode()) {
      layer = EverySecondPixel(layer, 16 << replaced++);
    }
    const string& top = layer.top(0);
    if (layer.type() != "DummyData" && top != "loss" && top != "accuracy") {
      *body.add_layer() = layer;
    }
  }
  EXPECT_EQ(2, replaced);
  TrainAndSave(train, "resnet20.caffemodel");
  const vector<int> shape = {2, 3, 32, 32};
  WriteProtoToTextFile(Deploy("ResNet-20", body, shape), Path("deploy.prototxt"));
  Compare("deploy.prototxt", "resnet20.caffemodel", shape);
}

}  // namespace
}  // namespace testing
}  // namespace caffe
#endif  // HAVE_OPENCV_DNN
