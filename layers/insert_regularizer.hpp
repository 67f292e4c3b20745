#ifndef METAPERTURB_LAYERS_INSERT_REGULARIZER_HPP_
#define METAPERTURB_LAYERS_INSERT_REGULARIZER_HPP_

#include <string>
#include <vector>

#include "caffe/proto/caffe.pb.h"
#include "caffe/proto/regularizers.pb.h"
#include "layers/metaperturb_param.hpp"

namespace metaperturb {

/// The regularisers that MetaPerturb is compared with. Defaults are the papers' values; the layers'
/// headers name the papers.
struct RegularizerOptions {
  std::string type;  // one of RegularizerNames()
  caffe::DropBlockParameter dropblock;
  caffe::InformationDropoutParameter information_dropout;
  double kl_weight = 3.0 / 50000;  // loss_weight of information dropout's divergence
  double mixup_alpha = 0;          // 0: 1 for mixup, 2 for manifold mixup
  int positions = 3;               // manifold mixup: the input and the first places
  double label_smoothing = 0.1;
  caffe::CutoutParameter cutout;
  double survival_prob = 0.5;  // stochastic depth: of the last block
  bool as_param_str = !kHasField;
};

/// cutout, dropblock, information_dropout, label_smoothing, manifold_mixup, mixup,
/// stochastic_depth.
std::vector<std::string> RegularizerNames();

/// Copies `net` with a regulariser, ready to be trained; tested, it is the plain network again, or
/// (stochastic depth, information dropout with test_mean) the mean of the random one.
///  - dropblock: a DropBlock wherever MetaPerturb would go (insert_metaperturb.hpp)
///  - information_dropout: behind the ReLU that follows there, or the maximum pooling that alone
///    reads it, a 1x1 convolution makes the logits and an InformationDropout with its divergence in
///    the loss follows; a place without ReLU is passed over. test_mean is set where the network has
///    batch normalisation
///  - cutout: behind the data
///  - mixup: a MixupPlan of the labels, a Mixup behind the data, SoftTargetLoss for SoftmaxWithLoss
///  - manifold_mixup: the same with `positions` places, the data and then the first ones of
///    MetaPerturb
///  - label_smoothing: SoftTargetLoss for SoftmaxWithLoss
///  - stochastic_depth: before each residual addition, on the input with the most layers
///    with weights before it, of L in all the l-th with survival_prob 1 - l / L (1 -
///    options.survival_prob)
/// The data are the first two tops, images and labels, of the layers without bottoms; a layer that
/// is in TRAIN alone gets layers that are so, too. label_smoothing can follow mixup and the
/// reverse. Returns the number of inserted or replaced layers; throws caffe::Error for a network
/// without a place for them or with such layers already, and where the branch of an addition or
/// the labels of the data cannot be told.
int InsertRegularizer(const caffe::NetParameter& net, const RegularizerOptions& options,
                      caffe::NetParameter* out);

}  // namespace metaperturb

#endif  // METAPERTURB_LAYERS_INSERT_REGULARIZER_HPP_
