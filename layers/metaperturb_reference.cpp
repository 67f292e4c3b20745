#include "layers/metaperturb_reference.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "util/philox.hpp"

namespace metaperturb {

namespace {

template <typename Dtype>
using Plane = std::vector<Dtype>;

// out += k * in (cross-correlation, zero padding)
template <typename Dtype>
void AddStencil(const ImageShape& s, const Dtype* k, const Dtype* in, Dtype* out) {
  for (int h = 0; h < s.height; ++h) {
    for (int w = 0; w < s.width; ++w) {
      Dtype sum = 0;
      for (int t = 0; t < 9; ++t) {
        const int y = h + t / 3 - 1, x = w + t % 3 - 1;
        if (y >= 0 && y < s.height && x >= 0 && x < s.width) sum += k[t] * in[y * s.width + x];
      }
      out[h * s.width + w] += sum;
    }
  }
}

// Backward of AddStencil: din += transpose, dk += (unless null).
template <typename Dtype>
void StencilGradient(const ImageShape& s, const Dtype* k, const Dtype* in, const Dtype* dout,
                     Dtype* din, Dtype* dk) {
  for (int h = 0; h < s.height; ++h) {
    for (int w = 0; w < s.width; ++w) {
      const Dtype d = dout[h * s.width + w];
      for (int t = 0; t < 9; ++t) {
        const int y = h + t / 3 - 1, x = w + t % 3 - 1;
        if (y < 0 || y >= s.height || x < 0 || x >= s.width) continue;
        din[y * s.width + x] += d * k[t];
        if (dk) dk[t] += d * in[y * s.width + x];
      }
    }
  }
}

template <typename Dtype>
Plane<Dtype> ChannelMean(const ImageShape& s, const Dtype* x) {
  const int area = s.height * s.width;
  Plane<Dtype> mean(area, Dtype(0));
  for (int c = 0; c < s.channels; ++c) {
    for (int i = 0; i < area; ++i) mean[i] += x[c * area + i] / s.channels;
  }
  return mean;
}

// Op(x; a, b) of the whole image.
template <typename Dtype>
std::vector<Dtype> SetOperator(const ImageShape& s, const Dtype* a, const Dtype* b,
                               const Dtype* x) {
  const int area = s.height * s.width;
  const Plane<Dtype> mean = ChannelMean(s, x);
  std::vector<Dtype> out(size_t(s.channels) * area, Dtype(0));
  for (int c = 0; c < s.channels; ++c) {
    AddStencil(s, a, x + c * area, out.data() + c * area);
    AddStencil(s, b, mean.data(), out.data() + c * area);
  }
  return out;
}

// Backward of SetOperator; dx is added to.
template <typename Dtype>
void SetOperatorGradient(const ImageShape& s, const Dtype* a, const Dtype* b, const Dtype* x,
                         const Dtype* dout, Dtype* dx, Dtype* da, Dtype* db) {
  const int area = s.height * s.width;
  const Plane<Dtype> mean = ChannelMean(s, x);
  Plane<Dtype> dmean(area, Dtype(0));
  for (int c = 0; c < s.channels; ++c) {
    StencilGradient(s, a, x + c * area, dout + c * area, dx + c * area, da);
    StencilGradient(s, b, mean.data(), dout + c * area, dmean.data(), db);
  }
  for (int c = 0; c < s.channels; ++c) {
    for (int i = 0; i < area; ++i) dx[c * area + i] += dmean[i] / s.channels;
  }
}

template <typename Dtype>
void Relu(std::vector<Dtype>* values) {
  for (Dtype& v : *values) v = std::max(v, Dtype(0));
}

}  // namespace

template <typename Dtype>
void Reference<Dtype>::Sample(const ImageShape& s, const NoiseSource& noise, int channel,
                              Dtype* epsilon) {
  const int area = s.height * s.width;
  for (int i = 0; i < area; i += 4) {
    const caffe::Philox bits = caffe::Philox::At(
        noise.key, i / 4, noise.image * s.channels + channel, static_cast<uint32_t>(noise.pass),
        static_cast<uint32_t>(noise.pass >> 32));
    float normal[4];
    caffe::PhiloxNormalPair(bits.v[0], bits.v[1], &normal[0], &normal[1]);
    caffe::PhiloxNormalPair(bits.v[2], bits.v[3], &normal[2], &normal[3]);
    for (int j = 0; j < 4 && i + j < area; ++j) epsilon[i + j] = normal[j];
  }
}

template <typename Dtype>
void Reference<Dtype>::Statistics(const ImageShape& s, const Dtype* phi, const Dtype* x, Dtype* f) {
  const int area = s.height * s.width;
  for (int k = 0; k < 4; ++k) {
    for (int c = 0; c < s.channels; ++c) {
      Plane<Dtype> q(area, Dtype(0));
      AddStencil(s, phi + kKappa + 9 * k, x + c * area, q.data());
      Relu(&q);
      Dtype sum = 0;
      for (Dtype v : q) sum += v;
      f[k * s.channels + c] = sum / area;
    }
  }
}

template <typename Dtype>
void Reference<Dtype>::Perturb(const ImageShape& s, const Dtype* phi, const Dtype* x,
                               const Dtype* epsilon, const NoiseSource& noise,
                               const Output<Dtype>& output, Dtype* z, Dtype* y) {
  const int area = s.height * s.width;
  std::vector<Dtype> r = SetOperator(s, phi + kA1, phi + kB1, x);
  Relu(&r);
  const std::vector<Dtype> mu = SetOperator(s, phi + kA2, phi + kB2, r.data());
  Plane<Dtype> sampled(area, Dtype(0));
  for (int c = 0; c < s.channels; ++c) {
    if (!epsilon && noise.sample) Sample(s, noise, c, sampled.data());
    for (int j = 0; j < area; ++j) {
      const int i = c * area + j;
      const Dtype u = mu[i] + (epsilon ? epsilon[i] : sampled[j]);
      z[i] = std::max(u, Dtype(0)) + std::log1p(std::exp(-std::fabs(u)));
      const Dtype t = x[i] * (1 + output.a * (output.s[c] * z[i] - 1));
      const Dtype limited = t > output.clip ? output.clip : t;
      y[i] = limited > 0 ? limited : output.slope * limited;
    }
  }
}

template <typename Dtype>
void Reference<Dtype>::BackwardNoise(const ImageShape& shape, const Dtype* phi, const Dtype* x,
                                     const Dtype* z, const Dtype* dy, const Output<Dtype>& output,
                                     Dtype* dx, Dtype* ds, Dtype* dphi) {
  const int area = shape.height * shape.width;
  const Dtype* s = output.s;
  const Dtype a = output.a;
  std::vector<Dtype> dmu(size_t(shape.channels) * area);
  for (int c = 0; c < shape.channels; ++c) {
    ds[c] = 0;
    for (int j = 0; j < area; ++j) {
      const int i = c * area + j;
      const Dtype factor = 1 + a * (s[c] * z[i] - 1), t = x[i] * factor;
      const Dtype g = t > output.clip ? Dtype(0) : t > 0 ? dy[i] : output.slope * dy[i];
      ds[c] += g * x[i] * a * z[i];
      // softplus'(u) = sigmoid(u) = 1 - e^-softplus(u)
      dmu[i] = g * x[i] * a * s[c] * -std::expm1(-z[i]);
      dx[i] = g * factor;
    }
  }
  if (dphi) std::fill(dphi, dphi + kKappa, Dtype(0));
  const std::vector<Dtype> p = SetOperator(shape, phi + kA1, phi + kB1, x);
  std::vector<Dtype> r = p, dr(p.size(), Dtype(0));
  Relu(&r);
  SetOperatorGradient(shape, phi + kA2, phi + kB2, r.data(), dmu.data(), dr.data(),
                      dphi ? dphi + kA2 : nullptr, dphi ? dphi + kB2 : nullptr);
  for (size_t i = 0; i < p.size(); ++i) {
    if (p[i] <= 0) dr[i] = 0;
  }
  SetOperatorGradient(shape, phi + kA1, phi + kB1, x, dr.data(), dx, dphi ? dphi + kA1 : nullptr,
                      dphi ? dphi + kB1 : nullptr);
}

template <typename Dtype>
void Reference<Dtype>::BackwardScale(const ImageShape& s, const Dtype* phi, const Dtype* x,
                                     const Dtype* df, Dtype* dx, Dtype* dphi) {
  const int area = s.height * s.width;
  if (dphi) std::fill(dphi + kKappa, dphi + kW, Dtype(0));
  for (int k = 0; k < 4; ++k) {
    const Dtype* kappa = phi + kKappa + 9 * k;
    for (int c = 0; c < s.channels; ++c) {
      Plane<Dtype> q(area, Dtype(0));
      AddStencil(s, kappa, x + c * area, q.data());
      for (Dtype& v : q) v = v > 0 ? df[k * s.channels + c] / area : Dtype(0);
      StencilGradient(s, kappa, x + c * area, q.data(), dx + c * area,
                      dphi ? dphi + kKappa + 9 * k : nullptr);
    }
  }
}

template struct Reference<float>;
template struct Reference<double>;

}  // namespace metaperturb
