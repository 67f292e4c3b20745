#ifndef METAPERTURB_LAYERS_MIXUP_LAYER_HPP_
#define METAPERTURB_LAYERS_MIXUP_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/proto/caffe.pb.h"
#include "caffe/proto/regularizers.pb.h"
#include "layers/host.hpp"
#include "layers/mixup_plan.hpp"

namespace caffe {

/// Mixes the images of a batch, or their features, as a MixupPlan says (mixup: Zhang, Cisse,
/// Dauphin, Lopez-Paz, ICLR 2018, equation 1; in hidden layers manifold mixup: Verma et al., ICML
/// 2019). Where the plan's position is the layer's own:
///     y[n]  = lambda[n] x[n] + (1 - lambda[n]) x[partner[n]]
///     dx[n] = lambda[n] dy[n] + sum over m with partner[m] = n of (1 - lambda[m]) dy[m]
/// else, and in TEST, y = x. Several images may have one partner.
///
/// bottoms: x, N x ...; the plan, N x 4, which gets no gradient. Top: y; not in place.
/// mixup_param: position = 0. The labels are mixed by SoftTargetLoss, which takes the same plan.
///
/// Errors: shapes that do not fit; a plan with a partner outside of the batch, or with no more
/// positions than the layer's own, which would mix the labels and never the features.
template <typename Dtype>
class MixupLayer : public metaperturb::HostLayer<Dtype> {
 public:
  explicit MixupLayer(const LayerParameter& param) : metaperturb::HostLayer<Dtype>(param) {}
  void LayerSetUp(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Reshape(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  const char* type() const override { return "Mixup"; }
  int ExactNumBottomBlobs() const override { return 2; }
  int ExactNumTopBlobs() const override { return 1; }
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
  void ReadPlan(const Blob<Dtype>& plan);
#ifdef METAPERTURB_GPU_HALVES
  void PlanToGpu();
#endif

  MixupParameter param_;
  // Of the last forward pass, per image; `mixed_by`: the images that mix it in.
  vector<metaperturb::MixupEntry> plan_;
  vector<vector<int>> mixed_by_;
  metaperturb::BlockedInput<Dtype> x_in_, dy_in_;
  metaperturb::BlockedOutput<Dtype> y_out_, dx_out_;
#ifdef METAPERTURB_GPU_HALVES
  // The same on the GPU: lambda; and, one after another, the N partners, N + 1 numbers of where the
  // images that mix in image 0, 1, ... begin, and those images.
  struct {
    bool mixes = false;  // else y = x
    Blob<Dtype> lambda;
    Blob<int> images;
  } gpu_;
#endif
};

}  // namespace caffe

#endif  // METAPERTURB_LAYERS_MIXUP_LAYER_HPP_
