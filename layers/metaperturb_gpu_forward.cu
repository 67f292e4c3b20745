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
  static const int kBlocksOfWarps = 3;
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
    double* scratch = block.Shared<double>(Block::SumsCount(4, block.threads()));
    double* mean = block.Shared<double>(4);
    if (pass.train) {
      const Dtype* f = pass.f + c;
      const size_t of_kernel = pass.channels, of_image = size_t(4) * pass.channels;
      block.Sums<4>(
          num, scratch,
          [&](int n, double* own) {
            for (int k = 0; k < 4; ++k) own[k] += double(f[n * of_image + k * of_kernel]);
          },
          [&](int k, double sum) { mean[k] = sum / num; });
      block.Sums<4>(
          num, scratch,
          [&](int n, double* own) {
            for (int k = 0; k < 4; ++k) {
              const double d = f[n * of_image + k * of_kernel] - mean[k];
              own[k] += d * d;
            }
          },
          [&](int k, double sum) {
            const double variance = sum / (num - 1);
            Dtype* mean_kept = running_mean + c * 4 + k;
            Dtype* var_kept = running_var + c * 4 + k;
            feature[k] = mean[k];
            feature[4 + k] = variance;
            *mean_kept = old_weight * *mean_kept + (1 - old_weight) * mean[k];
            *var_kept = old_weight * *var_kept + (1 - old_weight) * variance * num / (num - 1);
          });
    } else {
      block.Run(4, [&](int k) {
        feature[k] = running_mean[c * 4 + k];
        feature[4 + k] = running_var[c * 4 + k];
      });
    }
    block.Run(1, [&](int) {
      const Dtype* w = pass.phi + kW;
      double sum = w[8] * pass.size_features[0] + w[9] * pass.size_features[1];
      for (int j = 0; j < 8; ++j) sum += double(w[j]) * double(feature[j]);
      pass.s[c] = 1 / (1 + std::exp(-sum));
    });
  }
  static size_t Bytes(int threads) { return (Block::SumsCount(4, threads) + 4) * sizeof(double); }
};

// One part of an image: what goes through means over the channels. The pixels beside the part are
// computed here, too, as far as its stencils reach.
template <typename Dtype>
struct MeanPaths {
  GpuPass<Dtype> pass;
  Parts parts;
  ChannelSlices<Dtype> slices;
  size_t Bytes() const {
    return parts.TileBytes<Dtype>(2) + 2 * parts.TileBytes<Dtype>(1) + slices.Bytes();
  }
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const ImagePartOf<Dtype> at(pass, parts, block);
    const Part& part = at.part;
    const int width = pass.width;
    const Tile<Dtype> mean(&block, parts, 2), mean_b1(&block, parts, 1), hidden(&block, parts, 1);
    const Dtype* image = pass.x + at.at_image;
    Dtype* scratch = block.Shared<Dtype>(slices.scratch_count);
    LoadMean(block, parts, part, image, slices, scratch, mean);
    const Dtype share = Dtype(1) / pass.channels;
    const Kernel3x3<Dtype> a1(pass.phi + kA1), b1(pass.phi + kB1), b2(pass.phi + kB2);
    const auto through_mean = [&](int h, int w, Dtype* values) {
      const Around<Dtype> around(mean, h - part.h0, w - part.w0);
      for (int j = 0; j < kStrip; ++j) values[j] = around.Stencil(b1, j);
    };
    slices.Sum(
        block, part, hidden, scratch,
        [&](int c0, int c1, int h, int w, Dtype* sums) {
          Dtype values[kStrip];
          through_mean(h, w, values);
          SumHidden(image, c0, c1, h, w, a1, values, sums);
        },
        [&](Dtype* pixel, int h, int w, const Dtype* sums) {
          Dtype values[kStrip];
          through_mean(h, w, values);
          Dtype* pixel_b1 = mean_b1.values + (pixel - hidden.values);
          for (int j = 0; j < kStrip; ++j) {
            pixel_b1[j * hidden.pitch] = values[j];
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
  // sums[j] += sum_c ReLU(Op(x; a1, b1)) of pixel (h + j, w) for channels c0 .. c1 - 1; 0 outside
  // the image. x comes from the cache: it was just read.
  CAFFE_HOST_DEVICE void SumHidden(const Dtype* image, int c0, int c1, int h, int w,
                                   Kernel3x3<Dtype> a1, const Dtype* through_mean,
                                   Dtype* sums) const {
    const int height = pass.height, width = pass.width, area = height * width;
    const bool in_row = w >= 0 && w < width;
    if (!in_row) return;
    // Beside the image there are zeros: there the kernel is zero and the address one of the image.
    const int left = w > 0 ? -1 : 0, right = w + 1 < width ? 1 : 0;
    for (int t = 0; t < 9; t += 3) {
      if (left == 0) a1.k[t] = 0;
      if (right == 0) a1.k[t + 2] = 0;
    }
    bool inside[kStrip + 2];
    for (int i = 0; i < kStrip + 2; ++i) inside[i] = h + i >= 1 && h + i - 1 < height;
    const Dtype* above = image + size_t(c0) * area + ((h - 1) * width + w);
    for (int c = c0; c < c1; ++c, above += area) {
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
  static const int kBlocksOfWarps = 4;
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
            Dtype *out = y + plane.at + pixel, *z_out = pass.z + plane.at + pixel;
            const Dtype* noise = tiles.epsilon + r * parts.columns + q;
            for (int j = 0; j < kStrip; ++j) {
              if (r + j >= part.rows) continue;
              const Dtype mu = around.Stencil(a2, j) + hidden_b2[j * parts.width];
              const Dtype z = Softplus(mu + noise[j * parts.columns]);
              const Dtype t = in[j * tiles.x.pitch] * (1 + a * (s * z - 1));
              const Dtype limited = t > pass.clip ? pass.clip : t;
              z_out[j * parts.width] = z;
              out[j * parts.width] = limited > 0 ? limited : pass.slope * limited;
              own[0] += z;
              own[1] += z * z;
            }
          },
          [&](int k, Dtype sum) { spread[k] = (p == 0 ? 0 : spread[k]) + sum; });
    }
  }
};

// Bounded, as either half has fewer threads for the other's registers.
template <typename Dtype, class OfPlanes>
struct MeansAndStatistics : caffe::Beside<MeanPaths<Dtype>, OfPlanes> {
  static const int kBlockThreads = kMeanThreads, kBlocksAtOnce = 3;
};

}  // namespace

template <typename Dtype>
void GpuForward(const GpuPass<Dtype>& pass, double old_weight, Dtype* running_mean,
                Dtype* running_var, Dtype* y) {
  const int planes = pass.num * pass.channels;
  const Parts parts(pass.height, pass.width, kPlaneBytes / sizeof(Dtype));
  const Parts mean_parts(pass.height, pass.width, kMeanBytes / sizeof(Dtype));
  const int mean_blocks = pass.num * mean_parts.count;
  const bool in_warps = parts.Threads() == Block::kWarp;
  const int threads = in_warps ? kMeanThreads : parts.Threads();
  const MeanPaths<Dtype> means{pass, mean_parts,
                               ChannelSlices<Dtype>(mean_parts, 2, pass.channels, threads)};
  const Statistics<Dtype> statistics{pass, parts};
  const size_t bytes = Statistics<Dtype>::Bytes(parts);
  if (!pass.train) {
    ForEachBlock(mean_blocks, threads, means.Bytes(), means);
  } else if (in_warps) {
    const int warps = threads / Block::kWarp;
    ForEachBlock(mean_blocks + (planes + warps - 1) / warps, threads,
                 std::max(means.Bytes(), warps * bytes),
                 MeansAndStatistics<Dtype, caffe::InWarps<Statistics<Dtype>>>{
                     {means, mean_blocks, {statistics, planes, bytes}}});
  } else {
    ForEachBlock(mean_blocks + planes, threads, std::max(means.Bytes(), bytes),
                 MeansAndStatistics<Dtype, Statistics<Dtype>>{{means, mean_blocks, statistics}});
  }
  const int scale_threads = ThreadsFor(pass.num);
  ForEachBlock(pass.channels, scale_threads, Scale<Dtype>::Bytes(scale_threads),
               Scale<Dtype>{pass, old_weight, running_mean, running_var});
  ForEachPlane(planes, parts, Perturb<Dtype>{pass, parts, y});
}

template void GpuForward(const GpuPass<float>&, double, float*, float*, float*);
template void GpuForward(const GpuPass<double>&, double, double*, double*, double*);

}  // namespace metaperturb
