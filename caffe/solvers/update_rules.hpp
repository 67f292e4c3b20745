#ifndef CAFFE_SOLVERS_UPDATE_RULES_HPP_
#define CAFFE_SOLVERS_UPDATE_RULES_HPP_

#include <cmath>

#include "util/philox.hpp"

namespace caffe {

// What solvers do to each element i of a parameter, on the CPU and on the device. g is its
// gradient, w its value; the rules of a step leave in g what is to be subtracted from w. r is the
// learning rate; sgd_solvers.hpp has the formulas.

template <typename Dtype>
struct DecayL2 {
  Dtype decay;
  const Dtype* w;
  Dtype* g;
  CAFFE_HOST_DEVICE void operator()(int i) const { g[i] += decay * w[i]; }
};

template <typename Dtype>
struct DecayL1 {
  Dtype decay;
  const Dtype* w;
  Dtype* g;
  CAFFE_HOST_DEVICE void operator()(int i) const {
    g[i] += decay * static_cast<Dtype>((w[i] > 0) - (w[i] < 0));
  }
};

/// L2-SP: towards w0.
template <typename Dtype>
struct DecayTowards {
  Dtype decay;
  const Dtype *w, *w0;
  Dtype* g;
  CAFFE_HOST_DEVICE void operator()(int i) const { g[i] += decay * (w[i] - w0[i]); }
};

template <typename Dtype>
struct SGDStep {
  Dtype r, momentum;
  Dtype *g, *h;
  CAFFE_HOST_DEVICE void operator()(int i) const { g[i] = h[i] = momentum * h[i] + r * g[i]; }
};

template <typename Dtype>
struct NesterovStep {
  Dtype r, momentum;
  Dtype *g, *h;
  CAFFE_HOST_DEVICE void operator()(int i) const {
    const Dtype next = momentum * h[i] + r * g[i];
    g[i] = (1 + momentum) * next - momentum * h[i];
    h[i] = next;
  }
};

template <typename Dtype>
struct AdaGradStep {
  Dtype r, delta;
  Dtype *g, *h;
  CAFFE_HOST_DEVICE void operator()(int i) const {
    h[i] += g[i] * g[i];
    g[i] = r * g[i] / (std::sqrt(h[i]) + delta);
  }
};

template <typename Dtype>
struct RMSPropStep {
  Dtype r, delta, decay;
  Dtype *g, *h;
  CAFFE_HOST_DEVICE void operator()(int i) const {
    h[i] = decay * h[i] + (1 - decay) * g[i] * g[i];
    g[i] = r * g[i] / (std::sqrt(h[i]) + delta);
  }
};

template <typename Dtype>
struct AdaDeltaStep {
  Dtype r, delta, mu;
  Dtype *g, *h, *u;
  CAFFE_HOST_DEVICE void operator()(int i) const {
    h[i] = mu * h[i] + (1 - mu) * g[i] * g[i];
    const Dtype step = g[i] * std::sqrt((u[i] + delta) / (h[i] + delta));
    u[i] = mu * u[i] + (1 - mu) * step * step;
    g[i] = r * step;
  }
};

/// r with the correction of the moments' bias.
template <typename Dtype>
struct AdamStep {
  Dtype r, beta1, beta2, delta;
  Dtype *g, *m, *v;
  CAFFE_HOST_DEVICE void operator()(int i) const {
    m[i] = beta1 * m[i] + (1 - beta1) * g[i];
    v[i] = beta2 * v[i] + (1 - beta2) * g[i] * g[i];
    g[i] = r * m[i] / (std::sqrt(v[i]) + delta);
  }
};

template <typename Dtype>
struct Scale {
  Dtype factor;
  Dtype* g;
  CAFFE_HOST_DEVICE void operator()(int i) const { g[i] *= factor; }
};

template <typename Dtype>
struct Clear {
  Dtype* g;
  CAFFE_HOST_DEVICE void operator()(int i) const { g[i] = 0; }
};

template <typename Dtype>
struct Subtract {
  const Dtype* g;
  Dtype* w;
  CAFFE_HOST_DEVICE void operator()(int i) const { w[i] -= g[i]; }
};

/// rule(i) for i in [0, n) on the CPU, on several threads where that pays; there for the rules
/// above.
template <class Rule>
void ApplyOnCpu(int n, const Rule& rule);

/// While one lives in the calling thread, the rules that ApplyOnCpu is given, of one parameter's
/// elements, are kept until Run, which applies them one after another to a few thousand elements
/// at a time: what one rule leaves, the next finds in the cache.
class RulesInParts {
 public:
  RulesInParts();
  RulesInParts(const RulesInParts&) = delete;
  RulesInParts& operator=(const RulesInParts&) = delete;
  ~RulesInParts();
  void Run();
};

/// rule(i) for i in [0, n) on the device of GPU mode; there for the rules above.
template <class Rule>
void ApplyOnGpu(int n, const Rule& rule);

/// While one lives in the calling thread, what ApplyOnGpu is asked for is kept until Start, and
/// started in its order, rules of one type in a row as one kernel: most parameters are so small
/// that starting a kernel takes longer than its work. Of rules of one type in a row, each is for
/// an array of its own.
class RulesTogether {
 public:
  RulesTogether();
  RulesTogether(const RulesTogether&) = delete;
  RulesTogether& operator=(const RulesTogether&) = delete;
  ~RulesTogether();
  void Start();

 private:
  const bool is_inner_;
};

}  // namespace caffe

#endif  // CAFFE_SOLVERS_UPDATE_RULES_HPP_
