#include "caffe/layers/softmax_loss_layer.hpp"
#include "caffe/util/device_launch.hpp"
#include "caffe/util/math_functions.hpp"

namespace caffe {

namespace {

const int kThreads = 256, kMostParts = 64;

// What a block finds, side by side in a Blob<double>: the loss, how many positions count, the first
// with a label outside of the classes, or -1, and that label.
const int kLoss = 0, kValid = 1, kBad = 2, kBadLabel = 3, kPartSize = 4;

/// The labels, which are whole numbers in a floating-point array.
template <typename Dtype>
struct Labels {
  const Dtype* values;
  int classes, ignored;
  bool has_ignored;
  // What no int can hold, not a number included, is outside of the classes.
  CAFFE_HOST_DEVICE int At(int i) const {
    const Dtype value = values[i];
    const bool fits = value > Dtype(-2147483648.0) && value < Dtype(2147483648.0);
    return fits ? static_cast<int>(value) : -2147483647 - 1;
  }
  CAFFE_HOST_DEVICE bool Ignored(int label) const { return has_ignored && label == ignored; }
  CAFFE_HOST_DEVICE bool Counts(int label) const {
    return !Ignored(label) && label >= 0 && label < classes;
  }
};

// Block b looks at the positions [b size, (b + 1) size).
template <typename Dtype>
struct Forward {
  Labels<Dtype> labels;
  const Dtype* p;
  int positions, inner, size;
  Dtype threshold;
  double* parts;
  CAFFE_HOST_DEVICE Dtype Term(int i) const {
    const int label = labels.At(i);
    if (!labels.Counts(label)) return 0;
    const Dtype chosen = p[(int64_t{i / inner} * labels.classes + label) * inner + i % inner];
    // Written so that a NaN stays one.
    return -std::log(chosen < threshold ? threshold : chosen);
  }
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const int begin = block.index() * size;
    const int count = positions - begin < size ? positions - begin : size;
    double* part = parts + block.index() * kPartSize;
    const double loss = block.Sum<double>(count, [&](int i) { return double(Term(begin + i)); });
    const int valid =
        block.Sum<int>(count, [&](int i) { return labels.Counts(labels.At(begin + i)) ? 1 : 0; });
    int* first_bad = block.Shared<int>(kThreads);
    block.Run(kThreads, [&](int t) {
      first_bad[t] = -1;
      for (int i = t; i < count && first_bad[t] < 0; i += kThreads) {
        const int label = labels.At(begin + i);
        if (!labels.Counts(label) && !labels.Ignored(label)) first_bad[t] = begin + i;
      }
    });
    block.Run(1, [&](int) {
      int bad = -1;
      for (int t = 0; t < kThreads; ++t) {
        if (first_bad[t] >= 0 && (bad < 0 || first_bad[t] < bad)) bad = first_bad[t];
      }
      part[kLoss] = loss;
      part[kValid] = valid;
      part[kBad] = bad;
      part[kBadLabel] = bad < 0 ? 0 : double(labels.values[bad]);
    });
  }
};

template <typename Dtype>
struct Backward {
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
  const int positions = outer_ * inner_;
  const int size = std::max(4 * kThreads, (positions + kMostParts - 1) / kMostParts);
  const int parts = std::max(1, (positions + size - 1) / size);
  gpu_parts_.Reshape({parts, kPartSize});
  double* on_gpu = gpu_parts_.overwrite_gpu_data();
  const Labels<Dtype> labels{bottom[1]->gpu_data(), classes_, param.ignore_label(),
                             param.has_ignore_label()};
  ForEachBlock(parts, kThreads, kThreads * sizeof(int),
               Forward<Dtype>{labels, prob_.gpu_data(), positions, inner_, size,
                              Dtype(kLOG_THRESHOLD), on_gpu});
  double found[kMostParts][kPartSize];
  Device::Get().CopyToHost(found, on_gpu, parts * kPartSize * sizeof(double));
  double loss = 0;
  valid_ = 0;
  for (int i = 0; i < parts; ++i) {
    ENFORCE(found[i][kBad] < 0) << "label " << Dtype(found[i][kBadLabel]) << " of image "
                                << static_cast<int>(found[i][kBad]) / inner_
                                << " of the batch is outside of the " << classes_
                                << " classes (0 to " << classes_ - 1 << ")";
    loss += found[i][kLoss];
    valid_ += static_cast<int>(found[i][kValid]);
  }
  caffe_gpu_set(1, Dtype(loss / Normalizer(valid_)), top[0]->overwrite_gpu_data());
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
  ForEachIndex(prob_.count(), Backward<Dtype>{labels, p, dloss, inner_, Normalizer(valid_),
                                              bottom[0]->overwrite_gpu_diff()});
}

INSTANTIATE_LAYER_GPU_FUNCS(SoftmaxWithLossLayer);

}  // namespace caffe
