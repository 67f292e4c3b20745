#include "testing/golden.hpp"

namespace caffe {
namespace {

INSTANTIATE_GOLDEN_TESTS(HostGoldenTest);

}  // namespace
}  // namespace caffe
