#ifndef METAPERTURB_LAYERS_INSERTION_HPP_
#define METAPERTURB_LAYERS_INSERTION_HPP_

#include <map>
#include <set>
#include <string>
#include <vector>

#include "caffe/proto/caffe.pb.h"

namespace metaperturb {

// What InsertMetaPerturb and InsertRegularizer share: where layers go in a network, and how they
// get there.

/// For each layer of `net`: whether it adds blobs (Eltwise SUM) from which a later layer with
/// weights computes something: sums of predictions or of losses are no residual blocks.
std::vector<bool> ResidualAdditions(const caffe::NetParameter& net);

/// The layers behind which a perturbation of features belongs, each with the first layer of its
/// group: residual additions; without those the batch normalisations (with their Scale) of
/// convolutions; without those the convolutions. Empty without a convolution.
std::map<int, int> PerturbationPlaces(const caffe::NetParameter& net);

/// Whether a and b are there in the same phases and stages.
bool SameRules(const caffe::LayerParameter& a, const caffe::LayerParameter& b);

/// Copies a network layer by layer; the caller adds layers of its own in between, behind which a
/// blob goes on under another name.
class NetCopy {
 public:
  explicit NetCopy(const caffe::NetParameter& net);

  /// Appends a copy of this layer, wired to the present names.
  caffe::LayerParameter* Add(const caffe::LayerParameter& layer);
  /// Appends a new layer; NAME gets as many '_' as make it free. It has no bottoms and tops.
  caffe::LayerParameter* AddNew(const std::string& type, const std::string& name);
  /// From now on, whoever reads `blob` of the original network reads `name`, and layers that work
  /// in place on it do so on `name`.
  void Redirect(const std::string& blob, const std::string& name);
  /// The name under which a blob of the original network goes now.
  std::string Present(const std::string& blob) const;

  const caffe::NetParameter& net() const { return result_; }

 private:
  caffe::NetParameter result_;
  std::set<std::string> taken_;                 // names of layers and blobs
  std::map<std::string, std::string> renamed_;  // original name -> present name
};

}  // namespace metaperturb

#endif  // METAPERTURB_LAYERS_INSERTION_HPP_
