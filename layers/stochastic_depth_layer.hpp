#ifndef METAPERTURB_LAYERS_STOCHASTIC_DEPTH_LAYER_HPP_
#define METAPERTURB_LAYERS_STOCHASTIC_DEPTH_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/proto/caffe.pb.h"
#include "caffe/proto/regularizers.pb.h"
#include "layers/host.hpp"

namespace caffe {

/// Stochastic depth (Huang, Sun, Liu, Sedra, Weinberger, "Deep networks with stochastic depth",
/// ECCV 2016, equations 2 and 5): the last layer of a residual branch, before the addition.
///     TRAIN: y = b x,  b = 1 with probability p, else 0, drawn once per pass or per image
///     TEST:  y = p x
/// The branch is computed in either case; the layer does not save its time.
///
/// bottom: x, N x ...; top: y; may work in place.
/// stochastic_depth_param: survival_prob = 0.5: p; the paper lets it fall linearly over the L
/// blocks, p_l = 1 - l / L (1 - p_L), p_L = 0.5 (equation 4); per_image = false: one b for the
/// batch, as in the paper.
///
/// Errors: survival_prob outside of (0, 1].
template <typename Dtype>
class StochasticDepthLayer : public metaperturb::HostLayer<Dtype> {
 public:
  explicit StochasticDepthLayer(const LayerParameter& param)
      : metaperturb::HostLayer<Dtype>(param) {}
  void LayerSetUp(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Reshape(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  const char* type() const override { return "StochasticDepth"; }
  int ExactNumBottomBlobs() const override { return 1; }
  int ExactNumTopBlobs() const override { return 1; }

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
  void Multiply(const ChannelBlocks& layout, const Dtype* from, Dtype* to) const;
#ifdef METAPERTURB_GPU_HALVES
  void MultiplyOnGpu(const Blob<Dtype>& shape, const Dtype* from, Dtype* to) const;
#endif

  StochasticDepthParameter param_;
  vector<Dtype> factors_;  // per image, of the last forward pass
  metaperturb::BlockedInput<Dtype> x_in_, dy_in_;
  metaperturb::BlockedOutput<Dtype> y_out_, dx_out_;
#ifdef METAPERTURB_GPU_HALVES
  Blob<Dtype> gpu_factors_;  // the same on the GPU
#endif
};

}  // namespace caffe

#endif  // METAPERTURB_LAYERS_STOCHASTIC_DEPTH_LAYER_HPP_
