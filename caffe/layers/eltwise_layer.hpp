#ifndef CAFFE_ELTWISE_LAYER_HPP_
#define CAFFE_ELTWISE_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"

namespace caffe {

/// Combines bottoms of one shape, element by element. eltwise_param: operation = SUM, PROD or MAX;
/// coeff: for SUM, one per bottom (default 1); stable_prod_grad = true: PROD's gradient as the
/// product of the other bottoms instead of y / x dy. MAX passes the gradient to
/// the first bottom that has the maximum, but of the first two to the second where they are equal.
/// In float, a ReLU that works in place on a SUM's top is computed in the same pass. Bottoms of a
/// SUM with the same coefficient may share one diff.
///     SUM: y = sum_i coeff_i x_i, dx_i = coeff_i dy.   PROD: dx_i = dy prod_{j != i} x_j.
/// Errors: bottoms of several shapes; a number of coefficients that is not that of the bottoms;
/// coeff with PROD or MAX; in-place use.
template <typename Dtype>
class EltwiseLayer : public Layer<Dtype> {
 public:
  explicit EltwiseLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  void LayerSetUp(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Reshape(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  const char* type() const override { return "Eltwise"; }
  int MinBottomBlobs() const override { return 2; }
  int ExactNumTopBlobs() const override { return 1; }
  bool Absorb(Layer<Dtype>* next) override;
  void AllowSharedDiffs(const vector<bool>& allowed) override { may_share_ = allowed; }
  bool BackwardReadsBottom(int) const override;
  bool BackwardReadsTop() const override;
  bool BackwardKeepsTopDiff() const override { return true; }

 protected:
  void Forward_cpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Backward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;
  void Forward_gpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Backward_gpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;

 private:
  bool is_sum() const {
    return this->layer_param_.eltwise_param().operation() == EltwiseParameter_EltwiseOp_SUM;
  }
  void ShareDiffs(const Blob<Dtype>& top, const vector<Blob<Dtype>*>& bottom);
  /// Whether SUM's gradient of bottom j stands in memory already, which it shares.
  bool IsComputed(size_t j, const Blob<Dtype>& top, const vector<bool>& propagate_down,
                  const vector<Blob<Dtype>*>& bottom) const;
  void BackwardSum(const Blob<Dtype>& top, const vector<bool>& propagate_down,
                   const vector<Blob<Dtype>*>& bottom);

  vector<Dtype> coeffs_;
  Dtype slope_ = 1;         // of an absorbed ReLU; 1: none
  vector<bool> may_share_;  // per bottom
  Blob<int> winner_;        // MAX: index of the bottom, per element
};

}  // namespace caffe

#endif  // CAFFE_ELTWISE_LAYER_HPP_
