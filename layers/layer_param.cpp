#include "layers/layer_param.hpp"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/text_format.h>

#include <string>

#include "util/error.hpp"
#include "util/first_complaint.hpp"

namespace metaperturb {

using caffe::LayerParameter;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::TextFormat;
using std::string;

namespace {

// The field of LayerParameter with this type; null where this Caffe has none.
const FieldDescriptor* FieldOf(const Message& param) {
  const google::protobuf::Descriptor* layer = LayerParameter::descriptor();
  for (int i = 0; i < layer->field_count(); ++i) {
    if (layer->field(i)->message_type() == param.GetDescriptor()) return layer->field(i);
  }
  return nullptr;
}

}  // namespace

void ReadLayerParam(const LayerParameter& layer, Message* param) {
  const string& text = layer.python_param().param_str();
  const FieldDescriptor* field = FieldOf(*param);
  const google::protobuf::Reflection* reflection = layer.GetReflection();
  if (field) {
    ENFORCE(text.empty() || !reflection->HasField(layer, field))
        << field->name() << " and python_param.param_str are both given";
    if (text.empty()) {
      param->CopyFrom(reflection->GetMessage(layer, field));
      return;
    }
  }
  caffe::FirstComplaint complaint;
  TextFormat::Parser parser;
  parser.RecordErrorsTo(&complaint);
  ENFORCE(parser.ParseFromString(text, param))
      << "python_param.param_str \"" << text << "\" is no " << param->GetDescriptor()->name()
      << ": character " << complaint.column() << ": " << complaint.message();
}

void WriteLayerParam(const Message& param, bool as_param_str, LayerParameter* layer) {
  if (as_param_str) {
    if (param.ByteSizeLong() == 0) return;
    TextFormat::Printer printer;
    printer.SetSingleLineMode(true);
    string text;
    ENFORCE(printer.PrintToString(param, &text)) << "the parameters cannot be written as text";
    text.erase(text.find_last_not_of(' ') + 1);
    layer->mutable_python_param()->set_param_str(text);
    return;
  }
  const FieldDescriptor* field = FieldOf(param);
  ENFORCE(field) << "this Caffe's LayerParameter has no " << param.GetDescriptor()->name();
  layer->GetReflection()->MutableMessage(layer, field)->CopyFrom(param);
}

}  // namespace metaperturb
