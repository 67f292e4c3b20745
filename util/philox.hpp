#ifndef METAPERTURB_UTIL_PHILOX_HPP_
#define METAPERTURB_UTIL_PHILOX_HPP_

#include <cmath>
#include <cstdint>

#ifdef __CUDACC__
#define CAFFE_HOST_DEVICE __host__ __device__
#else
#define CAFFE_HOST_DEVICE
#endif

namespace caffe {

/// Philox4x32-10, the counter-based generator of Salmon et al., "Parallel random numbers: as easy
/// as 1, 2, 3" (SC 2011): four 32-bit numbers as a pure function of a 128-bit counter and a 64-bit
/// key. Who owns a counter range can compute its numbers in any order, on any thread, and again
/// later.
struct Philox {
  uint32_t v[4];

  CAFFE_HOST_DEVICE static Philox At(uint64_t key, uint32_t c0, uint32_t c1, uint32_t c2,
                                     uint32_t c3) {
    uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
    for (int round = 0; round < 10; ++round) {
      const uint64_t p0 = uint64_t{0xD2511F53u} * c0;
      const uint64_t p1 = uint64_t{0xCD9E8D57u} * c2;
      c0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0;
      c1 = static_cast<uint32_t>(p1);
      c2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
      c3 = static_cast<uint32_t>(p0);
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    return Philox{{c0, c1, c2, c3}};
  }
};

/// A key for an independent stream: `seed` of the run, `stream` of its user (a hash, an index).
CAFFE_HOST_DEVICE inline uint64_t PhiloxKey(uint64_t seed, uint64_t stream) {
  // splitmix64's finaliser spreads neighbouring seeds over the whole key space.
  uint64_t z = seed * 0x9E3779B97F4A7C15u + stream;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

/// FNV-1a, to make a stream number of a name.
inline uint64_t HashName(const char* name) {
  uint64_t h = 0xCBF29CE484222325u;
  for (; *name; ++name) h = (h ^ static_cast<unsigned char>(*name)) * 0x100000001B3u;
  return h;
}

/// Uniform in (0, 1]: ([u / 2^8] + 1/2) / 2^24 in float. It is never 0; where a float has no bit
/// for the half, from 1/2 on, it is rounded, the largest to 1.
CAFFE_HOST_DEVICE inline float PhiloxUniform(uint32_t u) {
  return (static_cast<float>(u >> 8) + 0.5f) * (1.0f / 16777216.0f);
}

/// Box-Muller: two standard normal numbers of two uniform ones,
///   r = sqrt(-2 ln u0), out = (r cos 2 pi u1, r sin 2 pi u1).
CAFFE_HOST_DEVICE inline void PhiloxNormalPair(uint32_t u0, uint32_t u1, float* out0, float* out1) {
  const float square = -2.0f * std::log(PhiloxUniform(u0));
#ifdef __CUDA_ARCH__
  // A root that needs no care for extreme arguments; sine and cosine of angles in [-pi, pi], for
  // which the CUDA programming guide bounds these functions' errors by 5e-7, absolutely.
  float r;
  asm("sqrt.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(square));
  const float angle = 6.2831853071795865f * (PhiloxUniform(u1) - 0.5f);
  *out0 = -r * __cosf(angle);
  *out1 = -r * __sinf(angle);
#else
  const float r = std::sqrt(square);
  const float angle = 6.2831853071795865f * PhiloxUniform(u1);
  *out0 = r * std::cos(angle);
  *out1 = r * std::sin(angle);
#endif
}

/// The same numbers one after another, for std and boost distributions, fillers and shuffling.
class PhiloxEngine {
 public:
  typedef uint32_t result_type;
  CAFFE_HOST_DEVICE explicit PhiloxEngine(uint64_t key = 0) : key_(key) {}
  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return 0xFFFFFFFFu; }
  CAFFE_HOST_DEVICE result_type operator()() {
    if (next_ == 4) {
      block_ = Philox::At(key_, static_cast<uint32_t>(count_), static_cast<uint32_t>(count_ >> 32),
                          0, 0);
      ++count_;
      next_ = 0;
    }
    return block_.v[next_++];
  }

 private:
  uint64_t key_;
  uint64_t count_ = 0;
  int next_ = 4;
  Philox block_{};
};

}  // namespace caffe

#endif  // METAPERTURB_UTIL_PHILOX_HPP_
