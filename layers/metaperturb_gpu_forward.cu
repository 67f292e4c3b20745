// MetaPerturb's forward pass on a GPU. TRAIN reads x four times: for its mean over the channels,
// for the statistics f, for the mean of the hidden values over the channels, and for y.
#include "layers/metaperturb_gpu_planes.hpp"

namespace metaperturb {

using caffe::ForEachBlock;
using caffe::ForEachIndex;

namespace {

// f[n,c,k] = mean_hw ReLU(kappa_k * x[n,c])
template <typename Dtype>
struct Statistics {
  GpuPass<Dtype> pass;
  int rows;
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const PlaneOf<Dtype> plane(pass, block);
    const int width = pass.width;
    const Tile<Dtype> x(&block, 1, rows, width);
    Dtype sums[4] = {};
    for (int h0 = 0; h0 < pass.height; h0 += rows) {
      const int band = pass.height - h0 < rows ? pass.height - h0 : rows;
      x.Fill(block, h0, band, pass.height,
             [&](int h, int w) { return pass.x[plane.at + h * width + w]; });
      for (int k = 0; k < 4; ++k) {
        const Dtype* kappa = pass.phi + kKappa + 9 * k;
        sums[k] += block.Sum<Dtype>(band * width, [&](int i) {
          const Dtype q = Stencil(kappa, x, i / width, i % width);
          return q > 0 ? q : Dtype(0);
        });
      }
    }
    Dtype* f = pass.f + size_t(plane.image) * 4 * pass.channels + plane.channel;
    block.Run(4, [&](int k) { f[size_t(k) * pass.channels] = sums[k] / plane.area; });
  }
};

// Block c: s[c], and what it was formed from.
template <typename Dtype>
struct Scale {
  GpuPass<Dtype> pass;
  double old_weight;
  Dtype *running_mean, *running_var;
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const int c = block.index(), num = pass.num;
    Dtype* feature = pass.features + c * 8;
    for (int k = 0; k < 4; ++k) {
      Dtype* mean_kept = running_mean + c * 4 + k;
      Dtype* var_kept = running_var + c * 4 + k;
      if (!pass.train) {
        block.Run(1, [&](int) {
          feature[k] = *mean_kept;
          feature[4 + k] = *var_kept;
        });
        continue;
      }
      const Dtype* f = pass.f + size_t(k) * pass.channels + c;
      const size_t step = size_t(4) * pass.channels;
      const double mean = block.Sum<double>(num, [&](int n) { return double(f[n * step]); }) / num;
      const double square = block.Sum<double>(num, [&](int n) {
        const double d = f[n * step] - mean;
        return d * d;
      });
      const double variance = square / (num - 1);
      block.Run(1, [&](int) {
        feature[k] = mean;
        feature[4 + k] = variance;
        *mean_kept = old_weight * *mean_kept + (1 - old_weight) * mean;
        *var_kept = old_weight * *var_kept + (1 - old_weight) * variance * num / (num - 1);
      });
    }
    const Dtype* w = pass.phi + kW;
    const double sum =
        w[8] * pass.size_features[0] + w[9] * pass.size_features[1] +
        block.Sum<double>(8, [&](int j) { return double(w[j]) * double(feature[j]); });
    block.Run(1, [&](int) { pass.s[c] = 1 / (1 + std::exp(-sum)); });
  }
};

// Output pixels i = 0 .. N x H x W - 1: mean_c ReLU(Op(x; a1, b1)).
template <typename Dtype>
struct HiddenMean {
  GpuPass<Dtype> pass;
  CAFFE_HOST_DEVICE void operator()(int i) const {
    const int height = pass.height, width = pass.width, area = height * width;
    const int h = i % area / width, w = i % width;
    const Dtype* plane = pass.x + size_t(i / area) * pass.channels * area;
    const Dtype through_mean = pass.mean_b1[i];
    Dtype sum = 0;
    for (int c = 0; c < pass.channels; ++c, plane += area) {
      Dtype p = through_mean;
      for (int t = 0; t < 9; ++t) {
        const int y = h + t / 3 - 1, x = w + t % 3 - 1;
        if (y < 0 || y >= height || x < 0 || x >= width) continue;
        p += pass.phi[kA1 + t] * plane[y * width + x];
      }
      sum += p > 0 ? p : Dtype(0);
    }
    pass.hidden[i] = sum / pass.channels;
  }
};

// y = r(min(x (1 + a (s z - 1)), clip)) of one channel of one image.
template <typename Dtype>
struct Perturb {
  GpuPass<Dtype> pass;
  int rows;
  Dtype* y;
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const PlaneOf<Dtype> plane(pass, block);
    const int width = pass.width;
    const Tile<Dtype> x(&block, 2, rows, width), hidden(&block, 1, rows, width);
    Dtype* z = block.Shared<Dtype>(rows * width);  // epsilon at first
    const Dtype s = pass.s[plane.channel], a = pass.a;
    double sum = 0, squares = 0;
    for (int h0 = 0; h0 < pass.height; h0 += rows) {
      const int band = pass.height - h0 < rows ? pass.height - h0 : rows;
      const int first = h0 * width;
      x.Fill(block, h0, band, pass.height,
             [&](int h, int w) { return pass.x[plane.at + h * width + w]; });
      FillEpsilon(pass, plane, block, first, band * width, z);
      FillHidden(pass, plane, block, h0, band, x, hidden);
      block.Run(band * width, [&](int i) {
        const int r = i / width, q = i % width;
        const Dtype mu =
            Stencil(pass.phi + kA2, hidden, r, q) + pass.hidden_b2[plane.at_mean + first + i];
        z[i] = Softplus(mu + z[i]);
        const Dtype t = x.At(r, q) * (1 + a * (s * z[i] - 1));
        const Dtype limited = t > pass.clip ? pass.clip : t;
        y[plane.at + first + i] = limited > 0 ? limited : pass.slope * limited;
      });
      sum += block.Sum<double>(band * width, [&](int i) { return double(z[i]); });
      squares += block.Sum<double>(band * width, [&](int i) { return double(z[i]) * z[i]; });
    }
    double* spread = pass.spread + size_t(block.index()) * 2;
    block.Run(1, [&](int) {
      spread[0] = sum;
      spread[1] = squares;
    });
  }
};

}  // namespace

template <typename Dtype>
void GpuForward(const GpuPass<Dtype>& pass, double old_weight, Dtype* running_mean,
                Dtype* running_var, Dtype* y) {
  const int height = pass.height, width = pass.width, area = height * width;
  const int pixels = pass.num * area, planes = pass.num * pass.channels;
  const int rows = BandRows<Dtype>(height, width, caffe::Device::Get().SharedMemory());
  const int threads = ThreadsFor(rows * width);
  if (pass.train) {
    ForEachBlock(planes, threads, TileBytes<Dtype>(1, rows, width), Statistics<Dtype>{pass, rows});
  }
  ForEachBlock(pass.channels, ThreadsFor(pass.num), 0,
               Scale<Dtype>{pass, old_weight, running_mean, running_var});
  ForEachIndex(pixels, ChannelMean<Dtype>{pass.channels, area, pass.x, pass.mean});
  ForEachIndex(pixels,
               PlaneStencil<Dtype>{height, width, false, pass.phi + kB1, pass.mean, pass.mean_b1});
  ForEachIndex(pixels, HiddenMean<Dtype>{pass});
  ForEachIndex(pixels, PlaneStencil<Dtype>{height, width, false, pass.phi + kB2, pass.hidden,
                                           pass.hidden_b2});
  const size_t shared = TileBytes<Dtype>(2, rows, width) + TileBytes<Dtype>(1, rows, width) +
                        TileBytes<Dtype>(0, rows, width);
  ForEachBlock(planes, threads, shared, Perturb<Dtype>{pass, rows, y});
}

template void GpuForward(const GpuPass<float>&, double, float*, float*, float*);
template void GpuForward(const GpuPass<double>&, double, double*, double*, double*);

}  // namespace metaperturb
