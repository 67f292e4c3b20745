#include "caffe/layers/accuracy_layer.hpp"
#include "caffe/util/label_kernels.hpp"

namespace caffe {

namespace {

// A block per position: 1 where its label is among the top_k, else 0.
template <typename Dtype>
struct FindRight {
  Labels<Dtype> labels;
  int inner, top_k;
  const Dtype* x;
  int* right;
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const int position = block.index(), classes = labels.classes, step = inner;
    const int label = labels.At(position);
    const bool counts = labels.Counts(label);
    const Dtype* scores = x + size_t(position / step) * classes * step + position % step;
    const int as_good = block.Sum<int>(counts ? classes : 0, [=](int c) {
      return c != label && !(scores[size_t(c) * step] < scores[size_t(label) * step]) ? 1 : 0;
    });
    block.Run(1, [&](int) { right[position] = counts && as_good < top_k ? 1 : 0; });
  }
};

template <typename Dtype>
struct AccuracyTerms {
  Labels<Dtype> labels;
  const int* right;
  CAFFE_HOST_DEVICE double Value(int i) const { return right[i]; }
  CAFFE_HOST_DEVICE bool Counts(int i) const { return labels.Counts(labels.At(i)); }
  CAFFE_HOST_DEVICE bool IsBad(int i) const { return labels.IsBad(labels.At(i)); }
};

// A block per class.
template <typename Dtype>
struct PerClass {
  Labels<Dtype> labels;
  int positions;
  const int* right;
  Dtype* share;
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const int c = block.index();
    const int all = labels.Ignored(c) ? 0 : positions;
    const int seen = block.Sum<int>(all, [&](int i) { return labels.At(i) == c ? 1 : 0; });
    const int good = block.Sum<int>(all, [&](int i) { return labels.At(i) == c ? right[i] : 0; });
    block.Run(1, [&](int) { share[c] = seen > 0 ? Dtype(good) / seen : Dtype(0); });
  }
};

}  // namespace

template <typename Dtype>
void AccuracyLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                       const vector<Blob<Dtype>*>& top) {
  const AccuracyParameter& param = this->layer_param_.accuracy_param();
  const Labels<Dtype> labels{bottom[1]->gpu_data(), classes_, param.ignore_label(),
                             param.has_ignore_label()};
  const int positions = outer_ * inner_;
  DeviceWorkspace workspace;
  int* right = workspace.Get<int>(positions);
  ForEachBlock(positions, classes_ > 256 ? 128 : 32, 0,
               FindRight<Dtype>{labels, inner_, static_cast<int>(param.top_k()),
                                bottom[0]->gpu_data(), right});
  const Tally tally = TallyPositions(positions, AccuracyTerms<Dtype>{labels, right});
  if (tally.bad > 0) NameBadLabel(labels, *bottom[1], inner_);
  top[0]->overwrite_cpu_data(1)[0] =
      tally.counted > 0 ? Dtype(tally.sum) / tally.counted : Dtype(0);
  if (top.size() < 2) return;
  ForEachBlock(classes_, 256, 0,
               PerClass<Dtype>{labels, positions, right, top[1]->overwrite_gpu_data()});
}

INSTANTIATE_LAYER_GPU_FORWARD(AccuracyLayer);

}  // namespace caffe
