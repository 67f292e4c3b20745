#include "caffe/solvers/update_rules.hpp"

#include <glog/logging.h>

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "caffe/util/vector_lanes.hpp"

namespace caffe {

namespace {

// Elements of the arrays, four or five, that stay in a core's cache from one rule to the next.
constexpr int kPart = 2048;
constexpr int kFewElements = 1 << 15;  // for which waking threads takes longer than the work

// Each as one vectorised loop. Sums and products are rounded one by one (-ffp-contract=off), so
// that an update is the same with every instruction set.
#define DEFINE_RANGE_OF(Rule, Dtype)                                                 \
  CAFFE_VECTOR_CLONES void Range(int begin, int end, const Rule<Dtype>& rule) {      \
    const Rule<Dtype> own = rule; /* where stores through its arrays do not reach */ \
    _Pragma("omp simd") for (int i = begin; i < end; ++i) own(i);                    \
  }
#define FOR_EACH_RULE(DEFINE) \
  DEFINE(DecayL2)             \
  DEFINE(DecayL1)             \
  DEFINE(DecayTowards)        \
  DEFINE(SGDStep)             \
  DEFINE(NesterovStep)        \
  DEFINE(AdaGradStep)         \
  DEFINE(RMSPropStep)         \
  DEFINE(AdaDeltaStep)        \
  DEFINE(AdamStep)            \
  DEFINE(Scale)               \
  DEFINE(Clear)               \
  DEFINE(Subtract)
#define DEFINE_RANGES(Rule)    \
  DEFINE_RANGE_OF(Rule, float) \
  DEFINE_RANGE_OF(Rule, double)
FOR_EACH_RULE(DEFINE_RANGES)

struct KeptRule {
  alignas(8) unsigned char rule[64];
  void (*range)(int begin, int end, const void* rule);
};

/// Rules for the elements [0, n), in their order.
struct KeptRules {
  static const int kMost = 8;
  bool keeps = false;
  int n = 0, count = 0;
  KeptRule rules[kMost];

  template <class Rule>
  void Add(const Rule& rule) {
    static_assert(sizeof rule <= sizeof rules[0].rule && std::is_trivially_copyable<Rule>::value,
                  "a rule is kept by its bytes");
    std::memcpy(rules[count].rule, &rule, sizeof rule);
    rules[count++].range = [](int begin, int end, const void* kept) {
      Range(begin, end, *static_cast<const Rule*>(kept));
    };
  }

  void Run() {
    const int parts = n > 0 ? (n - 1) / kPart + 1 : 0;
#pragma omp parallel for schedule(static) if (n > kFewElements)
    for (int part = 0; part < parts; ++part) {
      const int begin = part * kPart, end = std::min(n - begin, kPart) + begin;
      for (int r = 0; r < count; ++r) rules[r].range(begin, end, rules[r].rule);
    }
    count = 0;
  }
};
thread_local KeptRules kept;

}  // namespace

template <class Rule>
void ApplyOnCpu(int n, const Rule& rule) {
  if (kept.count > 0 && (kept.n != n || kept.count == KeptRules::kMost)) kept.Run();
  kept.n = n;
  kept.Add(rule);
  if (!kept.keeps) kept.Run();
}

RulesInParts::RulesInParts() {
  CHECK(!kept.keeps) << "rules are kept already";
  kept.keeps = true;
}

RulesInParts::~RulesInParts() {
  kept.keeps = false;
  kept.count = 0;  // after an error
}

void RulesInParts::Run() {
  kept.Run();
}

#define INSTANTIATE_RULE(Rule)                              \
  template void ApplyOnCpu(int n, const Rule<float>& rule); \
  template void ApplyOnCpu(int n, const Rule<double>& rule);
FOR_EACH_RULE(INSTANTIATE_RULE)

}  // namespace caffe
