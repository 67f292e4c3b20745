#ifdef __x86_64__

#include "caffe/layers/winograd_kernels.hpp"

#include <cstring>

namespace caffe {

namespace {

constexpr int kBlock = 16;
constexpr int kRows = 12;

#include "caffe/layers/winograd_kernels.inl"

}  // namespace

const WinogradKernels* WinogradKernelsAvx512(int tile) {
  return tile == 2 ? &kKernels2 : &kKernels4;
}

}  // namespace caffe

#endif  // __x86_64__
