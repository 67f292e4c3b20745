#include "layers/metaperturb_param.hpp"

#include <google/protobuf/text_format.h>

#include <string>

#include "util/error.hpp"
#include "util/first_complaint.hpp"

namespace metaperturb {

using caffe::LayerParameter;
using caffe::MetaPerturbParameter;
using google::protobuf::TextFormat;
using std::string;

namespace {

MetaPerturbParameter FromParamStr(const string& text) {
  MetaPerturbParameter param;
  caffe::FirstComplaint complaint;
  TextFormat::Parser parser;
  parser.RecordErrorsTo(&complaint);
  ENFORCE(parser.ParseFromString(text, &param))
      << "python_param.param_str \"" << text << "\" is no MetaPerturbParameter: character "
      << complaint.column() << ": " << complaint.message();
  return param;
}

}  // namespace

MetaPerturbParameter GetParam(const LayerParameter& layer) {
  const string& text = layer.python_param().param_str();
#ifdef METAPERTURB_HAS_FIELD
  ENFORCE(text.empty() || !layer.has_metaperturb_param())
      << "metaperturb_param and python_param.param_str are both given";
  if (text.empty()) return layer.metaperturb_param();
#endif
  return FromParamStr(text);
}

void SetParam(const MetaPerturbParameter& param, bool as_param_str, LayerParameter* layer) {
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
#ifdef METAPERTURB_HAS_FIELD
  *layer->mutable_metaperturb_param() = param;
#else
  THROW_ERROR << "this Caffe has no metaperturb_param";
#endif
}

}  // namespace metaperturb
