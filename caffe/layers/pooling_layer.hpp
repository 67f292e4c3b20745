#ifndef CAFFE_POOLING_LAYER_HPP_
#define CAFFE_POOLING_LAYER_HPP_

#include <memory>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"
#include "caffe/util/pooling_loops.hpp"

namespace caffe {

/// Maximum or average over windows of each channel's plane.
///     MAX: y = max over the window's pixels; the gradient goes to the first maximum.
///     AVE: y = sum over the window's pixels / (window area, padding counted, but nothing beyond
///     it).
/// pooling_param: pool = MAX; kernel_size (or kernel_h, kernel_w) or global_pooling; stride = 1;
/// pad = 0; round_mode = CEIL. Output extent: round((in + 2 pad - kernel) / stride) + 1, less a
/// last window that starts beyond the image. A second top of MAX gives the maximum's index in the
/// plane.
/// N x C x H x W becomes N x C x windows down x windows across. AVE spreads dy over the pixels of
/// its window, divided as above; where windows overlap, gradients add up.
/// Errors: pool STOCHASTIC; a bottom of other than four axes; kernel or stride 0 or not given; pad
/// not smaller than the kernel; a kernel that exceeds the padded input; global_pooling with kernel,
/// pad or stride; in-place use.
template <typename Dtype>
class PoolingLayer : public Layer<Dtype> {
 public:
  explicit PoolingLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  void LayerSetUp(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Reshape(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  const char* type() const override { return "Pooling"; }
  int ExactNumBottomBlobs() const override { return 1; }
  int MinTopBlobs() const override { return 1; }
  int MaxTopBlobs() const override {
    return this->layer_param_.pooling_param().pool() == PoolingParameter_PoolMethod_MAX ? 2 : 1;
  }
  bool BackwardReadsBottom(int) const override { return false; }
  bool BackwardReadsTop() const override { return false; }
  bool BackwardKeepsTopDiff() const override { return true; }

 protected:
  void Forward_cpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Backward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;
  void Forward_gpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Backward_gpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;

 private:
  bool is_max_ = true;
  PoolingAxis rows_, columns_;
  int block_ = 1;       // channel blocks of the forward pass, which argmax_ has, too
  vector<int> argmax_;  // of MaxPoolingForward
  std::unique_ptr<SyncedMemory> gpu_argmax_;  // GPU mode: per output its index in the input plane
};

}  // namespace caffe

#endif  // CAFFE_POOLING_LAYER_HPP_
