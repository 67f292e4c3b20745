#include "caffe/layer_factory.hpp"

#include "util/nearest_name.hpp"

namespace caffe {

template <typename Dtype>
typename LayerRegistry<Dtype>::CreatorRegistry& LayerRegistry<Dtype>::Registry() {
  // Never destroyed: other libraries' static objects may still look layers up at exit.
  static CreatorRegistry* registry = new CreatorRegistry;
  return *registry;
}

template <typename Dtype>
void LayerRegistry<Dtype>::AddCreator(const string& type, Creator creator) {
  const bool added = Registry().emplace(type, creator).second;
  CHECK(added) << "Layer type " << type << " already registered.";
}

template <typename Dtype>
shared_ptr<Layer<Dtype>> LayerRegistry<Dtype>::CreateLayer(const LayerParameter& param) {
  const auto found = Registry().find(param.type());
  ENFORCE(found != Registry().end())
      << "unknown layer type '" << param.type() << "'" << DidYouMean(param.type(), LayerTypeList());
  return found->second(param);
}

template <typename Dtype>
vector<string> LayerRegistry<Dtype>::LayerTypeList() {
  vector<string> types;
  for (const auto& entry : Registry()) types.push_back(entry.first);
  return types;
}

INSTANTIATE_CLASS(LayerRegistry);

}  // namespace caffe
