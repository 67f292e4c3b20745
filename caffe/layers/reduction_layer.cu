#include "caffe/layers/reduction_layer.hpp"
#include "caffe/util/channel_kernels.hpp"
#include "caffe/util/layer_kernels.hpp"

namespace caffe {

namespace {

template <typename Dtype>
struct ReductionTerms {
  ReductionParameter_ReductionOp operation;
  const Dtype* x;
  CAFFE_HOST_DEVICE void operator()(int, int i, double* pair) const {
    const double value = x[i];
    if (operation == ReductionParameter_ReductionOp_ASUM) {
      pair[0] += value < 0 ? -value : value;
    } else if (operation == ReductionParameter_ReductionOp_SUMSQ) {
      pair[0] += value * value;
    } else {
      pair[0] += value;
    }
  }
};

template <typename Dtype>
struct StoreRow {
  double factor;
  Dtype* y;
  CAFFE_HOST_DEVICE void operator()(int n, double sum, double) const {
    y[n] = static_cast<Dtype>(sum * factor);
  }
};

template <typename Dtype>
struct ReductionBackward {
  ReductionParameter_ReductionOp operation;
  Divisor row;
  Dtype factor;
  const Dtype *x, *dy;
  Dtype* dx;
  CAFFE_HOST_DEVICE void operator()(int i) const {
    const Dtype d = dy[row.Quotient(i)] * factor;
    if (operation == ReductionParameter_ReductionOp_ASUM) {
      dx[i] = x[i] > 0 ? d : x[i] < 0 ? -d : Dtype(0);
    } else if (operation == ReductionParameter_ReductionOp_SUMSQ) {
      dx[i] = 2 * d * x[i];
    } else {
      dx[i] = d;
    }
  }
};

// coeff, and what a mean divides by.
double Factor(const ReductionParameter& param, int size) {
  const double coeff = param.coeff();
  return param.operation() == ReductionParameter_ReductionOp_MEAN ? coeff / size : coeff;
}

}  // namespace

template <typename Dtype>
void ReductionLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                        const vector<Blob<Dtype>*>& top) {
  const ReductionParameter& param = this->layer_param_.reduction_param();
  if (top[0]->count() == 0) return;
  ChannelBlocks rows;  // each a channel
  rows.num = 1;
  rows.channels = top[0]->count();
  rows.spatial = RowSize(*bottom[0]);
  const Dtype* x = bottom[0]->gpu_data();
  SumChannels<double>(rows, ReductionTerms<Dtype>{param.operation(), x},
                      StoreRow<Dtype>{Factor(param, rows.spatial), top[0]->overwrite_gpu_data()});
}

template <typename Dtype>
void ReductionLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                         const vector<bool>& propagate_down,
                                         const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0] || bottom[0]->count() == 0) return;
  const ReductionParameter& param = this->layer_param_.reduction_param();
  const int size = RowSize(*bottom[0]);
  const Dtype *x = bottom[0]->gpu_data(), *dy = top[0]->gpu_diff();
  ForEachIndex(bottom[0]->count(), ReductionBackward<Dtype>{param.operation(), Divisor(size),
                                                            Dtype(Factor(param, size)), x, dy,
                                                            bottom[0]->overwrite_gpu_diff()});
}

INSTANTIATE_LAYER_GPU_FUNCS(ReductionLayer);

}  // namespace caffe
