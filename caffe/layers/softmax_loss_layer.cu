#include "caffe/layers/softmax_loss_layer.hpp"

#include <cfloat>

#include "caffe/util/label_kernels.hpp"
#include "caffe/util/math_functions.hpp"

namespace caffe {

namespace {

// What a position adds to the loss.
template <typename Dtype>
struct LossTerms {
  Labels<Dtype> labels;
  const Dtype* p;
  int inner;
  Dtype threshold;
  CAFFE_HOST_DEVICE double Value(int i) const {
    if (!Counts(i)) return 0;
    const int64_t first = int64_t{i / inner} * labels.classes + labels.At(i);
    const Dtype chosen = p[first * inner + i % inner];
    // Written so that a NaN stays one.
    return -std::log(chosen < threshold ? threshold : chosen);
  }
  CAFFE_HOST_DEVICE bool Counts(int i) const { return labels.Counts(labels.At(i)); }
  CAFFE_HOST_DEVICE bool IsBad(int i) const { return labels.IsBad(labels.At(i)); }
};

template <typename Dtype>
struct SoftmaxLossBackward {
  Labels<Dtype> labels;
  const Dtype *p, *dloss;
  int inner;
  Dtype norm;
  Dtype* dx;
  CAFFE_HOST_DEVICE void operator()(int i) const {
    const int c = i / inner % labels.classes;
    const int label = labels.At(i / inner / labels.classes * inner + i % inner);
    const Dtype weight = labels.Ignored(label) ? Dtype(0) : dloss[0] / norm;
    dx[i] = weight * (p[i] - (c == label ? 1 : 0));
  }
};

}  // namespace

template <typename Dtype>
void SoftmaxWithLossLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                              const vector<Blob<Dtype>*>& top) {
  softmax_->Forward({bottom[0]}, {&prob_});
  const LossParameter& param = this->layer_param_.loss_param();
  const Labels<Dtype> labels{bottom[1]->gpu_data(), classes_, param.ignore_label(),
                             param.has_ignore_label()};
  const Tally tally = TallyPositions(
      outer_ * inner_, LossTerms<Dtype>{labels, prob_.gpu_data(), inner_, Dtype(FLT_MIN)});
  if (tally.bad > 0) NameBadLabel(labels, *bottom[1], inner_);
  valid_ = tally.counted;
  const double loss = tally.sum;
  top[0]->overwrite_cpu_data(1)[0] = Dtype(loss / Normalizer(valid_));  // read there next
  if (top.size() > 1) top[1]->CopyFrom(prob_);
}

template <typename Dtype>
void SoftmaxWithLossLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                               const vector<bool>& propagate_down,
                                               const vector<Blob<Dtype>*>& bottom) {
  ENFORCE(!propagate_down[1]) << "labels get no gradient";
  if (!propagate_down[0]) return;
  const LossParameter& param = this->layer_param_.loss_param();
  const Labels<Dtype> labels{bottom[1]->gpu_data(), classes_, param.ignore_label(),
                             param.has_ignore_label()};
  const Dtype *p = prob_.gpu_data(), *dloss = top[0]->gpu_diff();
  ForEachIndex(prob_.count(),
               SoftmaxLossBackward<Dtype>{labels, p, dloss, inner_, Normalizer(valid_),
                                          bottom[0]->overwrite_gpu_diff()});
}

INSTANTIATE_LAYER_GPU_FUNCS(SoftmaxWithLossLayer);

}  // namespace caffe
