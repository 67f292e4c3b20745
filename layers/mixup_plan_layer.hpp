#ifndef METAPERTURB_LAYERS_MIXUP_PLAN_LAYER_HPP_
#define METAPERTURB_LAYERS_MIXUP_PLAN_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/proto/caffe.pb.h"
#include "caffe/proto/regularizers.pb.h"
#include "layers/host.hpp"

namespace caffe {

/// Draws how a batch is mixed, for the layers Mixup and SoftTargetLoss (mixup: Zhang, Cisse,
/// Dauphin, Lopez-Paz, ICLR 2018; manifold mixup: Verma et al., ICML 2019). In TRAIN:
///     partner    a random permutation of the batch
///     lambda     ~ Beta(alpha, alpha), one per batch as in both papers, or one per image
///     position   one of `positions` places per batch, each as likely (manifold mixup's set S)
/// In TEST: each image itself, lambda = 1, position 0.
///
/// bottom: the labels, or the data; its first axis is the batch. Top: N x 4, per image
/// (partner, lambda, position, positions). Neither gets a gradient.
///
/// mixup_plan_param: alpha = 1 (mixup on CIFAR has 1, manifold mixup 2);
/// positions = 1; per_image = false.
///
/// Errors: alpha not above 0 or infinite; positions 0.
template <typename Dtype>
class MixupPlanLayer : public metaperturb::HostLayer<Dtype> {
 public:
  explicit MixupPlanLayer(const LayerParameter& param) : metaperturb::HostLayer<Dtype>(param) {}
  void LayerSetUp(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Reshape(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  const char* type() const override { return "MixupPlan"; }
  int ExactNumBottomBlobs() const override { return 1; }
  int ExactNumTopBlobs() const override { return 1; }
  bool AllowForceBackward(int) const override { return false; }

 protected:
  void Forward_cpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Backward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;

 private:
  MixupPlanParameter param_;
  vector<int> partners_;
};

}  // namespace caffe

#endif  // METAPERTURB_LAYERS_MIXUP_PLAN_LAYER_HPP_
