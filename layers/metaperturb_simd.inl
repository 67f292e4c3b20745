// Vectors of kBlock floats as GCC's vector type: the compiler maps them to whatever the including
// file is compiled for. Included once per instruction set, inside that file's own namespace.

typedef float V __attribute__((vector_size(4 * kBlock), may_alias));
typedef int32_t VI __attribute__((vector_size(4 * kBlock), may_alias));
typedef uint32_t VU __attribute__((vector_size(4 * kBlock), may_alias));

inline V Load(const float* p) {
  return *reinterpret_cast<const V*>(p);
}
// How many vectors the processor's registers hold.
#if defined(__AVX512F__)
const int kRegisters = 32;
#elif defined(__AVX2__)
const int kRegisters = 16;
#else
const int kRegisters = 8;
#endif

// Keeps v in a register: the compiler would rather read it from memory again for every use.
inline V InRegister(V v) {
#if defined(__AVX512F__)
  asm("" : "+v"(v));
#elif defined(__AVX2__)
  asm("" : "+x"(v));
#endif
  return v;
}
inline void Store(float* p, V v) {
  *reinterpret_cast<V*>(p) = v;
}
inline V Set(float f) {
  return f - V{};
}
// Not a number stays so, here and below.
inline V Relu(V v) {
  return v < 0.0f ? V{} : v;
}
// The sums of neighbouring lanes of a and b, four lanes at a time: a0 + a1, a2 + a3, b0 + b1, b2 +
// b3, ...
template <int kLanes = kBlock, class Vector = V>
inline Vector PairSums(Vector a, Vector b) {
  typedef decltype(a < b) Index;
  if constexpr (kLanes == 8) {
    return __builtin_shuffle(a, b, Index{0, 2, 8, 10, 4, 6, 12, 14}) +
           __builtin_shuffle(a, b, Index{1, 3, 9, 11, 5, 7, 13, 15});
  } else {
    return __builtin_shuffle(a, b,
                             Index{0, 2, 16, 18, 4, 6, 20, 22, 8, 10, 24, 26, 12, 14, 28, 30}) +
           __builtin_shuffle(a, b,
                             Index{1, 3, 17, 19, 5, 7, 21, 23, 9, 11, 25, 27, 13, 15, 29, 31});
  }
}
inline float Sum(V v) {
  v = PairSums(v, v);
  v = PairSums(v, v);  // each four lanes' sum, in the first of them
  return kBlock == 8 ? v[0] + v[4] : (v[0] + v[4]) + (v[8 % kBlock] + v[12 % kBlock]);
}

inline V AsFloat(VI bits) {
  return reinterpret_cast<V&>(bits);
}
inline VI AsInt(V v) {
  return reinterpret_cast<VI&>(v);
}

const int32_t kSign = INT32_MIN;

inline V Abs(V v) {
  return AsFloat(AsInt(v) & ~kSign);
}
inline V Min(V a, V b) {
  return a < b ? a : b;
}
// v, or -v where `by` is negative.
inline V FlipSign(V v, V by) {
  return AsFloat(AsInt(v) ^ (AsInt(by) & kSign));
}

// One bit per lane.
typedef std::conditional<kBlock == 16, uint16_t, uint8_t>::type Bits;

// The lanes that are positive, or not a number.
inline Bits PositiveBits(V v) {
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask((__m512)v, _mm512_setzero_ps(), _CMP_NLE_UQ);
#elif defined(__AVX2__)
  return static_cast<Bits>(
      _mm256_movemask_ps(_mm256_cmp_ps((__m256)v, _mm256_setzero_ps(), _CMP_NLE_UQ)));
#else
  Bits bits = 0;
  for (int l = 0; l < kBlock; ++l) bits |= !(v[l] <= 0.0f) << l;
  return bits;
#endif
}

// *total += max(v, 0); PositiveBits(v).
inline Bits AddPositive(V v, V* total) {
#if defined(__AVX512F__)
  const Bits bits = PositiveBits(v);
  *total = (V)_mm512_mask_add_ps((__m512)*total, bits, (__m512)*total, (__m512)v);
  return bits;
#else
  *total += Relu(v);
  return PositiveBits(v);
#endif
}

// v in the lanes whose bit is set, 0 elsewhere.
inline V Select(Bits bits, V v) {
#if defined(__AVX512F__)
  return (V)_mm512_maskz_mov_ps(bits, (__m512)v);
#else
  VI lane_bit;
  for (int l = 0; l < kBlock; ++l) lane_bit[l] = 1 << l;
  const VI set = ((int32_t{bits} - VI{}) & lane_bit) != 0;
  return AsFloat(set & AsInt(v));
#endif
}

// Polynomials are minimax fits (Remez) whose relative errors lie below float's rounding.

// e^x = 2^n e^r; n is x / ln 2 rounded to the nearest, so that |r| <= ln 2 / 2.
inline V ExpOfParts(V x, VI n) {
  const V nf = __builtin_convertvector(n, V);
  const V r = (x - nf * 0.693359375f) + nf * 2.12194440e-4f;
  V p = Set(8.37465e-3f);
  p = p * r + 4.189832e-2f;
  p = p * r + 0.16666457f;
  p = p * r + 0.49999147f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  return p * AsFloat((n + 127) << 23);
}

// e^x for x <= 0.
inline V ExpOfNegative(V x) {
  x = x < -87.0f ? Set(-87.0f) : x;
  // Truncation rounds to the nearest here.
  return ExpOfParts(x, __builtin_convertvector(x * 1.44269504f - 0.5f, VI));
}

// e^x: infinite from x = 88.4 on, a number near 0 below -87; not a number stays so.
inline V Exp(V x) {
  x = x < -87.0f ? Set(-87.0f) : x > 89.0f ? Set(89.0f) : x;
  const V t = x * 1.44269504f;
  const VI n = __builtin_convertvector(t < 0.0f ? t - 0.5f : t + 0.5f, VI);
  return ExpOfParts(x, n);
}

// 1 / (1 + e^-x)
inline V Logistic(V x) {
  return 1.0f / (1.0f + Exp(-x));
}

// ln(1 + e^x) = max(x, 0) + ln(1 + t), t = e^-|x|; ln(1 + t) = 2 artanh(t / (2 + t)), a polynomial
// of a square that is at most 1/9.
inline V Softplus(V x) {
  const V t = ExpOfNegative(-Abs(x));
  const V s = t / (t + 2.0f);
  const V q = s * s;
  V p = Set(0.28024459f);
  p = p * q + 0.27999141f;
  p = p * q + 0.40021699f;
  p = p * q + 0.66666413f;
  p = p * q + 2.0f;
  return Relu(x) + s * p;
}

// ln(x) for 0 < x <= 1: exponent and mantissa in [sqrt 1/2, sqrt 2), then 2 artanh as above.
inline V LogOfFraction(V x) {
  VI bits = AsInt(x);
  VI exponent = ((bits - 0x3F3504F3) >> 23);
  const V m = AsFloat(bits - (exponent << 23));
  const V s = (m - 1.0f) / (m + 1.0f);
  const V q = s * s;
  V p = Set(0.29871728f);
  p = p * q + 0.39977542f;
  p = p * q + 0.66666776f;
  p = p * q + 2.0f;
  return __builtin_convertvector(exponent, V) * 0.69314718f + s * p;
}

inline V Sqrt(V x) {
  V y;
  for (int i = 0; i < kBlock; ++i) y[i] = __builtin_sqrtf(x[i]);
  return y;
}

inline V Uniform(VU u) {
  const float unit = 1.0f / 16777216.0f;
  return __builtin_convertvector(reinterpret_cast<VI&>(u = u >> 8), V) * unit + 0.5f * unit;
}

// Box-Muller as PhiloxNormalPair has it. sin and cos of 2 pi u by folding u - 1/2 into a quarter
// turn.
inline void NormalPair(VU u0, VU u1, V* out0, V* out1) {
  const V radius = -Sqrt(-2.0f * LogOfFraction(Uniform(u0)));
  const V turn = Uniform(u1) - 0.5f;
  const V w = Abs(turn);
  const V a = Min(w, 0.5f - w) * 6.2831853f;
  const V q = a * a;
  V sine = Set(2.60893267e-6f);
  sine = sine * q - 1.98111128e-4f;
  sine = sine * q + 8.33308817e-3f;
  sine = sine * q - 0.166666605f;
  sine = (sine * q + 1.0f) * a;
  V cosine = Set(-2.60771054e-7f);
  cosine = cosine * q + 2.47618862e-5f;
  cosine = cosine * q - 1.38884035e-3f;
  cosine = cosine * q + 4.16666407e-2f;
  cosine = cosine * q - 0.499999995f;
  cosine = cosine * q + 1.0f;
  // u = turn + 1/2 is half a turn further: both change sign.
  *out0 = radius * FlipSign(cosine, 0.25f - w);
  *out1 = radius * FlipSign(sine, turn);
}

typedef uint64_t VL __attribute__((vector_size(4 * kBlock), may_alias));

// High and low halves of the 64-bit products a * m, lane by lane.
inline void Multiply(VU a, uint32_t m, VU* high, VU* low) {
  const VL wide = reinterpret_cast<VL&>(a);
  const VL factor = uint64_t{m} - VL{};
#if defined(__AVX512F__)
  const __m512 odd_lanes = _mm512_movehdup_ps((__m512)wide);
  const __m512 even = (__m512)_mm512_mul_epu32((__m512i)wide, (__m512i)factor);
  const __m512 odd = (__m512)_mm512_mul_epu32((__m512i)odd_lanes, (__m512i)factor);
  *high = (VU)_mm512_mask_movehdup_ps(odd, 0x5555, even);
  *low = (VU)_mm512_mask_moveldup_ps(even, 0xAAAA, odd);
#elif defined(__AVX2__)
  const __m256i even = _mm256_mul_epu32((__m256i)wide, (__m256i)factor);
  const __m256i odd = _mm256_mul_epu32((__m256i)(wide >> 32), (__m256i)factor);
  *high = (VU)_mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA);
  *low = (VU)_mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA);
#else
  const uint64_t top = 0xFFFFFFFF00000000u;
  const VL even = (wide & ~top) * factor;
  const VL odd = (wide >> 32) * factor;
  VL h = (even >> 32) | (odd & top);
  VL l = (even & ~top) | (odd << 32);
  *high = reinterpret_cast<VU&>(h);
  *low = reinterpret_cast<VU&>(l);
#endif
}

// Philox4x32-10 of kBlock counters (c0[n], c1, c2, c3) for each n below kCounters. Two at a time
// fill the time that the products of one take.
template <int kCounters>
inline void PhiloxBlocks(uint64_t key, const uint32_t c0[kCounters], VU c1, VU c2, VU c3,
                         VU out[kCounters][4]) {
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int n = 0; n < kCounters; ++n) {
    out[n][0] = c0[n] - VU{};
    out[n][1] = c1;
    out[n][2] = c2;
    out[n][3] = c3;
  }
#pragma GCC unroll 10
  for (int round = 0; round < 10; ++round) {
#pragma GCC unroll 2
    for (int n = 0; n < kCounters; ++n) {
      VU* c = out[n];
      VU h0, l0, h1, l1;
      Multiply(c[0], 0xD2511F53u, &h0, &l0);
      Multiply(c[2], 0xCD9E8D57u, &h1, &l1);
      c[0] = h1 ^ c[1] ^ k0;
      c[1] = l1;
      c[2] = h0 ^ c[3] ^ k1;
      c[3] = l0;
    }
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
}
