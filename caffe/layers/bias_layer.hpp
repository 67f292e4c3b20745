#ifndef CAFFE_BIAS_LAYER_HPP_
#define CAFFE_BIAS_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"

namespace caffe {

/// y = x + beta, beta spread over the other axes.
/// bias_param: axis = 1 and num_axes = 1: the axes that beta has (num_axes -1: all from axis; 0: a
/// scalar); filler (default: 0). With a second bottom, that is beta, and no parameter. blobs: [0]
/// beta.
///     dx = dy, dbeta = sum dy
/// Errors: a beta whose shape is not that of the axes it covers; stored parameters that do not fit.
template <typename Dtype>
class BiasLayer : public Layer<Dtype> {
 public:
  explicit BiasLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  void LayerSetUp(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Reshape(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  const char* type() const override { return "Bias"; }
  int MinBottomBlobs() const override { return 1; }
  int MaxBottomBlobs() const override { return 2; }
  int ExactNumTopBlobs() const override { return 1; }

 protected:
  void Forward_cpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Backward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;
  void Forward_gpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Backward_gpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;

 private:
  const Blob<Dtype>& Beta(const vector<Blob<Dtype>*>& bottom) const {
    return bottom.size() > 1 ? *bottom[1] : *this->blobs_[0];
  }

  int axis_ = 1;
};

}  // namespace caffe

#endif  // CAFFE_BIAS_LAYER_HPP_
