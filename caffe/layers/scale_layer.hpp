#ifndef CAFFE_SCALE_LAYER_HPP_
#define CAFFE_SCALE_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"

namespace caffe {

/// y = gamma x (+ beta), gamma and beta spread over the other axes.
/// scale_param: axis = 1 and num_axes = 1: the axes that gamma has (num_axes -1: all from axis; 0:
/// a scalar); filler (default: 1); bias_term = false; bias_filler. With a second bottom, that is
/// gamma, and no parameter. blobs: [0] gamma, [1] beta.
///     dx = gamma dy, dgamma = sum dy x, dbeta = sum dy
/// Errors: a gamma whose shape is not that of the axes it covers; stored parameters that do not
/// fit.
template <typename Dtype>
class ScaleLayer : public Layer<Dtype> {
 public:
  explicit ScaleLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  void LayerSetUp(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Reshape(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  const char* type() const override { return "Scale"; }
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
  const Blob<Dtype>& Gamma(const vector<Blob<Dtype>*>& bottom) const {
    return bottom.size() > 1 ? *bottom[1] : *this->blobs_[0];
  }
  Dtype* BetaDiff();

  int axis_ = 1;
  int block_ = 1;
  int beta_ = -1;         // index of beta in blobs_
  Blob<Dtype> original_;  // copy of x, kept only when working in place
};

}  // namespace caffe

#endif  // CAFFE_SCALE_LAYER_HPP_
