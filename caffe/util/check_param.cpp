#include "caffe/util/check_param.hpp"

#include <climits>
#include <cmath>
#include <string>
#include <vector>

#include "caffe/proto/caffe.pb.h"
#include "util/error.hpp"

namespace caffe {

namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// One value of a field; `at` is its place in a repeated one, else -1.
void CheckValue(const Message& param, const FieldDescriptor& field, int at) {
  const google::protobuf::Reflection& values = *param.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT32: {
      const uint32_t value =
          at < 0 ? values.GetUInt32(param, &field) : values.GetRepeatedUInt32(param, &field, at);
      ENFORCE(value <= INT_MAX) << field.name() << " is " << value << "; it must not exceed "
                                << INT_MAX;
      return;
    }
    case FieldDescriptor::CPPTYPE_FLOAT: {
      const float value =
          at < 0 ? values.GetFloat(param, &field) : values.GetRepeatedFloat(param, &field, at);
      ENFORCE(!std::isnan(value)) << field.name() << " is not a number";
      return;
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      CheckParam(at < 0 ? values.GetMessage(param, &field)
                        : values.GetRepeatedMessage(param, &field, at));
      return;
    default:
      return;
  }
}

}  // namespace

void CheckParam(const Message& param) {
  const auto* type = param.GetDescriptor();
  if (type == BlobProto::descriptor() || type == NetParameter::descriptor()) return;
  const google::protobuf::Reflection& values = *param.GetReflection();
  std::vector<const FieldDescriptor*> given;
  values.ListFields(param, &given);
  for (const FieldDescriptor* field : given) {
    if (!field->is_repeated()) CheckValue(param, *field, -1);
    for (int i = 0; field->is_repeated() && i < values.FieldSize(param, field); ++i) {
      CheckValue(param, *field, i);
    }
  }
}

}  // namespace caffe
