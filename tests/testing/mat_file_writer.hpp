#ifndef METAPERTURB_TESTS_TESTING_MAT_FILE_WRITER_HPP_
#define METAPERTURB_TESTS_TESTING_MAT_FILE_WRITER_HPP_

#include <gtest/gtest.h>
#include <matio.h>

#include "caffe/common.hpp"

namespace caffe {
namespace testing {

/// Writes MATLAB 5 files; it takes the variables, which the functions below make.
inline void WriteMat(const string& path, const vector<matvar_t*>& variables) {
  mat_t* file = Mat_CreateVer(path.c_str(), nullptr, MAT_FT_MAT5);
  ASSERT_NE(file, nullptr);
  for (matvar_t* variable : variables) {
    // matio 1.5.23 does not read the compressed cells that it writes, only other programs'.
    const bool nested = variable->class_type == MAT_C_CELL || variable->class_type == MAT_C_STRUCT;
    EXPECT_EQ(Mat_VarWrite(file, variable, nested ? MAT_COMPRESSION_NONE : MAT_COMPRESSION_ZLIB),
              0);
    Mat_VarFree(variable);
  }
  Mat_Close(file);
}

inline matvar_t* Numbers(const char* name, vector<double> values) {
  size_t extent[2] = {values.size(), 1};
  return Mat_VarCreate(name, MAT_C_DOUBLE, MAT_T_DOUBLE, 2, extent, values.data(), 0);
}

inline matvar_t* Text(const char* name, string text) {
  size_t extent[2] = {1, text.size()};
  return Mat_VarCreate(name, MAT_C_CHAR, MAT_T_UINT8, 2, extent, &text[0], 0);
}

inline matvar_t* Texts(const char* name, const vector<string>& texts) {
  size_t extent[2] = {texts.size(), 1};
  vector<matvar_t*> cells;
  for (const string& text : texts) cells.push_back(Text(nullptr, text));
  return Mat_VarCreate(name, MAT_C_CELL, MAT_T_CELL, 2, extent, cells.data(), 0);
}

}  // namespace testing
}  // namespace caffe

#endif  // METAPERTURB_TESTS_TESTING_MAT_FILE_WRITER_HPP_
