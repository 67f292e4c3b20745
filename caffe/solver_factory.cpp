#include "caffe/solver_factory.hpp"

#include "util/nearest_name.hpp"

namespace caffe {

template <typename Dtype>
typename SolverRegistry<Dtype>::CreatorRegistry& SolverRegistry<Dtype>::Registry() {
  static auto* const registry = new CreatorRegistry;  // never destroyed: used by static objects
  return *registry;
}

template <typename Dtype>
void SolverRegistry<Dtype>::AddCreator(const string& type, Creator creator) {
  CHECK(Registry().emplace(type, creator).second)
      << "solver type '" << type << "' is registered twice";
}

template <typename Dtype>
Solver<Dtype>* SolverRegistry<Dtype>::CreateSolver(const SolverParameter& param) {
  const auto entry = Registry().find(param.type());
  ENFORCE(entry != Registry().end()) << "unknown solver type '" << param.type() << "'"
                                     << DidYouMean(param.type(), SolverTypeList());
  return entry->second(param);
}

template <typename Dtype>
vector<string> SolverRegistry<Dtype>::SolverTypeList() {
  vector<string> types;
  for (const auto& entry : Registry()) types.push_back(entry.first);
  return types;
}

INSTANTIATE_CLASS(SolverRegistry);

}  // namespace caffe
