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
  Parts parts;
  static size_t Bytes(const Parts& parts) {
    return parts.TileBytes<Dtype>(1) + parts.SumsBytes<Dtype>(4);
  }
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const PlaneOf<Dtype> plane(pass, block);
    const Tile<Dtype> x(&block, parts, 1);
    Dtype* scratch = block.Shared<Dtype>(Block::SumsCount(4, block.threads()));
    Dtype* f = pass.f + size_t(plane.image) * 4 * pass.channels + plane.channel;
    const Dtype* phi = pass.phi + kKappa;
    const Kernel3x3<Dtype> kappa[4] = {Kernel3x3<Dtype>(phi), Kernel3x3<Dtype>(phi + 9),
                                       Kernel3x3<Dtype>(phi + 18), Kernel3x3<Dtype>(phi + 27)};
    for (int p = 0; p < parts.count; ++p) {
      const Part part(parts, p);
      x.Load(block, parts, part, pass.x + plane.at);
      SumOverStrips<4>(
          block, parts, part, scratch,
          [&](int r, int q, Dtype* own) {
            const Around<Dtype> around(x, r, q);
            for (int j = 0; j < kStrip; ++j) {
              if (r + j >= part.rows) continue;
              for (int k = 0; k < 4; ++k) {
                const Dtype v = around.Stencil(kappa[k], j);
                own[k] += v > 0 ? v : Dtype(0);
              }
            }
          },
          [&](int k, Dtype sum) {
            Dtype* mean = f + size_t(k) * pass.channels;
            *mean = (p == 0 ? 0 : *mean) + sum / plane.area;
          });
    }
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

// One part of an image: what goes through means over the channels. The pixels beside the part are
// computed here, too, as far as its stencils reach.
template <typename Dtype>
struct MeanPaths {
  GpuPass<Dtype> pass;
  Parts parts;
  static size_t Bytes(const Parts& parts) {
    return parts.TileBytes<Dtype>(2) + 2 * parts.TileBytes<Dtype>(1);
  }
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const ImagePartOf<Dtype> at(pass, parts, block);
    const Part& part = at.part;
    const int width = pass.width;
    const Tile<Dtype> mean(&block, parts, 2), mean_b1(&block, parts, 1), hidden(&block, parts, 1);
    const Dtype* image = pass.x + at.at_image;
    LoadMean(block, parts, part, image, pass.channels, mean);
    const Dtype share = Dtype(1) / pass.channels;
    const Kernel3x3<Dtype> a1(pass.phi + kA1), b1(pass.phi + kB1), b2(pass.phi + kB2);
    hidden.ForEachStrip(block, part, [&](Dtype* pixel, int h, int w) {
      const Around<Dtype> around(mean, h - part.h0, w - part.w0);
      Dtype* pixel_b1 = mean_b1.values + (pixel - hidden.values);
      Dtype through_mean[kStrip], sums[kStrip];
      for (int j = 0; j < kStrip; ++j) through_mean[j] = around.Stencil(b1, j);
      SumHidden(image, h, w, a1, through_mean, sums);
      for (int j = 0; j < kStrip; ++j) {
        pixel_b1[j * hidden.pitch] = through_mean[j];
        pixel[j * hidden.pitch] = sums[j] * share;
      }
    });
    ForEachStrip(block, parts, part, [&](int r, int q) {
      const Around<Dtype> around(hidden, r, q);
      const size_t first = at.at_mean + ((part.h0 + r) * width + part.w0 + q);
      for (int j = 0; j < kStrip; ++j) {
        if (r + j >= part.rows) continue;
        const size_t pixel = first + j * width;
        pass.mean[pixel] = mean.At(r + j, q);
        pass.mean_b1[pixel] = mean_b1.At(r + j, q);
        pass.hidden[pixel] = around.v[j + 1][1];
        pass.hidden_b2[pixel] = around.Stencil(b2, j);
      }
    });
  }
  // sums[j] = sum_c ReLU(Op(x; a1, b1)) of pixel (h + j, w), 0 outside the image. x comes from the
  // cache: it was just read.
  CAFFE_HOST_DEVICE void SumHidden(const Dtype* image, int h, int w, Kernel3x3<Dtype> a1,
                                   const Dtype* through_mean, Dtype* sums) const {
    const int height = pass.height, width = pass.width, area = height * width;
    const bool in_row = w >= 0 && w < width;
    for (int j = 0; j < kStrip; ++j) sums[j] = 0;
    if (!in_row) return;
    // Beside the image there are zeros: there the kernel is zero and the address one of the image.
    const int left = w > 0 ? -1 : 0, right = w + 1 < width ? 1 : 0;
    for (int t = 0; t < 9; t += 3) {
      if (left == 0) a1.k[t] = 0;
      if (right == 0) a1.k[t + 2] = 0;
    }
    bool inside[kStrip + 2];
    for (int i = 0; i < kStrip + 2; ++i) inside[i] = h + i >= 1 && h + i - 1 < height;
    const Dtype* above = image + ((h - 1) * width + w);
    for (int c = 0; c < pass.channels; ++c, above += area) {
      Around<Dtype> around;
      for (int i = 0; i < kStrip + 2; ++i) {
        around.v[i][0] = inside[i] ? above[i * width + left] : Dtype(0);
        around.v[i][1] = inside[i] ? above[i * width] : Dtype(0);
        around.v[i][2] = inside[i] ? above[i * width + right] : Dtype(0);
      }
      for (int j = 0; j < kStrip; ++j) {
        const Dtype p = through_mean[j] + around.Stencil(a1, j);
        sums[j] += p > 0 ? p : Dtype(0);
      }
    }
    for (int j = 0; j < kStrip; ++j) {
      if (!inside[j + 1]) sums[j] = 0;
    }
  }
};

// y = r(min(x (1 + a (s z - 1)), clip)) of one channel of one image.
template <typename Dtype>
struct Perturb {
  GpuPass<Dtype> pass;
  Parts parts;
  Dtype* y;
  static size_t Bytes(const Parts& parts) {
    return NoiseTiles<Dtype>::Bytes(parts) + parts.SumsBytes<Dtype>(2);
  }
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const PlaneOf<Dtype> plane(pass, block);
    const NoiseTiles<Dtype> tiles(&block, parts);
    Dtype* scratch = block.Shared<Dtype>(Block::SumsCount(2, block.threads()));
    const Kernel3x3<Dtype> a2(pass.phi + kA2);
    const Dtype s = pass.s[plane.channel], a = pass.a;
    double* spread = pass.spread + size_t(block.index()) * 2;
    for (int p = 0; p < parts.count; ++p) {
      const Part part(parts, p);
      tiles.Fill(pass, plane, block, parts, part);
      SumOverStrips<2>(
          block, parts, part, scratch,
          [&](int r, int q, Dtype* own) {
            const Around<Dtype> around(tiles.hidden, r, q);
            const int pixel = (part.h0 + r) * parts.width + part.w0 + q;
            const Dtype *hidden_b2 = pass.hidden_b2 + plane.at_mean + pixel,
                        *in = tiles.x.Pixel(r, q);
            Dtype* out = y + plane.at + pixel;
            const Dtype* noise = tiles.epsilon + r * parts.columns + q;
            for (int j = 0; j < kStrip; ++j) {
              if (r + j >= part.rows) continue;
              const Dtype mu = around.Stencil(a2, j) + hidden_b2[j * parts.width];
              const Dtype z = Softplus(mu + noise[j * parts.columns]);
              const Dtype t = in[j * tiles.x.pitch] * (1 + a * (s * z - 1));
              const Dtype limited = t > pass.clip ? pass.clip : t;
              out[j * parts.width] = limited > 0 ? limited : pass.slope * limited;
              own[0] += z;
              own[1] += z * z;
            }
          },
          [&](int k, Dtype sum) { spread[k] = (p == 0 ? 0 : spread[k]) + sum; });
    }
  }
};

}  // namespace

template <typename Dtype>
void GpuForward(const GpuPass<Dtype>& pass, double old_weight, Dtype* running_mean,
                Dtype* running_var, Dtype* y) {
  const int planes = pass.num * pass.channels;
  const Parts parts(pass.height, pass.width, kPlaneBytes / sizeof(Dtype));
  const Parts mean_parts(pass.height, pass.width, kMeanBytes / sizeof(Dtype));
  const int mean_blocks = pass.num * mean_parts.count;
  const MeanPaths<Dtype> means{pass, mean_parts};
  const size_t mean_bytes = MeanPaths<Dtype>::Bytes(mean_parts);
  if (pass.train) {
    ForEachBlock(mean_blocks + planes, parts.Threads(),
                 std::max(mean_bytes, Statistics<Dtype>::Bytes(parts)),
                 caffe::Beside<MeanPaths<Dtype>, Statistics<Dtype>>{
                     means, mean_blocks, Statistics<Dtype>{pass, parts}});
  } else {
    ForEachBlock(mean_blocks, mean_parts.Threads(), mean_bytes, means);
  }
  ForEachBlock(pass.channels, ThreadsFor(pass.num), 0,
               Scale<Dtype>{pass, old_weight, running_mean, running_var});
  ForEachBlock(planes, parts.Threads(), Perturb<Dtype>::Bytes(parts),
               Perturb<Dtype>{pass, parts, y});
}

template void GpuForward(const GpuPass<float>&, double, float*, float*, float*);
template void GpuForward(const GpuPass<double>&, double, double*, double*, double*);

}  // namespace metaperturb
