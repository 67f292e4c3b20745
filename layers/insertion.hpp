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
/// convolutions; without those the convolutions, but for those that make the logits of an
/// InformationDropout. What goes into a loss, a Softmax or an Accuracy without another layer with
/// weights in between makes predictions, not features, and is left alone. Empty where that leaves
/// no convolution. Where TRAIN and TEST each have their own layer for a blob, the place is behind
/// the second of them.
std::map<int, int> PerturbationPlaces(const caffe::NetParameter& net);

/// Whether a and b are there in the same phases and stages.
bool SameRules(const caffe::LayerParameter& a, const caffe::LayerParameter& b);

/// Adds these bottoms and this top.
void Connect(caffe::LayerParameter* layer, const std::vector<std::string>& bottoms,
             const std::string& top);

/// Gives `to` the phases and stages of `from`.
void CopyRules(const caffe::LayerParameter& from, caffe::LayerParameter* to);

/// Copies a network, which outlives this, layer by layer; the caller adds layers of its own in
/// between, behind which a blob goes on under another name.
class NetCopy {
 public:
  explicit NetCopy(const caffe::NetParameter& net);

  /// Appends a copy of this layer, wired to the present names.
  caffe::LayerParameter* Add(const caffe::LayerParameter& layer);
  /// Appends a new layer; NAME gets as many '_' as make it free. It has no bottoms and tops.
  caffe::LayerParameter* AddNew(const std::string& type, const std::string& name);
  /// Appends a new layer, named as layer `place` of the original network with `suffix`, which reads
  /// that one's top and then `more_bottoms`, and whose top everyone behind it reads in its place.
  /// `first` begins the group that `place` ends (PerturbationPlaces); where both are there in the
  /// same phases, so is the new layer.
  caffe::LayerParameter* AddBehind(int place, int first, const std::string& type,
                                   const std::string& suffix,
                                   const std::vector<std::string>& more_bottoms = {});
  /// From now on, whoever reads `blob` of the original network reads `name`, and layers that work
  /// in place on it do so on `name`.
  void Redirect(const std::string& blob, const std::string& name);
  /// The name under which a blob of the original network goes now.
  std::string Present(const std::string& blob) const;

  const caffe::NetParameter& net() const { return result_; }

 private:
  const caffe::NetParameter& original_;
  caffe::NetParameter result_;
  std::set<std::string> taken_;                 // names of layers and blobs
  std::map<std::string, std::string> renamed_;  // original name -> present name
};

}  // namespace metaperturb

#endif  // METAPERTURB_LAYERS_INSERTION_HPP_
