#ifndef CAFFE_LRN_LAYER_HPP_
#define CAFFE_LRN_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"

namespace caffe {

/// Local response normalisation (Krizhevsky et al., 2012):
///     y = x / s^beta,  s = k + alpha / size * sum of x^2 over a window around the element.
/// lrn_param: norm_region = ACROSS_CHANNELS: the window is local_size = 5 channels at the same
/// pixel, size = local_size; or WITHIN_CHANNEL: local_size x local_size pixels of the same channel,
/// size = local_size^2, and, as in Caffe, k = 1 whatever is given. alpha = 1, beta = 0.75, k = 1.
/// local_size is odd; windows are cut at the border, their size is not. Takes N x C x H x W.
///     dx = dy / s^beta - 2 alpha beta / size x * sum of dy y / s over the window
/// Errors: an even local_size, or 0; a bottom of other than four axes; in-place use.
template <typename Dtype>
class LRNLayer : public Layer<Dtype> {
 public:
  explicit LRNLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  void LayerSetUp(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Reshape(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  const char* type() const override { return "LRN"; }
  int ExactNumBottomBlobs() const override { return 1; }
  int ExactNumTopBlobs() const override { return 1; }

 protected:
  void Forward_cpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Backward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;
  void Forward_gpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Backward_gpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;

 private:
  /// Window sums of one image; `buffer` has its size.
  void WindowSum(const Blob<Dtype>& shape, const Dtype* in, Dtype* buffer, Dtype* out) const;

  bool across_ = true;
  int radius_ = 2;
  Dtype weight_ = 0;  // alpha / size
  Dtype beta_ = 0, k_ = 1;
  Blob<Dtype> scale_;  // s
};

}  // namespace caffe

#endif  // CAFFE_LRN_LAYER_HPP_
