#ifndef METAPERTURB_TESTS_TESTING_MODEL_UTIL_HPP_
#define METAPERTURB_TESTS_TESTING_MODEL_UTIL_HPP_

#include <string>

#include "caffe/net.hpp"
#include "caffe/util/upgrade_proto.hpp"

namespace caffe {
namespace testing {

/// "resnet20/train_val.prototxt" of models/ as it is, for this phase.
inline NetParameter ReadModel(const string& file, Phase phase) {
  NetParameter net;
  ReadNetParamsFromTextFileOrDie(METAPERTURB_SOURCE_DIR "/models/" + file, &net);
  net.mutable_state()->set_phase(phase);
  return net;
}

/// The same, with `batch` random images in place of its data and phi drawn at random.
inline NetParameter ModelWithoutData(const string& file, Phase phase, int batch) {
  NetParameter net = ReadModel(file, phase);
  for (LayerParameter& layer : *net.mutable_layer()) {
    if (layer.has_metaperturb_param()) layer.mutable_metaperturb_param()->clear_phi();
    if (layer.type() != "Data") continue;
    layer.set_type("DummyData");
    DummyDataParameter* data = layer.mutable_dummy_data_param();
    BlobShape* images = data->add_shape();
    const int crop = static_cast<int>(layer.transform_param().crop_size());
    for (const int dim : {batch, 3, crop, crop}) images->add_dim(dim);
    data->add_shape()->add_dim(batch);
    data->add_data_filler()->set_type("gaussian");
    data->add_data_filler();
  }
  return net;
}

inline int CountLayers(const NetParameter& net, const string& type) {
  int count = 0;
  for (const LayerParameter& layer : net.layer()) count += layer.type() == type;
  return count;
}

}  // namespace testing
}  // namespace caffe

#endif  // METAPERTURB_TESTS_TESTING_MODEL_UTIL_HPP_
