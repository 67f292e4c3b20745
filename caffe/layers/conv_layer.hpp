#ifndef CAFFE_CONV_LAYER_HPP_
#define CAFFE_CONV_LAYER_HPP_

#include <memory>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/layers/float_convolution.hpp"
#include "caffe/layers/gpu_convolution.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// 2-D convolution (a cross-correlation, as everywhere in deep learning):
///     y[n,o,i,j] = b[o] + sum_{c,u,v} w[o,c,u,v] x[n, c, i s_h - p_h + u d_h, j s_w - p_w + v d_w]
/// with x zero outside, c over the input channels of o's group. Output extent per axis:
///     floor((in + 2 pad - dilation (kernel - 1) - 1) / stride) + 1.
///
/// convolution_param: num_output; kernel_size, pad = 0, stride = 1, dilation = 1 (one value, or
/// height and width; or the _h and _w fields); group = 1; bias_term = true; weight_filler,
/// bias_filler. blobs: [0] weights num_output x (channels / group) x kernel_h x kernel_w, [1] bias
/// num_output. Any number of bottoms of one shape, each with its top.
///
/// float runs in channel blocks: 3x3 convolutions of stride 1 by Winograd's algorithm, others, and
/// with `engine: CAFFE` all, by oneDNN's direct sum. double, and nothing else, by im2col and BLAS.
/// In GPU mode float is computed in TF32: 3x3 ones of few channels by kernels for tensor cores,
/// depthwise ones by kernels of theirs, others by cuDNN. double, with `engine: CAFFE` all but the
/// depthwise, and what cuDNN has no algorithm for, by im2col and cuBLAS. With `engine: CUDNN` all
/// by cuDNN, its algorithms measured at the first pass; Error where it is not there.
///     db[o] = sum dy[n,o,i,j],   dw[o,c,u,v] = sum dy[n,o,i,j] x[n, c, i s_h - p_h + u d_h, ...],
///     dx: the transposed convolution of dy with w.
/// Errors: a bottom of other than four axes, or of other channels than before; num_output, kernel,
/// stride or dilation 0; two ways to give one of them; a group that does not divide the channels; a
/// kernel that exceeds the padded input; bottoms of several shapes; stored parameters that do not
/// fit.
template <typename Dtype>
class ConvolutionLayer : public Layer<Dtype> {
 public:
  explicit ConvolutionLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  void LayerSetUp(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Reshape(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  const char* type() const override { return "Convolution"; }
  int MinBottomBlobs() const override { return 1; }
  int MinTopBlobs() const override { return 1; }
  bool EqualNumBottomTopBlobs() const override { return true; }
  bool BackwardReadsBottom(int) const override { return this->param_propagate_down(0); }
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
  void ForwardPlain(const Blob<Dtype>& bottom, Blob<Dtype>* top);
  void BackwardPlain(const Blob<Dtype>& top, bool to_bottom, Blob<Dtype>* bottom);
  const Dtype* Columns(const Dtype* image);
  /// The float path for the geometry in force.
  FloatConvolution* Fast();
  /// That of GPU mode for the geometry in force.
  GpuConvolution<Dtype>& OnGpu();

  ConvGeometry geometry_;
  std::unique_ptr<FloatConvolution> fast_;  // float in CPU mode alone; see Fast
  std::unique_ptr<GpuConvolution<Dtype>> on_gpu_;
  Blob<Dtype> columns_;  // of im2col: (channels kernel_h kernel_w) x (out_h out_w)
};

}  // namespace caffe

#endif  // CAFFE_CONV_LAYER_HPP_
