// A training step in its steady state asks for no memory worth speaking of, and so makes no
// primitive of the backend either: these take kilobytes each.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "caffe/sgd_solvers.hpp"
#include "testing/model_util.hpp"

namespace {

const size_t kLarge = 1024;  // bytes; argument lists of the backend's calls stay below
std::atomic<bool> counting{false};
std::atomic<int> large_allocations{0};

[[maybe_unused]] void* Allocate(size_t size, size_t alignment) {
  if (counting && size >= kLarge) ++large_allocations;
  const size_t rounded = (size + alignment - 1) / alignment * alignment;
  void* memory = std::aligned_alloc(alignment, rounded > 0 ? rounded : alignment);
  if (!memory) throw std::bad_alloc();
  return memory;
}

}  // namespace

// Of the whole test program, the libraries' included. Sanitizers and valgrind have their own, and
// must find both halves to replace: no inlining.
#if !defined(__SANITIZE_ADDRESS__)
#define NOT_INLINED __attribute__((noinline))
NOT_INLINED void* operator new(size_t size) {
  return Allocate(size, alignof(std::max_align_t));
}
NOT_INLINED void* operator new(size_t size, std::align_val_t alignment) {
  return Allocate(size, std::max(size_t(alignment), alignof(std::max_align_t)));
}
NOT_INLINED void operator delete(void* memory) noexcept {
  std::free(memory);
}
NOT_INLINED void operator delete(void* memory, size_t) noexcept {
  std::free(memory);
}
NOT_INLINED void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
NOT_INLINED void operator delete(void* memory, size_t, std::align_val_t) noexcept {
  std::free(memory);
}
#endif

namespace caffe {
namespace testing {
namespace {

void ExpectNoAllocation(const string& model) {
  SCOPED_TRACE(model);
  SolverParameter param;
  *param.mutable_train_net_param() = ModelWithoutData(model, TRAIN, 4);
  param.set_base_lr(1e-3f);
  param.set_lr_policy("fixed");
  param.set_momentum(0.9f);
  param.set_weight_decay(5e-4f);
  param.set_display(0);
  param.set_random_seed(1);
  AdamSolver<float> solver(param);
  Net<float>& net = *solver.net();
  net.ReuseMemory();
  const auto step = [&] {
    net.ClearParamDiffs();
    net.ForwardBackward();
    solver.ApplyUpdate();
  };
  for (int i = 0; i < 2; ++i) step();
  const size_t memory = net.memory_allocated();
  large_allocations = 0;
  counting = true;
  for (int i = 0; i < 2; ++i) step();
  counting = false;
  EXPECT_EQ(large_allocations, 0);
  EXPECT_EQ(net.memory_allocated(), memory);
}

TEST(NoAllocation, InAStepOfTheModels) {
  ExpectNoAllocation("resnet20/train_val.prototxt");
  ExpectNoAllocation("resnet20/train_val_mp.prototxt");
  ExpectNoAllocation("resnet20/meta_train_val.prototxt");
  ExpectNoAllocation("vgg9/train_val_mp.prototxt");
  ExpectNoAllocation("mobilenet/train_val_mp.prototxt");
}

// The counter counts.
TEST(NoAllocation, SeesAnAllocation) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the address sanitizer allocates in its own way";
#endif
  large_allocations = 0;
  counting = true;
  { vector<char> large(kLarge); }
  counting = false;
  EXPECT_EQ(large_allocations, 1);
}

}  // namespace
}  // namespace testing
}  // namespace caffe
