// Code as users write it for Caffe 1.0: against its public headers, by its documented calls.
// Compiled and run here with this framework and, in a build for a user's own Caffe, with that one.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "caffe/caffe.hpp"
#include "caffe/data_transformer.hpp"
#include "caffe/layers/neuron_layer.hpp"
#include "caffe/sgd_solvers.hpp"
#include "caffe/util/benchmark.hpp"
#include "caffe/util/insert_splits.hpp"
#include "caffe/util/io.hpp"
#include "caffe/util/math_functions.hpp"
#include "caffe/util/rng.hpp"
#include "google/protobuf/text_format.h"

namespace caffe {

// y = x^2, with a counter of its Forward calls.
template <typename Dtype>
class SquareForTestLayer : public NeuronLayer<Dtype> {
 public:
  explicit SquareForTestLayer(const LayerParameter& param)
      : NeuronLayer<Dtype>(param), forwards_(0) {}
  virtual void LayerSetUp(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
    NeuronLayer<Dtype>::LayerSetUp(bottom, top);
    CHECK_NE(top[0], bottom[0]) << this->type() << " Layer does not allow in-place computation.";
    this->blobs_.resize(1);
    this->blobs_[0].reset(new Blob<Dtype>(vector<int>(1, 1)));
    FillerParameter filler_param;
    filler_param.set_value(1);
    ConstantFiller<Dtype> filler(filler_param);
    filler.Fill(this->blobs_[0].get());
    this->param_propagate_down_.resize(this->blobs_.size(), true);
  }
  virtual inline const char* type() const { return "SquareForTest"; }

 protected:
  virtual void Forward_cpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
    caffe_sqr(bottom[0]->count(), bottom[0]->cpu_data(), top[0]->mutable_cpu_data());
    caffe_scal(top[0]->count(), this->blobs_[0]->cpu_data()[0], top[0]->mutable_cpu_data());
    ++forwards_;
  }
  virtual void Backward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                            const vector<Blob<Dtype>*>& bottom) {
    const int count = bottom[0]->count();
    if (this->param_propagate_down(0)) {
      squares_.ReshapeLike(*bottom[0]);
      caffe_powx(count, bottom[0]->cpu_data(), Dtype(2), squares_.mutable_cpu_data());
      this->blobs_[0]->mutable_cpu_diff()[0] +=
          caffe_cpu_dot(count, top[0]->cpu_diff(), squares_.cpu_data());
    }
    if (!propagate_down[0]) return;
    caffe_mul(count, top[0]->cpu_diff(), bottom[0]->cpu_data(), bottom[0]->mutable_cpu_diff());
    caffe_scal(count, 2 * this->blobs_[0]->cpu_data()[0], bottom[0]->mutable_cpu_diff());
  }

  Blob<Dtype> squares_;
  int forwards_;
};

INSTANTIATE_CLASS(SquareForTestLayer);
REGISTER_LAYER_CLASS(SquareForTest);

namespace {

const char kNet[] =
    "name: 'small' "
    "layer { name: 'data' type: 'Input' top: 'data' input_param { shape { dim: 2 dim: 3 dim: 8 "
    "dim: 8 } } }"
    "layer { name: 'conv' type: 'Convolution' bottom: 'data' top: 'conv' param { lr_mult: 1 }"
    "  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: 'xavier' } } }"
    "layer { name: 'square' type: 'SquareForTest' bottom: 'conv' top: 'square' }"
    "layer { name: 'pool' type: 'Pooling' bottom: 'square' top: 'pool'"
    "  pooling_param { pool: AVE kernel_size: 2 stride: 2 } }"
    "layer { name: 'fc' type: 'InnerProduct' bottom: 'pool' top: 'fc'"
    "  inner_product_param { num_output: 5 weight_filler { type: 'gaussian' std: 0.1 } } }"
    "layer { name: 'prob' type: 'Softmax' bottom: 'fc' top: 'prob' }";

NetParameter Parse(const std::string& text) {
  NetParameter param;
  CHECK(google::protobuf::TextFormat::ParseFromString(text, &param));
  return param;
}

// The classification program of Caffe's examples: reshape, fill, forward, read the probabilities.
TEST(PublicApiTest, ClassifiesWithADeployedNet) {
  Caffe::set_mode(Caffe::CPU);
  Caffe::set_random_seed(3);
  NetParameter param = Parse(kNet);
  param.mutable_state()->set_phase(TEST);
  shared_ptr<Net<float> > trained(new Net<float>(param));
  std::string file;
  MakeTempFilename(&file);
  NetParameter weights;
  trained->ToProto(&weights);
  WriteProtoToBinaryFile(weights, file);

  Net<float> net(param);
  net.CopyTrainedLayersFrom(file);
  ASSERT_EQ(1, net.num_inputs());
  ASSERT_EQ(1, net.num_outputs());
  Blob<float>* input = net.input_blobs()[0];
  input->Reshape(1, 3, input->height(), input->width());
  net.Reshape();
  float* data = input->mutable_cpu_data();
  for (int i = 0; i < input->count(); ++i) data[i] = std::sin(i * 0.1f);
  net.Forward();
  const Blob<float>* output = net.output_blobs()[0];
  ASSERT_EQ(5, output->channels());
  const std::vector<float> probabilities(output->cpu_data(), output->cpu_data() + 5);
  EXPECT_NEAR(1, std::accumulate(probabilities.begin(), probabilities.end(), 0.f), 1e-5);

  trained->input_blobs()[0]->Reshape(1, 3, 8, 8);
  trained->Reshape();
  caffe_copy(input->count(), input->cpu_data(), trained->input_blobs()[0]->mutable_cpu_data());
  float loss = 1;
  const vector<Blob<float>*>& again = trained->Forward(&loss);
  EXPECT_EQ(0, loss);
  for (int i = 0; i < 5; ++i) EXPECT_FLOAT_EQ(probabilities[i], again[0]->cpu_data()[i]);
}

TEST(PublicApiTest, ANetsPartsByName) {
  Net<double> net(Parse(kNet));
  EXPECT_EQ("small", net.name());
  EXPECT_TRUE(net.has_blob("conv"));
  EXPECT_FALSE(net.has_blob("no"));
  EXPECT_TRUE(net.has_layer("square"));
  const shared_ptr<Layer<double> > conv = net.layer_by_name("conv");
  EXPECT_STREQ("Convolution", conv->type());
  EXPECT_EQ("4 3 3 3 (108)", conv->blobs()[0]->shape_string());
  EXPECT_EQ("2 4 6 6 (288)", net.blob_by_name("square")->shape_string());
  EXPECT_EQ(net.layers().size(), net.layer_names().size());
  EXPECT_EQ(net.blobs().size(), net.blob_names().size());
  EXPECT_EQ(5, net.params().size());
  EXPECT_EQ(5, net.learnable_params().size());
  EXPECT_EQ(net.bottom_vecs().size(), net.top_vecs().size());
  EXPECT_EQ(1, net.params_lr()[0]);
}

TEST(PublicApiTest, PartOfANetForwardAndBackward) {
  Caffe::set_random_seed(5);
  NetParameter param = Parse(kNet);
  param.set_force_backward(true);
  Net<double> net(param);
  Blob<double>* input = net.input_blobs()[0];
  caffe_rng_gaussian<double>(input->count(), 0, 1, input->mutable_cpu_data());
  net.ForwardFromTo(0, 2);
  const Blob<double>& square = *net.blob_by_name("square");
  const Blob<double>& conv = *net.blob_by_name("conv");
  for (int i = 0; i < square.count(); ++i) {
    EXPECT_DOUBLE_EQ(conv.cpu_data()[i] * conv.cpu_data()[i], square.cpu_data()[i]);
  }
  net.ClearParamDiffs();
  caffe_set(square.count(), 1., net.blob_by_name("square")->mutable_cpu_diff());
  net.BackwardFromTo(2, 0);
  EXPECT_NEAR(caffe_cpu_dot(conv.count(), conv.cpu_data(), conv.cpu_data()),
              net.layer_by_name("square")->blobs()[0]->cpu_diff()[0], 1e-9);
  for (int i = 0; i < conv.count(); ++i) {
    EXPECT_DOUBLE_EQ(2 * conv.cpu_data()[i], conv.cpu_diff()[i]);
  }
}

// A layer used alone, as Caffe's own tests do.
TEST(PublicApiTest, ALayerAlone) {
  LayerParameter param;
  param.set_type("Convolution");
  ConvolutionParameter* convolution = param.mutable_convolution_param();
  convolution->add_kernel_size(3);
  convolution->add_stride(2);
  convolution->set_num_output(4);
  convolution->mutable_weight_filler()->set_type("constant");
  convolution->mutable_weight_filler()->set_value(1);
  convolution->mutable_bias_filler()->set_type("constant");
  convolution->mutable_bias_filler()->set_value(0.1);
  shared_ptr<Layer<float> > layer = LayerRegistry<float>::CreateLayer(param);
  Blob<float> bottom(2, 3, 6, 4), top;
  caffe_set(bottom.count(), 1.f, bottom.mutable_cpu_data());
  vector<Blob<float>*> bottom_vec(1, &bottom), top_vec(1, &top);
  layer->SetUp(bottom_vec, top_vec);
  EXPECT_EQ(2, top.num());
  EXPECT_EQ(4, top.channels());
  EXPECT_EQ(2, top.height());
  EXPECT_EQ(1, top.width());
  layer->Forward(bottom_vec, top_vec);
  for (int i = 0; i < top.count(); ++i) EXPECT_NEAR(27.1, top.cpu_data()[i], 1e-4);
  caffe_set(top.count(), 1.f, top.mutable_cpu_diff());
  caffe_set(layer->blobs()[0]->count(), 0.f, layer->blobs()[0]->mutable_cpu_diff());
  caffe_set(layer->blobs()[1]->count(), 0.f, layer->blobs()[1]->mutable_cpu_diff());
  layer->Backward(top_vec, vector<bool>(1, true), bottom_vec);
  EXPECT_NEAR(4, layer->blobs()[0]->cpu_diff()[0], 1e-5);  // 2 images x 2 x 1 places
}

class CountingCallback : public Solver<float>::Callback {
 public:
  CountingCallback() : starts(0), gradients(0) {}
  int starts, gradients;

 protected:
  virtual void on_start() { ++starts; }
  virtual void on_gradients_ready() { ++gradients; }
};

// A training program: a solver by its type name, steps, the net it trains, its callbacks.
TEST(PublicApiTest, TrainsWithASolver) {
  SolverParameter param;
  *param.mutable_net_param() = Parse(
      "layer { name: 'data' type: 'DummyData' top: 'x' top: 'y' dummy_data_param {"
      "  shape { dim: 4 dim: 3 } shape { dim: 4 dim: 1 }"
      "  data_filler { type: 'constant' value: 1 } data_filler { type: 'constant' value: 2 } } }"
      "layer { name: 'fc' type: 'InnerProduct' bottom: 'x' top: 'fc' param { lr_mult: 1 } param { "
      "lr_mult: 0 }"
      "  inner_product_param { num_output: 1 weight_filler { type: 'constant' value: 0.5 } } }"
      "layer { name: 'loss' type: 'EuclideanLoss' bottom: 'fc' bottom: 'y' top: 'loss' }");
  param.set_type("SGD");
  param.set_base_lr(0.1);
  param.set_lr_policy("fixed");
  param.set_max_iter(10);
  param.set_snapshot_after_train(false);
  param.set_display(0);
  shared_ptr<Solver<float> > solver(SolverRegistry<float>::CreateSolver(param));
  EXPECT_STREQ("SGD", solver->type());
  CountingCallback callback;
  solver->add_callback(&callback);
  solver->Step(1);
  EXPECT_EQ(1, solver->iter());
  EXPECT_EQ(1, callback.starts);
  EXPECT_EQ(1, callback.gradients);
  // d/dw of (3 w - 2)^2 / 2 at 0.5 is -0.5.
  EXPECT_NEAR(0.55, solver->net()->learnable_params()[0]->cpu_data()[0], 1e-6);
  solver->Solve();
  EXPECT_EQ(10, solver->iter());
  EXPECT_TRUE(dynamic_cast<SGDSolver<float>*>(solver.get()) != NULL);
  EXPECT_EQ(2, dynamic_cast<SGDSolver<float>*>(solver.get())->history().size());
}

TEST(PublicApiTest, BlobsAndTheirProto) {
  Blob<float> blob(2, 3, 4, 5);
  EXPECT_EQ(120, blob.count());
  EXPECT_EQ(60, blob.count(1));
  EXPECT_EQ(12, blob.count(1, 3));
  EXPECT_EQ(blob.offset(1, 2, 3, 4), 119);
  EXPECT_EQ(3, blob.CanonicalAxisIndex(-1));
  caffe_set(blob.count(), 2.f, blob.mutable_cpu_data());
  caffe_set(blob.count(), 0.5f, blob.mutable_cpu_diff());
  EXPECT_EQ(240, blob.asum_data());
  EXPECT_EQ(480, blob.sumsq_data());
  EXPECT_EQ(60, blob.asum_diff());
  EXPECT_EQ(30, blob.sumsq_diff());
  blob.Update();
  EXPECT_EQ(1.5f, blob.data_at(1, 2, 3, 4));
  blob.scale_data(2);
  BlobProto proto;
  blob.ToProto(&proto, true);
  Blob<float> copy, shared;
  copy.FromProto(proto);
  EXPECT_EQ(3, copy.cpu_data()[119]);
  EXPECT_EQ(0.5, copy.cpu_diff()[119]);
  EXPECT_TRUE(copy.ShapeEquals(proto));
  shared.ReshapeLike(copy);
  shared.ShareData(copy);
  EXPECT_EQ(copy.cpu_data(), shared.cpu_data());
  shared.CopyFrom(blob, true, true);
  EXPECT_EQ(0.5, shared.diff_at(vector<int>(4, 0)));
  EXPECT_EQ(2, blob.LegacyShape(0));
}

TEST(PublicApiTest, MathAndRandomNumbers) {
  Caffe::set_random_seed(1);
  const double a[] = {1, 2, 3, 4, 5, 6}, b[] = {1, 0, 0, 1, 1, 1};
  double c[4];
  caffe_cpu_gemm<double>(CblasNoTrans, CblasNoTrans, 2, 2, 3, 1., a, b, 0., c);
  EXPECT_EQ(4, c[0]);
  EXPECT_EQ(5, c[1]);
  EXPECT_EQ(10, c[2]);
  EXPECT_EQ(11, c[3]);
  caffe_cpu_scale(4, 2., c, c);
  caffe_axpy(4, -1., c, c);
  EXPECT_EQ(0, caffe_cpu_asum(4, c));
  vector<int> coins(1000);
  caffe_rng_bernoulli(1000, 0.25, coins.data());
  EXPECT_NEAR(250, std::count(coins.begin(), coins.end(), 1), 60);
  vector<int> order = {0, 1, 2, 3, 4, 5};
  shuffle(order.begin(), order.end());
  std::sort(order.begin(), order.end());
  EXPECT_EQ(5, order[5]);
  CPUTimer timer;
  timer.Start();
  timer.Stop();
  EXPECT_GE(timer.MilliSeconds(), 0);
}

TEST(PublicApiTest, TransformsADatum) {
  Datum datum;
  datum.set_channels(1);
  datum.set_height(4);
  datum.set_width(4);
  datum.set_label(7);
  std::string pixels(16, '\0');
  for (int i = 0; i < 16; ++i) pixels[i] = i;
  datum.set_data(pixels);
  TransformationParameter param;
  param.set_scale(0.5);
  param.set_crop_size(2);
  param.add_mean_value(1);
  DataTransformer<float> transformer(param, TEST);
  Blob<float> blob(1, 1, 2, 2);
  transformer.Transform(datum, &blob);
  EXPECT_EQ(2, blob.cpu_data()[0]);  // the centre's first pixel: (5 - 1) / 2
  EXPECT_EQ(4.5, blob.cpu_data()[3]);
  EXPECT_EQ(vector<int>({1, 1, 2, 2}), transformer.InferBlobShape(datum));
}

}  // namespace
}  // namespace caffe
