#include "caffe/solvers/update_rules.hpp"

#include <omp.h>

#include "caffe/solvers/solver_test.hpp"

namespace caffe {
namespace testing {
namespace {

// Less than a part, parts that are cut, and enough for several threads.
const int kCounts[] = {0, 1, 2047, 2049, 40001};

template <typename Dtype>
std::vector<Dtype> Numbers(int count, double from) {
  std::vector<Dtype> values(count);
  for (int i = 0; i < count; ++i) values[i] = Dtype(from + 0.37 * (i % 101) / 101);
  return values;
}

// A gradient, a weight and a solver's memories.
template <typename Dtype>
struct Arrays {
  explicit Arrays(int n)
      : g(Numbers<Dtype>(n, -0.2)),
        w(Numbers<Dtype>(n, -0.1)),
        h(Numbers<Dtype>(n, 0.1)),
        u(Numbers<Dtype>(n, 0.3)) {}
  std::vector<Dtype> g, w, h, u;
  bool operator==(const Arrays& o) const { return g == o.g && w == o.w && h == o.h && u == o.u; }
};

template <typename Dtype>
void ExpectEqual(const Arrays<Dtype>& expected, const Arrays<Dtype>& actual) {
  const auto compare = [](const std::vector<Dtype>& a, const std::vector<Dtype>& b) {
    // Some ulps: a processor may fuse a sum with its product here.
    for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 4e-6 * std::abs(a[i])) << i;
  };
  compare(expected.g, actual.g);
  compare(expected.w, actual.w);
  compare(expected.h, actual.h);
  compare(expected.u, actual.u);
}

template <typename Dtype>
class UpdateRules : public ::testing::Test {
 protected:
  ~UpdateRules() override { omp_set_num_threads(threads_); }

  // make(arrays) gives a rule on them.
  template <class Make>
  void ExpectTheFormula(const Make& make) const {
    for (const int n : kCounts) {
      SCOPED_TRACE(n);
      Arrays<Dtype> expected(n);
      const auto formula = make(&expected);
      for (int i = 0; i < n; ++i) formula(i);
      for (const int threads : {1, 3}) {
        omp_set_num_threads(threads);
        Arrays<Dtype> actual(n);
        ApplyOnCpu(n, make(&actual));
        ExpectEqual(expected, actual);
      }
    }
  }
  const int threads_ = omp_get_max_threads();
};
TYPED_TEST_SUITE(UpdateRules, NumberTypes);

TYPED_TEST(UpdateRules, OneByOne) {
  typedef TypeParam D;
  typedef Arrays<D>* A;
  const D d = D(0.3), r = D(0.1), m = D(0.9);
  this->ExpectTheFormula([&](A a) { return DecayL2<D>{d, a->w.data(), a->g.data()}; });
  this->ExpectTheFormula([&](A a) { return DecayL1<D>{d, a->w.data(), a->g.data()}; });
  this->ExpectTheFormula([&](A a) {
    return DecayTowards<D>{d, a->w.data(), a->u.data(), a->g.data()};
  });
  this->ExpectTheFormula([&](A a) { return SGDStep<D>{r, m, a->g.data(), a->h.data()}; });
  this->ExpectTheFormula([&](A a) { return NesterovStep<D>{r, m, a->g.data(), a->h.data()}; });
  this->ExpectTheFormula([&](A a) { return AdaGradStep<D>{r, d, a->g.data(), a->h.data()}; });
  this->ExpectTheFormula([&](A a) { return RMSPropStep<D>{r, d, m, a->g.data(), a->h.data()}; });
  this->ExpectTheFormula(
      [&](A a) { return AdaDeltaStep<D>{r, d, m, a->g.data(), a->h.data(), a->u.data()}; });
  this->ExpectTheFormula(
      [&](A a) { return AdamStep<D>{r, m, d, r, a->g.data(), a->h.data(), a->u.data()}; });
  this->ExpectTheFormula([&](A a) { return Scale<D>{d, a->g.data()}; });
  this->ExpectTheFormula([&](A a) { return Clear<D>{a->g.data()}; });
  this->ExpectTheFormula([&](A a) { return Subtract<D>{a->g.data(), a->w.data()}; });
}

// One by one, the same rules leave the same bits.
TYPED_TEST(UpdateRules, InPartsAreThoseInTheirOrder) {
  typedef TypeParam D;
  const auto apply = [](int n, Arrays<D>* a) {
    for (int time = 0; time < 3; ++time) {  // more rules than are kept
      ApplyOnCpu(n, Scale<D>{D(0.5), a->g.data()});
      ApplyOnCpu(n, DecayL2<D>{D(0.3), a->w.data(), a->g.data()});
      ApplyOnCpu(
          n, AdamStep<D>{D(0.1), D(0.9), D(0.99), D(0.01), a->g.data(), a->h.data(), a->u.data()});
      ApplyOnCpu(n, Subtract<D>{a->g.data(), a->w.data()});
    }
  };
  for (const int n : kCounts) {
    SCOPED_TRACE(n);
    Arrays<D> expected(n), other(5);
    apply(n, &expected);
    for (const int threads : {1, 3}) {
      omp_set_num_threads(threads);
      Arrays<D> actual(n);
      RulesInParts parts;
      apply(n, &actual);
      ApplyOnCpu(5, Clear<D>{other.g.data()});  // of another parameter
      EXPECT_TRUE(expected == actual);          // which therefore is done
      parts.Run();
      EXPECT_EQ(std::vector<D>(5), other.g);
    }
  }
}

TYPED_TEST(UpdateRules, AreKeptUntilRunAndForgottenWithoutIt) {
  typedef TypeParam D;
  const Arrays<D> before(10);
  Arrays<D> arrays(10);
  {
    RulesInParts parts;
    ApplyOnCpu(10, Clear<D>{arrays.g.data()});
    EXPECT_EQ(before.g, arrays.g);
    parts.Run();
    EXPECT_EQ(std::vector<D>(10), arrays.g);
    ApplyOnCpu(10, Clear<D>{arrays.w.data()});
  }
  EXPECT_EQ(before.w, arrays.w);
  ApplyOnCpu(10, Clear<D>{arrays.h.data()});  // at once again
  EXPECT_EQ(std::vector<D>(10), arrays.h);
  EXPECT_EQ(before.w, arrays.w);
}

TYPED_TEST(UpdateRules, OfASubclassThatWorksOnTheGradientAfterOurs) {
  typedef TypeParam D;
  SolverParameter param = SolverText("type: 'SGD' momentum: 0.9 weight_decay: 0.1");
  HalfStepsSolver<D> theirs(param);
  param.set_base_lr(param.base_lr() / 2);
  const auto ours = MakeSolver<D>(param);
  ours->Step(3);
  theirs.Step(3);
  const auto& expected = ours->net()->learnable_params();
  const auto& actual = theirs.net()->learnable_params();
  ASSERT_EQ(expected.size(), actual.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_LT(RelativeError(actual[i]->cpu_data(), expected[i]->cpu_data(), expected[i]->count()),
              1e-5)
        << "parameter " << i;
  }
}

}  // namespace
}  // namespace testing
}  // namespace caffe
