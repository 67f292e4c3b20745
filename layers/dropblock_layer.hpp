#ifndef METAPERTURB_LAYERS_DROPBLOCK_LAYER_HPP_
#define METAPERTURB_LAYERS_DROPBLOCK_LAYER_HPP_

#include <memory>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/proto/caffe.pb.h"
#include "caffe/proto/regularizers.pb.h"
#ifdef METAPERTURB_GPU_HALVES
#include "caffe/util/device_workspace.hpp"
#endif
#include "layers/host.hpp"

namespace caffe {

/// DropBlock (Ghiasi, Lin, Le, "DropBlock: a regularization method for convolutional networks",
/// NeurIPS 2018, algorithm 1 and equation 1): drops squares of a feature map. In TRAIN, every
/// b x b square that lies within the map of an image and channel is dropped with probability
///     gamma = drop_prob / b^2 * H W / ((H - b + 1) (W - b + 1))
/// independently, so that every channel has a mask M of its own, and
///     y = x M count(M) / count_ones(M)      counted over the whole blob; all dropped: y = 0
/// with b = min(block_size, H, W). TEST: y = x.
///
/// bottom: x, N x C x H x W; top: y; may work in place.
/// blobs: [0] TRAIN passes so far, 1 value, with lr_mult 0.
/// dropblock_param: drop_prob = 0.1 (the paper's keep_prob of 0.9), in [0, 1); block_size = 7;
/// anneal_iter = 0: TRAIN passes over which drop_prob rises linearly from 0 (section 3, scheduled
/// DropBlock).
///
/// Errors: drop_prob outside of [0, 1); block_size 0; a bottom of other than four axes.
template <typename Dtype>
class DropBlockLayer : public metaperturb::HostLayer<Dtype> {
 public:
  explicit DropBlockLayer(const LayerParameter& param) : metaperturb::HostLayer<Dtype>(param) {}
  void LayerSetUp(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Reshape(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  const char* type() const override { return "DropBlock"; }
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
  // The squares within a map: their side, where their upper left corners can be, and how likely
  // each is dropped.
  struct Squares {
    int size, rows, columns;
    double gamma;
    double places() const { return double(rows) * columns; }
  };

  double DropProbability() const;
  Squares SquaresIn(const Blob<Dtype>& x) const;
  void DrawMask(const Blob<Dtype>& x);
  int DropInChannel(const Squares& squares, int image, int channel);
  void Apply(const Dtype* from, Dtype* to) const;
#ifdef METAPERTURB_GPU_HALVES
  void DrawMaskOnGpu(const Blob<Dtype>& x);
  void ApplyOnGpu(int count, const Dtype* from, Dtype* to);
#endif

  DropBlockParameter param_;
  // Of the last forward pass; the mask lies as x did, in channel blocks.
  vector<unsigned char> mask_;
  ChannelBlocks layout_;
  Dtype scale_ = 1;
  metaperturb::BlockedInput<Dtype> x_in_, dy_in_;
  metaperturb::BlockedOutput<Dtype> y_out_, dx_out_;
#ifdef METAPERTURB_GPU_HALVES
  // The same on the GPU: a byte per element of the plain array, and the scale.
  struct {
    bool drops = false;  // else y = x
    size_t size = 0;     // of the mask
    unsigned char* mask = nullptr;
    std::unique_ptr<DeviceWorkspace> memory;  // the mask's
    Blob<Dtype> scale;
  } gpu_;
#endif
};

}  // namespace caffe

#endif  // METAPERTURB_LAYERS_DROPBLOCK_LAYER_HPP_
