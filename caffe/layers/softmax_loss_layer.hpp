#ifndef CAFFE_SOFTMAX_LOSS_LAYER_HPP_
#define CAFFE_SOFTMAX_LOSS_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layers/loss_layer.hpp"
#include "caffe/layers/softmax_layer.hpp"
#include "caffe/util/loss_normalizer.hpp"

namespace caffe {

/// Multinomial logistic loss of the softmax of bottom 0, N x C x ...; bottom 1 holds the class of
/// each position, from 0:
///     L = -1/norm sum_i ln p[i, label_i],   dx[i,c] = (p[i,c] - [c = label_i]) / norm
/// where a p below the smallest normal float, FLT_MIN, counts as that (at most 87.3 a position).
/// softmax_param.axis = 1; loss_param: ignore_label: positions of that label do not count;
/// normalization: VALID (default: norm is the number of positions that count), FULL (all),
/// BATCH_SIZE (N), NONE (1); the older `normalize`: true is VALID, false BATCH_SIZE. Tops: the
/// loss; optionally p.
/// Errors: a number of labels that is not that of the positions; a label outside of the classes
/// (with its image); a gradient of the labels that is asked for; in-place use.
template <typename Dtype>
class SoftmaxWithLossLayer : public LossLayer<Dtype> {
 public:
  explicit SoftmaxWithLossLayer(const LayerParameter& param) : LossLayer<Dtype>(param) {}
  void LayerSetUp(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Reshape(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  const char* type() const override { return "SoftmaxWithLoss"; }
  int ExactNumTopBlobs() const override { return -1; }
  int MinTopBlobs() const override { return 1; }
  int MaxTopBlobs() const override { return 2; }

 protected:
  void Forward_cpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Backward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;
  void Forward_gpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Backward_gpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;

 private:
  Dtype Normalizer(int valid) const {
    return static_cast<Dtype>(
        LossNormalizer(this->layer_param_.loss_param(), outer_, inner_, valid));
  }
  bool Ignored(int label) const {
    const LossParameter& param = this->layer_param_.loss_param();
    return param.has_ignore_label() && label == param.ignore_label();
  }

  shared_ptr<SoftmaxLayer<Dtype>> softmax_;
  Blob<Dtype> prob_;
  int axis_ = 1, outer_ = 0, classes_ = 0, inner_ = 0;
  int valid_ = 0;  // positions that counted in the last forward pass
};

}  // namespace caffe

#endif  // CAFFE_SOFTMAX_LOSS_LAYER_HPP_
