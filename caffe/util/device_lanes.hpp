#ifndef CAFFE_UTIL_DEVICE_LANES_HPP_
#define CAFFE_UTIL_DEVICE_LANES_HPP_

// Values that the threads of a warp, its lanes, hold in registers, and what lanes give to each
// other; for .cu files. On a GPU a thread has the value of its lane alone; on the emulated device
// there are all 32, and a step is done for one lane after another.

#include "caffe/util/device_block.hpp"

namespace caffe {

/// One value per lane. On a GPU a thread can ask for its own lane's alone.
template <typename T>
class Lanes {
 public:
  Lanes() = default;
  CAFFE_HOST_DEVICE T& operator[](int lane) { return held_[Place(lane)]; }
  CAFFE_HOST_DEVICE const T& operator[](int lane) const { return held_[Place(lane)]; }

 private:
#ifdef __CUDA_ARCH__
  static const int kHeld = 1;
  static __device__ int Place(int) {
    return 0;
  }
#else
  static const int kHeld = Block::kWarp;
  static int Place(int lane) {
    return lane;
  }
#endif
  T held_[kHeld];
};

/// step(lane) for each lane. Unlike Block::Run it waits for nothing: what a lane reads of another's
/// memory was written before a barrier.
template <class Step>
CAFFE_HOST_DEVICE inline void ForEachLane(const Step& step) {
#ifdef __CUDA_ARCH__
  step(threadIdx.x % Block::kWarp);
#else
  for (int lane = 0; lane < Block::kWarp; ++lane) step(lane);
#endif
}

/// For each lane the value of lane + distance, -31 .. 31; its own where there is no such lane. All
/// lanes take part.
template <typename T>
CAFFE_HOST_DEVICE inline Lanes<T> FromLane(const Lanes<T>& values, int distance) {
  Lanes<T> moved;
#ifdef __CUDA_ARCH__
  const unsigned all = 0xFFFFFFFFu;
  moved[0] = distance < 0 ? __shfl_up_sync(all, values[0], -distance)
                          : __shfl_down_sync(all, values[0], distance);
#else
  for (int lane = 0; lane < Block::kWarp; ++lane) {
    const int from = lane + distance;
    moved[lane] = values[from < 0 || from >= Block::kWarp ? lane : from];
  }
#endif
  return moved;
}

}  // namespace caffe

#endif  // CAFFE_UTIL_DEVICE_LANES_HPP_
