#include "caffe/layers/argmax_layer.hpp"
#include "caffe/util/device_launch.hpp"

namespace caffe {

namespace {

// Finds the k largest values one after another: each is the largest of those that come after its
// predecessor in the order.
template <typename Dtype>
struct FindLargest {
  int extent, inner, k;
  const Dtype* x;
  // Entry j of position n goes to n / inner * outer_step + n % inner + j * inner.
  size_t outer_step;
  Dtype *indices, *values;  // either may be null
  // Of equal entries the last comes first.
  static CAFFE_HOST_DEVICE bool Before(Dtype a, int at_a, Dtype b, int at_b) {
    return a > b || (a == b && at_a > at_b);
  }
  CAFFE_HOST_DEVICE void operator()(int n) const {
    const Dtype* in = x + size_t(n / inner) * extent * inner + n % inner;
    size_t out = n / inner * outer_step + n % inner;
    int last = -1;
    for (int j = 0; j < k; ++j, out += inner) {
      int best = -1;
      for (int c = 0; c < extent; ++c) {
        const Dtype value = in[size_t(c) * inner];
        if (last >= 0 && !Before(in[size_t(last) * inner], last, value, c)) continue;
        if (best < 0 || Before(value, c, in[size_t(best) * inner], best)) best = c;
      }
      // Numbers that are none have no order.
      if (best < 0) best = last < 0 ? 0 : last;
      if (indices) indices[out] = static_cast<Dtype>(best);
      if (values) values[out] = in[size_t(best) * inner];
      last = best;
    }
  }
};

}  // namespace

template <typename Dtype>
void ArgMaxLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                     const vector<Blob<Dtype>*>& top) {
  const ArgMaxParameter& param = this->layer_param_.argmax_param();
  const bool has_axis = param.has_axis(), wants_values = param.out_max_val();
  const int k = static_cast<int>(param.top_k());
  const int axis = has_axis ? bottom[0]->CanonicalAxisIndex(param.axis()) : 1;
  const int outer = bottom[0]->count(0, axis);
  const int extent = has_axis ? bottom[0]->shape(axis) : bottom[0]->count(1);
  const int inner = has_axis ? bottom[0]->count(axis + 1) : 1;
  const Dtype* x = bottom[0]->gpu_data();
  Dtype* y = top[0]->overwrite_gpu_data();
  // With an axis either the indices or the values; without it the indices, then the values.
  Dtype* indices = has_axis && wants_values ? nullptr : y;
  Dtype* values = wants_values ? (has_axis ? y : y + k) : nullptr;
  const size_t outer_step = size_t(k) * inner * (!has_axis && wants_values ? 2 : 1);
  ForEachIndex(outer * inner, FindLargest<Dtype>{extent, inner, k, x, outer_step, indices, values});
}

INSTANTIATE_LAYER_GPU_FORWARD(ArgMaxLayer);

}  // namespace caffe
