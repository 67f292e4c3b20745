#include <cfloat>
#include <cmath>
#include <limits>

#include "caffe/util/label_kernels.hpp"
#include "caffe/util/layer_kernels.hpp"
#include "layers/gpu_blobs.hpp"
#include "layers/host.hpp"
#include "layers/mixup_plan.hpp"
#include "layers/soft_target_loss_layer.hpp"

namespace caffe {

namespace {

template <typename Dtype>
struct PositionTarget {
  bool counts;
  int first, second;
  Dtype lambda;  // the first one's share
};

/// The targets of the positions; a plan that is null mixes nothing.
template <typename Dtype>
struct Targets {
  Labels<Dtype> labels;
  const Dtype* plan;
  Divisor inner_of;
  int inner;
  CAFFE_HOST_DEVICE PositionTarget<Dtype> At(int i) const {
    PositionTarget<Dtype> target;
    target.first = target.second = labels.At(i);
    target.lambda = 1;
    if (plan) {
      const Dtype* entry = plan + metaperturb::kPlanNumbers * inner_of.Quotient(i);
      target.lambda = entry[1];
      if (target.lambda < 1) {
        target.second = labels.At(static_cast<int>(entry[0]) * inner + inner_of.Remainder(i));
      }
    }
    target.counts = labels.Counts(target.first) && labels.Counts(target.second);
    return target;
  }
};

// A block per position: p, and the position's loss.
template <typename Dtype>
struct SoftTargetForward {
  Targets<Dtype> targets;
  int classes, inner;
  Dtype smoothing;
  double limit;  // of the loss
  const Dtype* x;
  Dtype* p;
  double* losses;
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const int position = block.index(), step = inner, count = classes;
    const size_t at = size_t(position / step) * classes * step + position % step;
    const Dtype* in = x + at;
    Dtype* out = p + at;
    const int parts = count < Block::kWarp ? count : int{Block::kWarp};
    Dtype* largest_of = block.Shared<Dtype>(Block::kWarp);
    block.Run(parts, [=](int part) {
      Dtype largest = in[size_t(part) * step];
      for (int k = part + parts; k < count; k += parts) {
        const Dtype value = in[size_t(k) * step];
        largest = largest < value ? value : largest;
      }
      largest_of[part] = largest;
    });
    Dtype largest = largest_of[0];
    for (int part = 1; part < parts; ++part) {
      largest = largest < largest_of[part] ? largest_of[part] : largest;
    }
    const double sum = block.Sum<double>(
        count, [=](int k) { return double(std::exp(in[size_t(k) * step] - largest)); });
    const Dtype scale = static_cast<Dtype>(1 / sum);
    block.Run(count, [=](int k) {
      out[size_t(k) * step] = std::exp(in[size_t(k) * step] - largest) * scale;
    });
    double shifted_sum = 0;
    if (smoothing > 0) {
      shifted_sum =
          block.Sum<double>(count, [=](int k) { return double(in[size_t(k) * step] - largest); });
    }
    block.Run(1, [&](int) {
      const PositionTarget<Dtype> t = targets.At(position);
      double loss = 0;
      if (t.counts) {
        const double first = in[size_t(t.first) * step] - largest;
        const double second = in[size_t(t.second) * step] - largest;
        // sum_k t_k (x_k - largest); a share of 0 says nothing about a score that is -infinity.
        double expected = t.lambda == 1 ? first : t.lambda * first + (1 - t.lambda) * second;
        if (smoothing > 0) {
          expected = (1 - smoothing) * expected + smoothing / classes * shifted_sum;
        }
        loss = std::log(sum) - expected;
        if (loss > limit) loss = limit;  // a NaN stays one
      }
      losses[position] = loss;
    });
  }
};

template <typename Dtype>
struct SoftTargetTerms {
  Targets<Dtype> targets;
  const double* losses;
  CAFFE_HOST_DEVICE double Value(int i) const { return losses[i]; }
  CAFFE_HOST_DEVICE bool Counts(int i) const { return targets.At(i).counts; }
  // A partner's label is one of the batch's, too.
  CAFFE_HOST_DEVICE bool IsBad(int i) const { return targets.labels.IsBad(targets.labels.At(i)); }
};

template <typename Dtype>
struct SoftTargetBackward {
  Targets<Dtype> targets;
  Divisor inner_of, classes_of;
  int classes, inner;
  Dtype smoothing, norm;
  const Dtype *p, *dloss;
  Dtype* dx;
  CAFFE_HOST_DEVICE void operator()(int i) const {
    const int row = inner_of.Quotient(i), k = classes_of.Remainder(row);
    const PositionTarget<Dtype> t =
        targets.At(classes_of.Quotient(row) * inner + inner_of.Remainder(i));
    const Dtype weight = t.counts ? dloss[0] / norm : Dtype(0);
    Dtype target = smoothing / classes;
    if (t.counts && k == t.first) target += (1 - smoothing) * t.lambda;
    if (t.counts && k == t.second) target += (1 - smoothing) * (1 - t.lambda);
    dx[i] = weight * (p[i] - target);
  }
};

template <typename Dtype>
Targets<Dtype> TargetsOf(const vector<Blob<Dtype>*>& bottom, const LossParameter& param, bool mixed,
                         int classes, int inner) {
  const Labels<Dtype> labels{GpuData(*bottom[1]), classes, param.ignore_label(),
                             param.has_ignore_label()};
  return {labels, mixed ? GpuData(*bottom[2]) : nullptr, Divisor(inner), inner};
}

}  // namespace

template <typename Dtype>
void SoftTargetLossLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                             const vector<Blob<Dtype>*>& top) {
  const bool mixed = bottom.size() > 2 && this->phase_ == TRAIN;
  // Checks the plan: four numbers per image, which come from the host.
  metaperturb::InLayer(*this, [&] {
    for (int n = 0; mixed && n < outer_; ++n) metaperturb::PlanOf(*bottom[2], n);
  });
  const Targets<Dtype> targets =
      TargetsOf(bottom, this->layer_param_.loss_param(), mixed, classes_, inner_);
  const double limit =
      this->phase_ == TEST ? -std::log(double{FLT_MIN}) : std::numeric_limits<double>::infinity();
  const int positions = outer_ * inner_;
  DeviceWorkspace workspace;
  double* losses = workspace.Get<double>(positions);
  ForEachBlock(positions, classes_ > 256 ? 128 : 32, Block::kWarp * sizeof(Dtype),
               SoftTargetForward<Dtype>{targets, classes_, inner_, Smoothing(), limit,
                                        GpuData(*bottom[0]), OverwriteGpuData(&prob_), losses});
  const Tally tally = TallyPositions(positions, SoftTargetTerms<Dtype>{targets, losses});
  if (tally.bad > 0) {
    const Labels<Dtype>& labels = targets.labels;
    metaperturb::InLayer(*this, [&] { NameBadLabel(labels, *bottom[1], inner_); });
  }
  valid_ = tally.counted;
  SetAll(1, static_cast<Dtype>(tally.sum / Normalizer()), OverwriteGpuData(top[0]));
  if (top.size() < 2) return;
  Device::Get().CopyInDevice(OverwriteGpuData(top[1]), GpuData(prob_),
                             prob_.count() * sizeof(Dtype));
}

template <typename Dtype>
void SoftTargetLossLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                              const vector<bool>& propagate_down,
                                              const vector<Blob<Dtype>*>& bottom) {
  metaperturb::InLayer(*this, [&] {
    for (size_t i = 1; i < bottom.size(); ++i) {
      ENFORCE(!propagate_down[i]) << (i == 1 ? "labels get" : "the plan (bottom 2) gets")
                                  << " no gradient";
    }
  });
  if (!propagate_down[0]) return;
  const bool mixed = bottom.size() > 2 && this->phase_ == TRAIN;
  const Targets<Dtype> targets =
      TargetsOf(bottom, this->layer_param_.loss_param(), mixed, classes_, inner_);
  const Dtype *p = GpuData(prob_), *dloss = GpuDiff(*top[0]);
  ForEachIndex(prob_.count(), SoftTargetBackward<Dtype>{targets, Divisor(inner_), Divisor(classes_),
                                                        classes_, inner_, Smoothing(), Normalizer(),
                                                        p, dloss, OverwriteGpuDiff(bottom[0])});
}

INSTANTIATE_LAYER_GPU_FUNCS(SoftTargetLossLayer);

}  // namespace caffe
