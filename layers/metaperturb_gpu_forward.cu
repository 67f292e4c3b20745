// MetaPerturb's forward pass on a GPU, three kernels: one goes through x for its mean over the
// channels and the mean of the hidden values, and beside that for the statistics f; one forms s;
// one reads x again and writes y.
#include <algorithm>

#include "layers/metaperturb_gpu_planes.hpp"

namespace metaperturb {

using caffe::ForEachBlock;

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

// One band: what goes through means over the channels. The rows beside the band are computed here,
// too, as far as its stencils reach.
template <typename Dtype>
struct MeanPaths {
  GpuPass<Dtype> pass;
  Bands<Dtype> bands;
  static size_t Bytes(const Bands<Dtype>& bands, int width) {
    return TileBytes<Dtype>(2, bands.rows, width) + 2 * TileBytes<Dtype>(1, bands.rows, width);
  }
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const BandOf<Dtype> band(pass, bands, block);
    const int height = pass.height, width = pass.width, area = height * width;
    const Tile<Dtype> mean(&block, 2, bands.rows, width), mean_b1(&block, 1, bands.rows, width);
    const Tile<Dtype> hidden(&block, 1, bands.rows, width);
    const Dtype* image = pass.x + band.at_image;
    mean.Fill(block, band.h0, band.count, height, [&](int h, int w) {
      return MeanOverChannels(image + h * width + w, pass.channels, area);
    });
    mean_b1.Fill(block, band.h0, band.count, height,
                 [&](int h, int w) { return Stencil(pass.phi + kB1, mean, h - band.h0, w); });
    hidden.Fill(block, band.h0, band.count, height,
                [&](int h, int w) { return MeanHidden(image, h, w, mean_b1.At(h - band.h0, w)); });
    block.Run(band.count * width, [&](int i) {
      const int r = i / width, q = i % width;
      const size_t at = band.at_mean + size_t(band.h0) * width + i;
      pass.mean[at] = mean.At(r, q);
      pass.mean_b1[at] = mean_b1.At(r, q);
      pass.hidden[at] = hidden.At(r, q);
      pass.hidden_b2[at] = Stencil(pass.phi + kB2, hidden, r, q);
    });
  }
  // mean_c ReLU(Op(x; a1, b1)) of a pixel. x comes from the cache: it was just read.
  CAFFE_HOST_DEVICE Dtype MeanHidden(const Dtype* plane, int h, int w, Dtype through_mean) const {
    const int height = pass.height, width = pass.width;
    Dtype sum = 0;
    for (int c = 0; c < pass.channels; ++c, plane += height * width) {
      Dtype p = through_mean;
      for (int t = 0; t < 9; ++t) {
        const int y = h + t / 3 - 1, x = w + t % 3 - 1;
        if (y < 0 || y >= height || x < 0 || x >= width) continue;
        p += pass.phi[kA1 + t] * plane[y * width + x];
      }
      sum += p > 0 ? p : Dtype(0);
    }
    return sum / pass.channels;
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
  const int width = pass.width, planes = pass.num * pass.channels;
  const int rows = BandRows<Dtype>(pass.height, width, caffe::Device::Get().SharedMemory());
  const int threads = ThreadsFor(rows * width);
  const Bands<Dtype> bands(pass);
  const int band_blocks = pass.num * bands.in_image;
  const MeanPaths<Dtype> means{pass, bands};
  const size_t mean_bytes = means.Bytes(bands, width);
  if (pass.train) {
    ForEachBlock(band_blocks + planes, threads,
                 std::max(mean_bytes, TileBytes<Dtype>(1, rows, width)),
                 caffe::Beside<MeanPaths<Dtype>, Statistics<Dtype>>{means, band_blocks,
                                                                    Statistics<Dtype>{pass, rows}});
  } else {
    ForEachBlock(band_blocks, threads, mean_bytes, means);
  }
  ForEachBlock(pass.channels, ThreadsFor(pass.num), 0,
               Scale<Dtype>{pass, old_weight, running_mean, running_var});
  const size_t shared = TileBytes<Dtype>(2, rows, width) + TileBytes<Dtype>(1, rows, width) +
                        TileBytes<Dtype>(0, rows, width);
  ForEachBlock(planes, threads, shared, Perturb<Dtype>{pass, rows, y});
}

template void GpuForward(const GpuPass<float>&, double, float*, float*, float*);
template void GpuForward(const GpuPass<double>&, double, double*, double*, double*);

}  // namespace metaperturb
