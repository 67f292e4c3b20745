#include "caffe/util/layer_kernels.hpp"
#include "layers/gpu_blobs.hpp"
#include "layers/mixup_layer.hpp"

namespace caffe {

namespace {

// Elements i of images of `size`; see MixupLayer::gpu_ for `partners` and `begins`.

template <typename Dtype>
struct MixupForward {
  Divisor image;
  int size;
  const Dtype* lambda;
  const int* partners;
  const Dtype* x;
  Dtype* y;
  CAFFE_HOST_DEVICE void operator()(int i) const {
    const int n = image.Quotient(i);
    const Dtype own = lambda[n];
    // A share of 0 says nothing about a partner that is no number.
    y[i] = own == 1 ? x[i] : own * x[i] + (1 - own) * x[i + (partners[n] - n) * size];
  }
};

template <typename Dtype>
struct MixupBackward {
  Divisor image;
  int size;
  const Dtype* lambda;
  const int *begins, *mixed_by;
  const Dtype* dy;
  Dtype* dx;
  CAFFE_HOST_DEVICE void operator()(int i) const {
    const int n = image.Quotient(i);
    Dtype sum = lambda[n] * dy[i];
    for (int k = begins[n]; k < begins[n + 1]; ++k) {
      const int m = mixed_by[k];
      sum += (1 - lambda[m]) * dy[i + (m - n) * size];
    }
    dx[i] = sum;
  }
};

}  // namespace

template <typename Dtype>
void MixupLayer<Dtype>::PlanToGpu() {
  const int num = static_cast<int>(plan_.size());
  gpu_.mixes = false;
  for (const auto& entry : plan_) gpu_.mixes = gpu_.mixes || entry.lambda < 1;
  if (!gpu_.mixes) return;
  gpu_.lambda.Reshape(vector<int>{num});
  gpu_.images.Reshape(vector<int>{3 * num + 1});
  Dtype* lambda = gpu_.lambda.mutable_cpu_data();
  int* partners = gpu_.images.mutable_cpu_data();
  int *begins = partners + num, *mixed_by = begins + num + 1;
  int count = 0;
  for (int n = 0; n < num; ++n) {
    lambda[n] = static_cast<Dtype>(plan_[n].lambda);
    partners[n] = plan_[n].partner;
    begins[n] = count;
    for (const int m : mixed_by_[n]) mixed_by[count++] = m;
  }
  begins[num] = count;
}

template <typename Dtype>
void MixupLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                    const vector<Blob<Dtype>*>& top) {
  // Three numbers per image, which come from the host.
  metaperturb::InLayer(*this, [&] { ReadPlan(*bottom[1]); });
  PlanToGpu();
  const int count = bottom[0]->count();
  const Dtype* x = GpuData(*bottom[0]);
  Dtype* y = OverwriteGpuData(top[0]);
  if (!gpu_.mixes) {
    Device::Get().CopyInDevice(y, x, count * sizeof(Dtype));
    return;
  }
  const int size = bottom[0]->count(1);
  ForEachIndex(count, MixupForward<Dtype>{Divisor(size), size, GpuData(gpu_.lambda),
                                          GpuData(gpu_.images), x, y});
}

template <typename Dtype>
void MixupLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                     const vector<bool>& propagate_down,
                                     const vector<Blob<Dtype>*>& bottom) {
  metaperturb::InLayer(
      *this, [&] { ENFORCE(!propagate_down[1]) << "the plan (bottom 1) gets no gradient"; });
  if (!propagate_down[0]) return;
  const int count = bottom[0]->count();
  const Dtype* dy = GpuDiff(*top[0]);
  Dtype* dx = OverwriteGpuDiff(bottom[0]);
  if (!gpu_.mixes) {
    Device::Get().CopyInDevice(dx, dy, count * sizeof(Dtype));
    return;
  }
  const int size = bottom[0]->count(1), num = bottom[0]->shape(0);
  const int* begins = GpuData(gpu_.images) + num;
  ForEachIndex(count, MixupBackward<Dtype>{Divisor(size), size, GpuData(gpu_.lambda), begins,
                                           begins + num + 1, dy, dx});
}

INSTANTIATE_LAYER_GPU_FUNCS(MixupLayer);

}  // namespace caffe
