#include "util/philox.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

namespace caffe {
namespace {

void ExpectNumbers(const Philox& p, std::vector<uint32_t> expected) {
  EXPECT_EQ(expected, std::vector<uint32_t>(p.v, p.v + 4));
}

// The known answers that the authors publish with Random123 (kat_vectors, philox4x32 10).
TEST(Philox, KnownAnswers) {
  ExpectNumbers(Philox::At(0, 0, 0, 0, 0), {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  const uint32_t ones = 0xffffffff;
  ExpectNumbers(Philox::At(~uint64_t{0}, ones, ones, ones, ones),
                {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  ExpectNumbers(Philox::At(0x299f31d0a4093822, 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344),
                {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST(Philox, UniformStaysInsideTheInterval) {
  EXPECT_GT(PhiloxUniform(0), 0);
  EXPECT_LE(PhiloxUniform(0xffffffff), 1);
  EXPECT_NEAR(0.5, PhiloxUniform(0x80000000), 1e-6);
}

TEST(Philox, NormalMoments) {
  const int n = 100000;
  double sum = 0, squares = 0, product = 0;
  for (int i = 0; i < n; ++i) {
    const Philox bits = Philox::At(9, i, 0, 0, 0);
    float a, b;
    PhiloxNormalPair(bits.v[0], bits.v[1], &a, &b);
    ASSERT_TRUE(std::isfinite(a) && std::isfinite(b));
    sum += a + b;
    squares += double(a) * a + double(b) * b;
    product += double(a) * b;
  }
  EXPECT_NEAR(0, sum / (2 * n), 0.012);
  EXPECT_NEAR(1, squares / (2 * n), 0.016);
  EXPECT_NEAR(0, product / n, 0.016);
}

TEST(Philox, NormalOfExtremeBitsIsFinite) {
  for (const uint32_t u : {0u, 0xffffffffu}) {
    float a, b;
    PhiloxNormalPair(u, u, &a, &b);
    EXPECT_TRUE(std::isfinite(a) && std::isfinite(b)) << u;
  }
}

TEST(Philox, KeysDiffer) {
  std::set<uint64_t> keys;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    for (uint64_t stream = 0; stream < 100; ++stream) keys.insert(PhiloxKey(seed, stream));
  }
  EXPECT_EQ(10000u, keys.size());
}

// The offset basis and a published value of 64-bit FNV-1a.
TEST(Philox, HashNameIsFnv1a) {
  EXPECT_EQ(0xcbf29ce484222325u, HashName(""));
  EXPECT_EQ(0xaf63dc4c8601ec8cu, HashName("a"));
}

TEST(PhiloxEngine, GivesTheNumbersInOrder) {
  PhiloxEngine engine(7);
  for (uint32_t block = 0; block < 3; ++block) {
    const Philox expected = Philox::At(7, block, 0, 0, 0);
    for (const uint32_t value : expected.v) EXPECT_EQ(value, engine());
  }
}

}  // namespace
}  // namespace caffe
