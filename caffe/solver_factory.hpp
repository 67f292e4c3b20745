#ifndef CAFFE_SOLVER_FACTORY_H_
#define CAFFE_SOLVER_FACTORY_H_

#include <map>
#include <string>
#include <vector>

#include "caffe/common.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

template <typename Dtype>
class Solver;

/// Creates solvers by SolverParameter.type. A solver class registers itself with
///     REGISTER_SOLVER_CLASS(MyThing);     // class MyThingSolver, type: "MyThing"
/// in its source file, or a function that makes it with
///     REGISTER_SOLVER_CREATOR(MyThing, GetMyThingSolver);
template <typename Dtype>
class SolverRegistry {
 public:
  typedef Solver<Dtype>* (*Creator)(const SolverParameter&);
  typedef std::map<string, Creator> CreatorRegistry;

  static CreatorRegistry& Registry();
  static void AddCreator(const string& type, Creator creator);
  /// The caller owns the solver. Throws caffe::Error, with the nearest known name, for an unknown
  /// type.
  static Solver<Dtype>* CreateSolver(const SolverParameter& param);
  /// All registered types, sorted.
  static vector<string> SolverTypeList();

 private:
  SolverRegistry() = delete;
};

template <typename Dtype>
class SolverRegisterer {
 public:
  SolverRegisterer(const string& type, Solver<Dtype>* (*creator)(const SolverParameter&)) {
    SolverRegistry<Dtype>::AddCreator(type, creator);
  }
};

#define REGISTER_SOLVER_CREATOR(type, creator)                              \
  static SolverRegisterer<float> g_creator_f_##type(#type, creator<float>); \
  static SolverRegisterer<double> g_creator_d_##type(#type, creator<double>)

#define REGISTER_SOLVER_CLASS(type)                                     \
  template <typename Dtype>                                             \
  Solver<Dtype>* Creator_##type##Solver(const SolverParameter& param) { \
    return new type##Solver<Dtype>(param);                              \
  }                                                                     \
  REGISTER_SOLVER_CREATOR(type, Creator_##type##Solver)

}  // namespace caffe

#endif  // CAFFE_SOLVER_FACTORY_H_
