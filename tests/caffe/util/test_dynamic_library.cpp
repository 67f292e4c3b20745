#include "caffe/util/dynamic_library.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "testing/blob_util.hpp"
#include "testing/data_util.hpp"

namespace caffe {
namespace {

class DynamicLibraryTest : public testing::TempDirTest {
 protected:
  // Where this process has the C library's mathematics from.
  static std::string File() {
    Dl_info info;
    EXPECT_NE(0, dladdr(dlsym(RTLD_DEFAULT, "cbrt"), &info));
    return info.dli_fname;
  }
};

TEST_F(DynamicLibraryTest, TheSystemsComesFirst) {
  const DynamicLibrary library("libm.so.6", directory_);
  double (*cube_root)(double) = nullptr;
  library.Find("cbrt", &cube_root);
  EXPECT_DOUBLE_EQ(3, cube_root(27));
}

TEST_F(DynamicLibraryTest, InAFolder) {
  std::filesystem::copy_file(File(), directory_ + "/libof_a_toolkit.so.1");
  const DynamicLibrary library("libof_a_toolkit.so.1", directory_);
  double (*cube_root)(double) = nullptr;
  library.Find("cbrt", &cube_root);
  EXPECT_DOUBLE_EQ(3, cube_root(27));
  EXPECT_ERROR(library.Find("no_such_function", &cube_root),
               "libof_a_toolkit.so.1: has no function no_such_function");
}

TEST_F(DynamicLibraryTest, Missing) {
  EXPECT_ERROR(DynamicLibrary("libmissing.so.1", directory_),
               "GPU mode needs libmissing.so.1: libmissing.so.1: cannot open shared object file");
  EXPECT_ERROR(DynamicLibrary("libmissing.so.1", directory_), "nor is it in " + directory_);
}

}  // namespace
}  // namespace caffe
