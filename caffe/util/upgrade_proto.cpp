#include "caffe/util/upgrade_proto.hpp"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <filesystem>

#include "caffe/util/io.hpp"

namespace caffe {

namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// Moves `from`'s field into `to`'s field of the same name and type.
void CopyField(const Message& from, const FieldDescriptor* source, Message* to) {
  const FieldDescriptor* target = to->GetDescriptor()->FindFieldByName(source->name());
  if (!target || target->cpp_type() != source->cpp_type() ||
      target->is_repeated() != source->is_repeated() ||
      target->message_type() != source->message_type()) {
    return;
  }
  const Reflection* get = from.GetReflection();
  const Reflection* set = to->GetReflection();
  const bool message = source->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
  if (!source->is_repeated()) {
    switch (source->cpp_type()) {
      case FieldDescriptor::CPPTYPE_MESSAGE:
        set->MutableMessage(to, target)->CopyFrom(get->GetMessage(from, source));
        break;
      case FieldDescriptor::CPPTYPE_STRING:
        set->SetString(to, target, get->GetString(from, source));
        break;
      case FieldDescriptor::CPPTYPE_FLOAT:
        set->SetFloat(to, target, get->GetFloat(from, source));
        break;
      case FieldDescriptor::CPPTYPE_UINT32:
        set->SetUInt32(to, target, get->GetUInt32(from, source));
        break;
      case FieldDescriptor::CPPTYPE_BOOL:
        set->SetBool(to, target, get->GetBool(from, source));
        break;
      default:
        LOG(FATAL) << "field " << source->full_name() << " is of a type not handled here";
    }
    return;
  }
  for (int i = 0; i < get->FieldSize(from, source); ++i) {
    if (message) {
      set->AddMessage(to, target)->CopyFrom(get->GetRepeatedMessage(from, source, i));
    } else if (source->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
      set->AddString(to, target, get->GetRepeatedString(from, source, i));
    } else {
      CHECK_EQ(source->cpp_type(), FieldDescriptor::CPPTYPE_FLOAT) << source->full_name();
      set->AddFloat(to, target, get->GetRepeatedFloat(from, source, i));
    }
  }
}

vector<const FieldDescriptor*> FieldsSet(const Message& message) {
  vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  return fields;
}

bool IsTransformField(const FieldDescriptor* field) {
  static const set<string> names = {"scale", "mean_file", "crop_size", "mirror"};
  return names.count(field->name()) > 0;
}

// The message of a V1 data layer that may hold transformation fields, or null.
const Message* DataMessage(const V1LayerParameter& layer) {
  switch (layer.type()) {
    case V1LayerParameter::DATA:
      return &layer.data_param();
    case V1LayerParameter::IMAGE_DATA:
      return &layer.image_data_param();
    case V1LayerParameter::WINDOW_DATA:
      return &layer.window_data_param();
    default:
      return nullptr;
  }
}

Message* MutableDataMessage(V1LayerParameter* layer) {
  switch (layer->type()) {
    case V1LayerParameter::DATA:
      return layer->mutable_data_param();
    case V1LayerParameter::IMAGE_DATA:
      return layer->mutable_image_data_param();
    case V1LayerParameter::WINDOW_DATA:
      return layer->mutable_window_data_param();
    default:
      return nullptr;
  }
}

// INNER_PRODUCT -> InnerProduct, and what does not follow that rule.
map<int, string> LayerTypeNames() {
  static const map<string, string> irregular = {{"NONE", ""},
                                                {"ABSVAL", "AbsVal"},
                                                {"ARGMAX", "ArgMax"},
                                                {"BNLL", "BNLL"},
                                                {"LRN", "LRN"},
                                                {"MVN", "MVN"},
                                                {"RELU", "ReLU"},
                                                {"TANH", "TanH"},
                                                {"HDF5_DATA", "HDF5Data"},
                                                {"HDF5_OUTPUT", "HDF5Output"},
                                                {"SOFTMAX_LOSS", "SoftmaxWithLoss"}};
  map<int, string> names;
  const auto* types = V1LayerParameter::LayerType_descriptor();
  for (int i = 0; i < types->value_count(); ++i) {
    const string& old = types->value(i)->name();
    string& name = names[types->value(i)->number()];
    const auto known = irregular.find(old);
    if (known != irregular.end()) {
      name = known->second;
      continue;
    }
    bool capital = true;
    for (const char c : old) {
      if (c != '_') name += capital ? c : static_cast<char>(std::tolower(c));
      capital = c == '_';
    }
  }
  return names;
}

ParamSpec* Param(LayerParameter* layer, int i) {
  while (layer->param_size() <= i) layer->add_param();
  return layer->mutable_param(i);
}

}  // namespace

void ReadNetParamsFromTextFileOrDie(const string& param_file, NetParameter* param) {
  ReadProtoFromTextFileOrDie(param_file, param);
  UpgradeNetAsNeeded(param_file, param);
}

void ReadNetParamsFromBinaryFileOrDie(const string& param_file, NetParameter* param) {
  ReadProtoFromBinaryFileOrDie(param_file, param);
  UpgradeNetAsNeeded(param_file, param);
}

void ReadSolverParamsFromTextFileOrDie(const string& param_file, SolverParameter* param) {
  ReadProtoFromTextFileOrDie(param_file, param);
  UpgradeSolverAsNeeded(param_file, param);
  namespace fs = std::filesystem;
  std::error_code ignored;
  if (!param->has_snapshot_prefix() || param->snapshot_prefix().empty()) {
    param->set_snapshot_prefix(fs::path(param_file).replace_extension().string());
  } else if (fs::is_directory(param->snapshot_prefix(), ignored)) {
    const fs::path directory = param->snapshot_prefix();
    param->set_snapshot_prefix((directory / fs::path(param_file).stem()).string());
  }
}

bool NetNeedsUpgrade(const NetParameter& net_param) {
  return NetNeedsV0ToV1Upgrade(net_param) || NetNeedsV1ToV2Upgrade(net_param) ||
         NetNeedsDataUpgrade(net_param) || NetNeedsInputUpgrade(net_param) ||
         NetNeedsBatchNormUpgrade(net_param);
}

bool UpgradeNetAsNeeded(const string& param_file, NetParameter* param) {
  if (!NetNeedsUpgrade(*param)) return true;
  try {
    ENFORCE(!NetNeedsV0ToV1Upgrade(*param))
        << "layers in the form 'layers { layer { ... } }' of 2013 are not supported; upgrade the "
           "file with BVLC Caffe's upgrade_net_proto tools";
    if (NetNeedsDataUpgrade(*param)) UpgradeNetDataTransformation(param);
    if (NetNeedsV1ToV2Upgrade(*param)) {
      const NetParameter original = *param;
      UpgradeV1Net(original, param);
    }
    if (NetNeedsInputUpgrade(*param)) UpgradeNetInput(param);
    if (NetNeedsBatchNormUpgrade(*param)) UpgradeNetBatchNorm(param);
  } catch (const Error& e) {
    throw Error(param_file + ": " + e.what());
  }
  VLOG(1) << param_file << ": fields of older Caffe versions were converted";
  return true;
}

bool NetNeedsV0ToV1Upgrade(const NetParameter& net_param) {
  const auto& layers = net_param.layers();
  return std::any_of(layers.begin(), layers.end(), [](const auto& l) { return l.has_layer(); });
}

bool NetNeedsDataUpgrade(const NetParameter& net_param) {
  for (const V1LayerParameter& layer : net_param.layers()) {
    const Message* data = DataMessage(layer);
    if (!data) continue;
    const auto fields = FieldsSet(*data);
    if (std::any_of(fields.begin(), fields.end(), IsTransformField)) return true;
  }
  return false;
}

void UpgradeNetDataTransformation(NetParameter* net_param) {
  for (V1LayerParameter& layer : *net_param->mutable_layers()) {
    if (!DataMessage(layer)) continue;
    Message* data = MutableDataMessage(&layer);
    for (const FieldDescriptor* field : FieldsSet(*data)) {
      if (!IsTransformField(field)) continue;
      CopyField(*data, field, layer.mutable_transform_param());
      data->GetReflection()->ClearField(data, field);
    }
  }
}

bool NetNeedsV1ToV2Upgrade(const NetParameter& net_param) {
  return net_param.layers_size() > 0;
}

bool UpgradeV1Net(const NetParameter& v1_net_param, NetParameter* net_param) {
  ENFORCE(v1_net_param.layer_size() == 0) << "has both 'layer' and 'layers' fields; use 'layer' "
                                             "with types like \"Convolution\" for all";
  *net_param = v1_net_param;
  net_param->clear_layers();
  for (const V1LayerParameter& layer : v1_net_param.layers()) {
    UpgradeV1LayerParameter(layer, net_param->add_layer());
  }
  return true;
}

bool UpgradeV1LayerParameter(const V1LayerParameter& v1_layer_param, LayerParameter* layer_param) {
  layer_param->Clear();
  // All but type, param and the per-parameter lists has the same name in both messages.
  for (const FieldDescriptor* field : FieldsSet(v1_layer_param)) {
    if (field->name() != "type" && field->name() != "param") {
      CopyField(v1_layer_param, field, layer_param);
    }
  }
  if (v1_layer_param.has_type()) {
    layer_param->set_type(UpgradeV1LayerType(v1_layer_param.type()));
  }
  for (int i = 0; i < v1_layer_param.param_size(); ++i) {
    Param(layer_param, i)->set_name(v1_layer_param.param(i));
  }
  for (int i = 0; i < v1_layer_param.blob_share_mode_size(); ++i) {
    const bool strict = v1_layer_param.blob_share_mode(i) == V1LayerParameter::STRICT;
    Param(layer_param, i)->set_share_mode(strict ? ParamSpec::STRICT : ParamSpec::PERMISSIVE);
  }
  for (int i = 0; i < v1_layer_param.blobs_lr_size(); ++i) {
    Param(layer_param, i)->set_lr_mult(v1_layer_param.blobs_lr(i));
  }
  for (int i = 0; i < v1_layer_param.weight_decay_size(); ++i) {
    Param(layer_param, i)->set_decay_mult(v1_layer_param.weight_decay(i));
  }
  return true;
}

const char* UpgradeV1LayerType(V1LayerParameter_LayerType type) {
  static const auto* const names = new map<int, string>(LayerTypeNames());
  const auto name = names->find(type);
  ENFORCE(name != names->end()) << "unknown layer type " << static_cast<int>(type);
  return name->second.c_str();
}

bool NetNeedsInputUpgrade(const NetParameter& net_param) {
  return net_param.input_size() > 0;
}

void UpgradeNetInput(NetParameter* net_param) {
  const int inputs = net_param->input_size();
  const int shapes = net_param->input_shape_size();
  const int dims = net_param->input_dim_size();
  // A .caffemodel may name inputs without shapes: it needs no layer for them.
  if (shapes > 0 || dims > 0) {
    ENFORCE(shapes > 0 ? shapes == inputs : dims == 4 * inputs)
        << inputs << " 'input' fields need as many 'input_shape' or four times as many 'input_dim'"
        << " fields, not " << shapes << " and " << dims;
    LayerParameter layer;
    layer.set_name("input");
    layer.set_type("Input");
    for (int i = 0; i < inputs; ++i) {
      layer.add_top(net_param->input(i));
      BlobShape* shape = layer.mutable_input_param()->add_shape();
      if (shapes > 0) {
        *shape = net_param->input_shape(i);
      } else {
        for (int axis = 0; axis < 4; ++axis) shape->add_dim(net_param->input_dim(4 * i + axis));
      }
    }
    google::protobuf::RepeatedPtrField<LayerParameter> layers;
    *layers.Add() = layer;
    layers.MergeFrom(net_param->layer());
    net_param->mutable_layer()->Swap(&layers);
  }
  net_param->clear_input();
  net_param->clear_input_shape();
  net_param->clear_input_dim();
}

namespace {
bool HasThreeStatisticsParams(const LayerParameter& layer) {
  return layer.type() == "BatchNorm" && layer.param_size() == 3;
}
}  // namespace

bool NetNeedsBatchNormUpgrade(const NetParameter& net_param) {
  const auto& layers = net_param.layer();
  return std::any_of(layers.begin(), layers.end(), HasThreeStatisticsParams);
}

void UpgradeNetBatchNorm(NetParameter* net_param) {
  for (LayerParameter& layer : *net_param->mutable_layer()) {
    if (!HasThreeStatisticsParams(layer)) continue;
    for (ParamSpec& param : *layer.mutable_param()) {
      param.set_lr_mult(0);
      param.set_decay_mult(0);
    }
  }
}

bool SolverNeedsTypeUpgrade(const SolverParameter& solver_param) {
  return solver_param.has_solver_type();
}

bool UpgradeSolverType(SolverParameter* solver_param) {
  if (!solver_param->has_solver_type()) return false;
  ENFORCE(!solver_param->has_type()) << "sets both 'solver_type' (old) and 'type'; use 'type'";
  static const char* const names[] = {"SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"};
  solver_param->set_type(names[solver_param->solver_type()]);
  solver_param->clear_solver_type();
  return true;
}

bool UpgradeSolverAsNeeded(const string& param_file, SolverParameter* param) {
  try {
    UpgradeSolverType(param);
  } catch (const Error& e) {
    throw Error(param_file + ": " + e.what());
  }
  return true;
}

}  // namespace caffe
