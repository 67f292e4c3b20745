#ifndef METAPERTURB_SOLVERS_TASK_NETS_HPP_
#define METAPERTURB_SOLVERS_TASK_NETS_HPP_

#include <map>
#include <mutex>
#include <string>

#include "caffe/net.hpp"
#include "caffe/proto/caffe.pb.h"
#include "caffe/proto/meta_solver.pb.h"

namespace caffe {

/// The net of a task's theta pass: what of `net` is for `state` (TRAIN), with
///   the data layer's source = task.train_source, and its batch_size if the task gives one;
///   num_output of the last InnerProduct or Convolution before the loss = task.num_output, if
///   given; lr_mult = decay_mult = 0 for every parameter named `phi_param`.
/// Errors: nothing is named `phi_param`; a data layer and no source, or a source and no data layer;
/// no layer with num_output feeds the loss.
NetParameter ThetaDefinition(const NetParameter& net, const NetState& state,
                             const MetaTaskParameter& task, const string& phi_param);

/// The net of the phi pass, from that of the theta pass and the net made of it: source =
/// task.val_source, batch normalisation by its running statistics, and phi the only parameter that
/// learns, or `with_theta` one beside the others.
template <typename Dtype>
NetParameter ValidationDefinition(const NetParameter& theta_definition, const Net<Dtype>& theta_net,
                                  const MetaTaskParameter& task, const string& phi_param,
                                  bool with_theta);

/// Definitions of networks, each file read once: what a run goes on with does not change with it.
class NetFiles {
 public:
  /// Errors name the file. Threads may share it.
  const NetParameter& Get(const string& file);

 private:
  std::mutex mutex_;
  map<string, NetParameter> nets_;
};

/// How the images of the two nets' data layers differ in shape, as "val_source has images of
/// 1x28x28, train_source of 3x28x28"; "" where they do not.
template <typename Dtype>
string OtherImages(const Net<Dtype>& theta_net, const Net<Dtype>& val_net);

/// A net that repeats the theta net's passes on batches it is given: an Input layer in place of
/// every layer that makes data, and phi the only parameter that learns.
template <typename Dtype>
NetParameter ReplayDefinition(const NetParameter& theta_definition, const Net<Dtype>& theta_net,
                              const string& phi_param);

/// The file that the layers which share phi load it from; "" when they name none.
string PhiFile(const NetParameter& definition, const string& phi_param);

/// Which of a layer's blobs counts its TRAIN passes, for a strength that rises over them; -1: none.
/// Each net needs a counter of its own, else the strength would rise faster.
template <typename Dtype>
int PassCounter(Layer<Dtype>* layer);

/// Lets `net` use the memory of `lender`'s activations where both consist of the same layers, data
/// layers of any kind. The two must not run interleaved. Data and losses stay apart: their memory
/// is not rewritten by every pass.
template <typename Dtype>
void BorrowActivations(Net<Dtype>* net, const Net<Dtype>& lender);

}  // namespace caffe

#endif  // METAPERTURB_SOLVERS_TASK_NETS_HPP_
