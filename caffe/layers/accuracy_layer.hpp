#ifndef CAFFE_ACCURACY_LAYER_HPP_
#define CAFFE_ACCURACY_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"

namespace caffe {

/// Share of the positions whose label is among the top_k largest predictions. accuracy_param: top_k
/// = 1, axis = 1, ignore_label. A prediction counts when fewer than top_k classes have at least the
/// label's score. Tops: the accuracy; optionally one per class (0 for classes that do not occur).
/// No gradient.
/// Bottoms: N x C x ..., the C classes along the axis, and one label for each other position.
/// Errors: top_k 0 or more than the classes; another number of labels; a label outside of the
/// classes (with its image); a gradient that is asked for.
template <typename Dtype>
class AccuracyLayer : public Layer<Dtype> {
 public:
  explicit AccuracyLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  void LayerSetUp(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Reshape(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  const char* type() const override { return "Accuracy"; }
  bool AllowForceBackward(int) const override { return false; }
  int ExactNumBottomBlobs() const override { return 2; }
  int MinTopBlobs() const override { return 1; }
  int MaxTopBlobs() const override { return 2; }

 protected:
  void Forward_cpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Backward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;
  void Forward_gpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;

 private:
  int axis_ = 1, outer_ = 0, classes_ = 0, inner_ = 0;
};

}  // namespace caffe

#endif  // CAFFE_ACCURACY_LAYER_HPP_
