#ifndef METAPERTURB_LAYERS_CUTOUT_LAYER_HPP_
#define METAPERTURB_LAYERS_CUTOUT_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/proto/caffe.pb.h"
#include "caffe/proto/regularizers.pb.h"
#include "layers/host.hpp"

namespace caffe {

/// Cutout (DeVries, Taylor, "Improved regularization of convolutional neural networks with cutout",
/// arXiv 1708.04552, section 3.2): in TRAIN a square of zeros per image, over all channels,
///     y[n,c,h,w] = 0 where top <= h < top + length and left <= w < left + length, else x[n,c,h,w]
///     top = centre_h - length / 2 (rounded down), left = centre_w - length / 2
/// with the centre uniform over the pixels of the image, so that the square may stand out over its
/// border. TEST: y = x. Zero is what the data layer's mean subtraction makes the mean.
///
/// bottom: N x C x H x W; top: the same; may work in place.
/// cutout_param: length = 16, the authors' choice for CIFAR-10.
///
/// Errors: length 0; a bottom of other than four axes.
template <typename Dtype>
class CutoutLayer : public metaperturb::HostLayer<Dtype> {
 public:
  explicit CutoutLayer(const LayerParameter& param) : metaperturb::HostLayer<Dtype>(param) {}
  void LayerSetUp(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Reshape(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  const char* type() const override { return "Cutout"; }
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
  void Cut(const Blob<Dtype>& shape, const Dtype* from, Dtype* to) const;
#ifdef METAPERTURB_GPU_HALVES
  void CutOnGpu(const Blob<Dtype>& shape, const Dtype* from, Dtype* to) const;
#endif

  CutoutParameter param_;
};

}  // namespace caffe

#endif  // METAPERTURB_LAYERS_CUTOUT_LAYER_HPP_
