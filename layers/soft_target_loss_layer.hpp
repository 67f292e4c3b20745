#ifndef METAPERTURB_LAYERS_SOFT_TARGET_LOSS_LAYER_HPP_
#define METAPERTURB_LAYERS_SOFT_TARGET_LOSS_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layers/loss_layer.hpp"
#include "caffe/proto/caffe.pb.h"
#include "caffe/proto/regularizers.pb.h"
#include "caffe/util/loss_normalizer.hpp"

namespace caffe {

/// Softmax cross entropy with smoothed and mixed targets. For each position i of image n of the
/// scores x, N x K x ..., with the label l, in TRAIN:
///     t = (1 - e) (lambda onehot(l[n,i]) + (1 - lambda) onehot(l[partner,i])) + e / K
///     L = -1/norm sum_{n,i} sum_k t_k ln p_k,   p = softmax(x),   dx = (p - t) / norm
/// e is the label smoothing of Szegedy, Vanhoucke, Ioffe, Shlens, Wojna, "Rethinking the Inception
/// architecture for computer vision" (CVPR 2016, section 7); lambda and partner are those of a
/// MixupPlan, the targets of mixup (Zhang, Cisse, Dauphin, Lopez-Paz, ICLR 2018, equation 1).
/// TEST, whatever is given: e = 0, lambda = 1, and p_k not below FLT_MIN: the loss
/// of SoftmaxWithLoss.
///
/// bottoms: scores; labels, one per position; optionally a plan, N x 4. Tops: the loss; optionally
/// p.
/// soft_target_loss_param: label_smoothing = 0: e, in [0, 1]. softmax_param.axis = 1; loss_param as
/// in SoftmaxWithLoss: normalization VALID (default), FULL, BATCH_SIZE, NONE; positions whose label
/// is ignore_label, or whose partner's is where lambda < 1, do not count.
///
/// Errors: a label outside of the classes; shapes that do not fit; a plan that is none, or one with
/// another axis than 1; label_smoothing outside of [0, 1].
template <typename Dtype>
class SoftTargetLossLayer : public LossLayer<Dtype> {
 public:
  explicit SoftTargetLossLayer(const LayerParameter& param) : LossLayer<Dtype>(param) {}
  void LayerSetUp(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Reshape(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  const char* type() const override { return "SoftTargetLoss"; }
  int ExactNumBottomBlobs() const override { return -1; }
  int MinBottomBlobs() const override { return 2; }
  int MaxBottomBlobs() const override { return 3; }
  int ExactNumTopBlobs() const override { return -1; }
  int MinTopBlobs() const override { return 1; }
  int MaxTopBlobs() const override { return 2; }
  bool AllowForceBackward(int bottom_index) const override { return bottom_index == 0; }

 protected:
  void Forward_cpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Backward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;
#ifdef METAPERTURB_GPU_HALVES
  void Forward_gpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Backward_gpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;
#endif

 private:
  // The target of one position: its labels, and the first one's share; -1: does not count.
  struct Target {
    int first, second;
    Dtype lambda;
  };
  void ReshapeChecked(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top);
  void ReadTargets(const vector<Blob<Dtype>*>& bottom);
  Dtype Normalizer() const {
    return static_cast<Dtype>(
        LossNormalizer(this->layer_param_.loss_param(), outer_, inner_, valid_));
  }
  Dtype Smoothing() const {
    return this->phase_ == TEST ? 0 : param_.label_smoothing();
  }

  SoftTargetLossParameter param_;
  Blob<Dtype> prob_;
  vector<Target> targets_;
  vector<double> losses_;  // per image
  int outer_ = 0, classes_ = 0, inner_ = 0;
  int valid_ = 0;  // positions that counted in the last forward pass
};

}  // namespace caffe

#endif  // METAPERTURB_LAYERS_SOFT_TARGET_LOSS_LAYER_HPP_
