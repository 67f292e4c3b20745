#include "tools/metaperturb/model_layers.hpp"

namespace metaperturb {

namespace {

using caffe::LayerParameter;
using std::string;

LayerParameter* InTest(LayerParameter* layer) {
  layer->add_include()->set_phase(caffe::TEST);
  return layer;
}

}  // namespace

ModelLayers::ModelLayers(const string& name, const ModelOptions& options) : options_(options) {
  net_.set_name(name);
  AddData(caffe::TRAIN, options.train_source, options.batch);
  AddData(caffe::TEST, options.test_source, options.test_batch);
}

LayerParameter* ModelLayers::Add(const string& name, const string& type,
                                 const std::vector<string>& bottoms, const string& top) {
  LayerParameter* layer = net_.add_layer();
  layer->set_name(name);
  layer->set_type(type);
  for (const string& bottom : bottoms) layer->add_bottom(bottom);
  layer->add_top(top);
  return layer;
}

void ModelLayers::AddData(caffe::Phase phase, const string& source, int batch) {
  const bool copies = phase == caffe::TEST && options_.test_samples > 1;
  const string top = copies ? "image" : "data";
  LayerParameter* layer = Add("data", "Data", {}, top);
  layer->add_top("label");
  layer->add_include()->set_phase(phase);
  caffe::TransformationParameter* transform = layer->mutable_transform_param();
  transform->set_crop_size(options_.crop);
  transform->add_mean_value(127.5f);
  transform->set_scale(1 / 127.5f);
  if (phase == caffe::TRAIN) transform->set_mirror(true);
  caffe::DataParameter* data = layer->mutable_data_param();
  data->set_source(source);
  data->set_batch_size(batch);
  data->set_backend(caffe::DataParameter_DB_LMDB);
  if (!copies) return;
  const std::vector<string> images(options_.test_samples, top);
  InTest(Add("copies", "Concat", images, "data"))->mutable_concat_param()->set_axis(0);
}

string ModelLayers::Convolution(const string& name, const string& bottom, int outputs, int kernel,
                                int stride, int group) {
  caffe::ConvolutionParameter* param =
      Add(name, "Convolution", {bottom}, name)->mutable_convolution_param();
  param->set_num_output(outputs);
  param->set_bias_term(false);
  param->add_kernel_size(kernel);
  if (kernel > 1) param->add_pad(kernel / 2);
  if (stride > 1) param->add_stride(stride);
  if (group > 1) param->set_group(group);
  param->mutable_weight_filler()->set_type("msra");
  param->mutable_weight_filler()->set_variance_norm(
      group > 1 ? caffe::FillerParameter_VarianceNorm_FAN_IN
                : caffe::FillerParameter_VarianceNorm_FAN_OUT);
  return name;
}

string ModelLayers::Normalise(const string& bottom) {
  const string name = bottom + "_bn";
  LayerParameter* norm = Add(name, "BatchNorm", {bottom}, name);
  norm->mutable_batch_norm_param()->set_moving_average_fraction(0.9f);
  LayerParameter* scale = Add(bottom + "_scale", "Scale", {name}, name);
  scale->mutable_scale_param()->set_bias_term(true);
  return name;
}

string ModelLayers::Relu(const string& blob) {
  Add(blob + "_relu", "ReLU", {blob}, blob);
  return blob;
}

string ModelLayers::Relu6(const string& blob) {
  caffe::ClipParameter* param = Add(blob + "_relu6", "Clip", {blob}, blob)->mutable_clip_param();
  param->set_min(0);
  param->set_max(6);
  return blob;
}

string ModelLayers::ConvolutionUnit(const string& name, const string& bottom, int outputs,
                                    int kernel, int stride, int group) {
  return Relu(Normalise(Convolution(name, bottom, outputs, kernel, stride, group)));
}

string ModelLayers::Pool(const string& name, const string& bottom, int kernel, int stride,
                         int pad) {
  caffe::PoolingParameter* param = Add(name, "Pooling", {bottom}, name)->mutable_pooling_param();
  param->set_kernel_size(kernel);
  param->set_stride(stride);
  if (pad > 0) param->set_pad(pad);
  param->set_round_mode(caffe::PoolingParameter_RoundMode_FLOOR);
  return name;
}

string ModelLayers::ZeroPaddedShortcut(const string& name, const string& bottom) {
  const string small = Pool(name + "_sub", bottom, 1, 2);
  const string zero = name + "_zero";
  Add(zero, "Power", {small}, zero)->mutable_power_param()->set_scale(0);
  Add(name, "Concat", {small, zero}, name);
  return name;
}

string ModelLayers::Sum(const string& name, const string& a, const string& b) {
  Add(name, "Eltwise", {a, b}, name);
  return name;
}

string ModelLayers::AveragePool(const string& bottom) {
  caffe::PoolingParameter* pool = Add("pool", "Pooling", {bottom}, "pool")->mutable_pooling_param();
  pool->set_pool(caffe::PoolingParameter_PoolMethod_AVE);
  pool->set_global_pooling(true);
  return "pool";
}

caffe::NetParameter ModelLayers::Classify(const string& bottom) {
  caffe::InnerProductParameter* fc =
      Add("fc", "InnerProduct", {bottom}, "fc")->mutable_inner_product_param();
  fc->set_num_output(options_.classes);
  fc->mutable_weight_filler()->set_type("xavier");
  LayerParameter* loss = Add("loss", "SoftmaxWithLoss", {"fc", "label"}, "loss");
  string scores = "fc";
  if (options_.test_samples > 1) {
    loss->add_include()->set_phase(caffe::TRAIN);
    scores = MeanPrediction();
  }
  LayerParameter* accuracy = Add("accuracy", "Accuracy", {scores, "label"}, "accuracy");
  if (!options_.accuracy_in_train) InTest(accuracy);
  return net_;
}

// In TEST, every image stands test_samples times in the batch: here the copies' softmax is
// averaged.
string ModelLayers::MeanPrediction() {
  InTest(Add("prob", "Softmax", {"fc"}, "prob"));
  LayerParameter* slice = InTest(Add("samples", "Slice", {"prob"}, "sample1"));
  slice->mutable_slice_param()->set_axis(0);
  std::vector<string> samples{"sample1"};
  for (int i = 2; i <= options_.test_samples; ++i) {
    samples.push_back("sample" + std::to_string(i));
    slice->add_top(samples.back());
  }
  InTest(Add("mean_prob", "Eltwise", samples, "mean_prob"));  // the sum ranks classes alike
  return "mean_prob";
}

}  // namespace metaperturb
