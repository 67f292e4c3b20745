#ifndef CAFFE_CONCAT_LAYER_HPP_
#define CAFFE_CONCAT_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"

namespace caffe {

/// Joins bottoms along an axis (concat_param: axis = 1; or concat_dim, its old name); their other
/// extents must agree. The gradient is cut apart again.
/// Bottoms: ... x K_i x ...; top: ... x sum K_i x ....
/// Errors: both names of the axis; an axis that is not there; bottoms that differ along another
/// one; in-place use, but of one bottom.
template <typename Dtype>
class ConcatLayer : public Layer<Dtype> {
 public:
  explicit ConcatLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  void LayerSetUp(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Reshape(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  const char* type() const override { return "Concat"; }
  int MinBottomBlobs() const override { return 1; }
  int ExactNumTopBlobs() const override { return 1; }
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
  int CommonBlock(const vector<Blob<Dtype>*>& bottom) const;

  int axis_ = 1;
  int block_ = 1;
};

}  // namespace caffe

#endif  // CAFFE_CONCAT_LAYER_HPP_
