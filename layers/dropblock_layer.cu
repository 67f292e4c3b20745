#include <cmath>

#include "caffe/util/device_launch.hpp"
#include "caffe/util/device_workspace.hpp"
#include "layers/dropblock_layer.hpp"
#include "layers/gpu_blobs.hpp"

namespace caffe {

namespace {

// Plane p (image * channels + channel) of the mask, which is 1 before: 0 where a square is dropped.
// The CPU half draws the same squares, one after another; the quotient of logarithms would have to
// lie within a rounding error of a whole number to make a difference.
struct DropSquares {
  uint64_t key, pass;
  int size, columns;
  double places, log_kept;
  int area;
  unsigned char* mask;
  int* cleared;  // elements of the plane
  CAFFE_HOST_DEVICE void operator()(int p) const {
    unsigned char* plane = mask + size_t(p) * area;
    const int width = columns + size - 1;
    int count = 0;
    double place = -1;
    for (uint32_t draw = 0; place < places; ++draw) {
      const Philox bits =
          Philox::At(key, draw, static_cast<uint32_t>(p), static_cast<uint32_t>(pass),
                     static_cast<uint32_t>(pass >> 32));
      for (int j = 0; j < 4; ++j) {
        place += 1 + std::floor(std::log((bits.v[j] + 0.5) / 4294967296.0) / log_kept);
        if (!(place < places)) break;
        const int top = static_cast<int>(place) / columns, left = static_cast<int>(place) % columns;
        for (int h = top; h < top + size; ++h) {
          for (int w = left; w < left + size; ++w) {
            unsigned char* kept = plane + h * width + w;
            count += *kept;
            *kept = 0;
          }
        }
      }
    }
    cleared[p] = count;
  }
};

// scale = count / count_ones
template <typename Dtype>
struct ScaleKept {
  int planes;
  const int* cleared;
  double count;
  Dtype* scale;
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    // Whole numbers: exact in any order.
    const double dropped = block.Sum<double>(planes, [&](int p) { return double(cleared[p]); });
    const double ones = count - dropped;
    block.Run(1, [&](int) { *scale = ones > 0 ? static_cast<Dtype>(count / ones) : Dtype(0); });
  }
};

template <typename Dtype>
struct ApplyMask {
  const unsigned char* mask;
  const Dtype* scale;
  const Dtype* from;
  Dtype* to;
  CAFFE_HOST_DEVICE void operator()(int i) const { to[i] = mask[i] ? from[i] * *scale : Dtype(0); }
};

}  // namespace

template <typename Dtype>
void DropBlockLayer<Dtype>::DrawMaskOnGpu(const Blob<Dtype>& x) {
  const Squares squares = SquaresIn(x);
  gpu_.drops = squares.gamma > 0;
  if (!gpu_.drops) return;
  const size_t count = x.count();
  if (gpu_.size != count) {
    gpu_.memory.reset(new DeviceWorkspace);
    gpu_.mask = gpu_.memory->template Get<unsigned char>(count);
    gpu_.size = count;
  }
  Device::Get().Fill(gpu_.mask, 1, count);
  const int planes = x.num() * x.channels();
  DeviceWorkspace workspace;
  int* cleared = workspace.Get<int>(planes);
  ForEachIndex(planes, DropSquares{this->noise_key(), this->noise_pass(), squares.size,
                                   squares.columns, squares.places(), std::log1p(-squares.gamma),
                                   x.height() * x.width(), gpu_.mask, cleared});
  gpu_.scale.Reshape(vector<int>());
  ForEachBlock(1, 256, 0,
               ScaleKept<Dtype>{planes, cleared, double(x.count()), OverwriteGpuData(&gpu_.scale)});
}

// `to` may be `from`.
template <typename Dtype>
void DropBlockLayer<Dtype>::ApplyOnGpu(int count, const Dtype* from, Dtype* to) {
  if (!gpu_.drops) {
    if (from != to) Device::Get().CopyInDevice(to, from, count * sizeof(Dtype));
    return;
  }
  ForEachIndex(count, ApplyMask<Dtype>{gpu_.mask, GpuData(gpu_.scale), from, to});
}

template <typename Dtype>
void DropBlockLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                        const vector<Blob<Dtype>*>& top) {
  this->BeginPass();
  gpu_.drops = false;
  if (this->phase_ == TRAIN) {
    DrawMaskOnGpu(*bottom[0]);
    this->blobs_[0]->mutable_cpu_data()[0] += 1;  // read by the host alone
  }
  const Dtype* x = GpuData(*bottom[0]);
  ApplyOnGpu(bottom[0]->count(), x, OverwriteGpuData(top[0]));
}

template <typename Dtype>
void DropBlockLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                         const vector<bool>& propagate_down,
                                         const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const Dtype* dy = GpuDiff(*top[0]);
  ApplyOnGpu(bottom[0]->count(), dy, OverwriteGpuDiff(bottom[0]));
}

INSTANTIATE_LAYER_GPU_FUNCS(DropBlockLayer);

}  // namespace caffe
