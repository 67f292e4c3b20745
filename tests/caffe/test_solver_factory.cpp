#include "caffe/solver_factory.hpp"

#include <map>

#include "caffe/solvers/solver_test.hpp"

namespace caffe {
namespace testing {
namespace {

template <typename Dtype>
class RegisteredByClassSolver : public SGDSolver<Dtype> {
 public:
  explicit RegisteredByClassSolver(const SolverParameter& param) : SGDSolver<Dtype>(param) {}
  const char* type() const override { return "RegisteredByClass"; }
};
REGISTER_SOLVER_CLASS(RegisteredByClass);

template <typename Dtype>
Solver<Dtype>* MakeEither(const SolverParameter& param) {
  if (param.has_momentum()) return new NesterovSolver<Dtype>(param);
  return new RegisteredByClassSolver<Dtype>(param);
}
REGISTER_SOLVER_CREATOR(RegisteredByFunction, MakeEither);

template <typename Dtype>
class SolverFactoryTest : public ::testing::Test {
 protected:
  static string TypeOf(const string& text) { return MakeSolver<Dtype>(SolverText(text))->type(); }
};
TYPED_TEST_SUITE(SolverFactoryTest, NumberTypes);

TYPED_TEST(SolverFactoryTest, ClassesAndFunctions) {
  EXPECT_EQ(this->TypeOf("type: 'RegisteredByClass'"), "RegisteredByClass");
  EXPECT_EQ(this->TypeOf("type: 'RegisteredByFunction'"), "RegisteredByClass");
  EXPECT_EQ(this->TypeOf("type: 'RegisteredByFunction' momentum: 0.9"), "Nesterov");
  EXPECT_EQ(this->TypeOf(""), "SGD");
}

TYPED_TEST(SolverFactoryTest, TheSixTypes) {
  const vector<string> six = {"AdaDelta", "AdaGrad", "Adam", "Nesterov", "RMSProp", "SGD"};
  for (const string& type : six) EXPECT_EQ(this->TypeOf("type: '" + type + "'"), type);
  vector<string> types = SolverRegistry<TypeParam>::SolverTypeList();
  EXPECT_TRUE(std::is_sorted(types.begin(), types.end()));
  types.erase(std::remove_if(types.begin(), types.end(),
                             [](const string& type) { return type.find("Registered") == 0; }),
              types.end());
  EXPECT_EQ(types, six);
}

TYPED_TEST(SolverFactoryTest, UnknownTypes) {
  EXPECT_ERROR(this->TypeOf("type: 'RMSprob'"),
               "unknown solver type 'RMSprob' (did you mean 'RMSProp'?)");
  EXPECT_EQ(ErrorOf([&] { this->TypeOf("type: 'xxxxxxxxxxxxxxxxxxxx'"); }),
            "unknown solver type 'xxxxxxxxxxxxxxxxxxxx'");
}

TEST(SolverFactoryDeathTest, Twice) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(SolverRegistry<float>::AddCreator("SGD", MakeEither<float>),
               "solver type 'SGD' is registered twice");
}

}  // namespace
}  // namespace testing
}  // namespace caffe
