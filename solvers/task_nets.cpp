#include "solvers/task_nets.hpp"

#include <algorithm>
#include <boost/algorithm/string/predicate.hpp>

#include "layers/metaperturb_param.hpp"
#include "solvers/host.hpp"

namespace caffe {

namespace {

template <class DataMessage>
void SetSource(const string& source, uint32_t batch_size, DataMessage* param) {
  param->set_source(source);
  if (batch_size > 0) param->set_batch_size(batch_size);
}

// Gives the data layer its source. Layers that make their data themselves (DummyData, MemoryData,
// Input) need none.
void SetData(const char* field, const string& source, uint32_t batch_size, NetParameter* net) {
  int found = 0, in_memory = 0;
  for (LayerParameter& layer : *net->mutable_layer()) {
    if (layer.type() == "MemoryData" && batch_size > 0) {
      layer.mutable_memory_data_param()->set_batch_size(batch_size);
      ++in_memory;
    }
    if (layer.type() != "Data" && layer.type() != "ImageData") continue;
    ENFORCE(!source.empty()) << field << " is not given; layer '" << layer.name() << "' ("
                             << layer.type() << ") needs it";
    ENFORCE(++found == 1) << field << " '" << source << "': layer '" << layer.name() << "' ("
                          << layer.type()
                          << ") is a second data layer in phase TRAIN; one is expected";
    if (layer.type() == "Data") {
      SetSource(source, batch_size, layer.mutable_data_param());
    } else {
      SetSource(source, batch_size, layer.mutable_image_data_param());
    }
  }
  ENFORCE(found == 1 || source.empty())
      << field << " '" << source
      << "' is given, but the net has no Data or ImageData layer in phase TRAIN";
  ENFORCE(batch_size == 0 || found + in_memory > 0)
      << "batch_size " << batch_size
      << " is given, but the net has no Data, ImageData or MemoryData layer in phase TRAIN";
}

// The layer before `end` that wrote `blob` last, or -1.
int WriterOf(const NetParameter& net, const string& blob, int end) {
  for (int i = end - 1; i >= 0; --i) {
    const auto& tops = net.layer(i).top();
    if (std::find(tops.begin(), tops.end(), blob) != tops.end()) return i;
  }
  return -1;
}

void SetNumOutput(uint32_t num_output, NetParameter* net) {
  int at = -1;
  for (int i = net->layer_size() - 1; i >= 0; --i) {
    const string& type = net->layer(i).type();
    const bool softmax = type == "SoftmaxWithLoss";
    if (softmax || (at < 0 && boost::algorithm::ends_with(type, "Loss"))) at = i;
    ENFORCE(!softmax || num_output > 1)
        << "num_output is 1: layer '" << net->layer(at).name()
        << "' (SoftmaxWithLoss) has nothing to learn from a single class";
    if (softmax) break;
  }
  while (at >= 0 && net->layer(at).bottom_size() > 0) {
    at = WriterOf(*net, net->layer(at).bottom(0), at);
    if (at < 0) break;
    LayerParameter* layer = net->mutable_layer(at);
    if (layer->type() == "InnerProduct") {
      layer->mutable_inner_product_param()->set_num_output(num_output);
      return;
    }
    if (layer->type() == "Convolution") {
      layer->mutable_convolution_param()->set_num_output(num_output);
      return;
    }
  }
  THROW_ERROR << "num_output " << num_output
              << ": no InnerProduct or Convolution layer feeds a loss in phase TRAIN";
}

void Freeze(ParamSpec* spec) {
  spec->set_lr_mult(0);
  spec->set_decay_mult(0);
}

// Lets phi learn, and nothing else unless `with_theta`. `net` is the net that was made of
// `definition`.
template <typename Dtype>
void LearnPhi(const Net<Dtype>& net, const string& phi_param, bool with_theta,
              NetParameter* definition) {
  for (LayerParameter& layer : *definition->mutable_layer()) {
    size_t blobs = 0;
    for (size_t i = 0; i < net.layers().size(); ++i) {  // a name may be that of several layers
      if (net.layer_names()[i] == layer.name() && net.layers()[i]->type() == layer.type()) {
        blobs = net.layers()[i]->blobs().size();
      }
    }
    // Caffe's BatchNorm refuses entries for its statistics that do not say lr_mult: 0.
    while (!with_theta && static_cast<size_t>(layer.param_size()) < blobs) layer.add_param();
    for (ParamSpec& spec : *layer.mutable_param()) {
      const bool phi = spec.name() == phi_param;
      if (phi || !with_theta) Freeze(&spec);
      if (phi) spec.set_lr_mult(1);
    }
  }
}

// Whether two layers let their bottoms share gradients alike: a sum does by its coefficients.
template <typename Dtype>
bool ShareAlike(const Layer<Dtype>& one, const Layer<Dtype>& other) {
  const auto sum = [](const Layer<Dtype>& layer) {
    return layer.layer_param().eltwise_param().SerializeAsString();
  };
  return string(one.type()) == other.type() && sum(one) == sum(other);
}

}  // namespace

NetParameter ThetaDefinition(const NetParameter& net, const NetState& state,
                             const MetaTaskParameter& task, const string& phi_param) {
  NetParameter stated = net, result;
  *stated.mutable_state() = state;
  Net<float>::FilterNet(stated, &result);
  SetData("train_source", task.train_source(), task.batch_size(), &result);
  if (task.num_output() > 0) SetNumOutput(task.num_output(), &result);
  bool found = false;
  for (LayerParameter& layer : *result.mutable_layer()) {
    for (ParamSpec& spec : *layer.mutable_param()) {
      if (spec.name() != phi_param) continue;
      ENFORCE(layer.type() == "MetaPerturb")
          << "phi_param '" << phi_param << "' is a parameter of layer '" << layer.name() << "' ("
          << layer.type() << "), which is no MetaPerturb layer";
      Freeze(&spec);
      found = true;
    }
  }
  ENFORCE(found) << "the net has no parameter named '" << phi_param
                 << "' in phase TRAIN: its MetaPerturb layers need param { name: \"" << phi_param
                 << "\" }";
  return result;
}

template <typename Dtype>
NetParameter ValidationDefinition(const NetParameter& theta_definition, const Net<Dtype>& theta_net,
                                  const MetaTaskParameter& task, const string& phi_param,
                                  bool with_theta) {
  NetParameter result = theta_definition;
  SetData("val_source", task.val_source(), task.batch_size(), &result);
  for (LayerParameter& layer : *result.mutable_layer()) {
    if (layer.type() == "BatchNorm") layer.mutable_batch_norm_param()->set_use_global_stats(true);
  }
  LearnPhi(theta_net, phi_param, with_theta, &result);
  return result;
}

const NetParameter& NetFiles::Get(const string& file) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = nets_.find(file);
  if (found != nets_.end()) return found->second;
  NetParameter net;
  ReadNetParamsFromTextFileOrDie(file, &net);
  return nets_[file] = net;
}

template <typename Dtype>
string OtherImages(const Net<Dtype>& theta_net, const Net<Dtype>& val_net) {
  const auto image = [](const Blob<Dtype>& batch) {
    string extents;
    for (int axis = 1; axis < batch.num_axes(); ++axis) {
      extents += (axis > 1 ? "x" : "") + std::to_string(batch.shape(axis));
    }
    return extents;
  };
  for (size_t i = 0; i < theta_net.layers().size(); ++i) {
    if (!theta_net.bottom_ids(static_cast<int>(i)).empty()) continue;
    for (const int id : theta_net.top_ids(static_cast<int>(i))) {
      const string training = image(*theta_net.blobs()[id]);
      const string validation = image(*val_net.blob_by_name(theta_net.blob_names()[id]));
      if (training == validation) continue;
      return "val_source has images of " + validation + ", train_source of " + training;
    }
  }
  return "";
}

template <typename Dtype>
NetParameter ReplayDefinition(const NetParameter& theta_definition, const Net<Dtype>& theta_net,
                              const string& phi_param) {
  NetParameter result = theta_definition;
  for (LayerParameter& layer : *result.mutable_layer()) {
    if (layer.bottom_size() > 0 || layer.type() == "Input") continue;
    LayerParameter input;
    input.set_name(layer.name());
    input.set_type("Input");
    for (const string& top : layer.top()) {
      input.add_top(top);
      BlobShape* shape = input.mutable_input_param()->add_shape();
      for (const int extent : theta_net.blob_by_name(top)->shape()) shape->add_dim(extent);
    }
    layer = input;
  }
  LearnPhi(theta_net, phi_param, false, &result);
  return result;
}

string PhiFile(const NetParameter& definition, const string& phi_param) {
  string file;
  bool first = true;
  for (const LayerParameter& layer : definition.layer()) {
    if (layer.param_size() == 0 || layer.param(0).name() != phi_param) continue;
    const string named = metaperturb::GetParam(layer).phi();
    ENFORCE(first || named == file)
        << "layer '" << layer.name() << "' (" << layer.type() << ") loads phi from '" << named
        << "', another layer that shares it from '" << file << "'";
    file = named;
    first = false;
  }
  return file;
}

template <typename Dtype>
int PassCounter(Layer<Dtype>* layer) {
  const string type = layer->type();
  const int counter = type == "MetaPerturb" ? 3 : type == "DropBlock" ? 0 : -1;
  return counter < static_cast<int>(layer->blobs().size()) ? counter : -1;
}

template <typename Dtype>
void BorrowActivations(Net<Dtype>* net, const Net<Dtype>& lender) {
  if (net == &lender || net->layer_names() != lender.layer_names() ||
      net->blob_names() != lender.blob_names()) {
    return;
  }
  const int layers = static_cast<int>(net->layers().size());
  set<int> apart;
  for (int i = 0; i < layers; ++i) {
    const bool source = net->bottom_ids(i).empty();
    if ((!source && !ShareAlike(*net->layers()[i], *lender.layers()[i])) ||
        net->bottom_ids(i) != lender.bottom_ids(i) || net->top_ids(i) != lender.top_ids(i)) {
      return;
    }
    for (int id : net->top_ids(i)) {
      if (source || net->blob_loss_weights()[id] != 0) apart.insert(id);
    }
  }
  for (int id = 0; id < static_cast<int>(net->blobs().size()); ++id) {
    Blob<Dtype>& blob = *net->blobs()[id];
    const Blob<Dtype>& lent = *lender.blobs()[id];
    if (apart.count(id) || blob.count() == 0 || blob.shape() != lent.shape()) continue;
    blob.ShareData(lent);
    blob.ShareDiff(lent);
  }
}

#define INSTANTIATE(Dtype)                                                                       \
  template NetParameter ValidationDefinition(const NetParameter&, const Net<Dtype>&,             \
                                             const MetaTaskParameter&, const string&, bool);     \
  template string OtherImages(const Net<Dtype>&, const Net<Dtype>&);                             \
  template NetParameter ReplayDefinition(const NetParameter&, const Net<Dtype>&, const string&); \
  template int PassCounter(Layer<Dtype>*);                                                       \
  template void BorrowActivations(Net<Dtype>*, const Net<Dtype>&)
INSTANTIATE(float);
INSTANTIATE(double);

}  // namespace caffe
