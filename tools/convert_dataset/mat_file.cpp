#include "tools/convert_dataset/mat_file.hpp"

#include <matio.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "util/error.hpp"
#include "util/temporary_folder.hpp"

namespace metaperturb {

namespace {

size_t Count(const matvar_t& value) {
  size_t count = 1;
  for (int i = 0; i < value.rank; ++i) count *= value.dims[i];
  return count;
}

template <typename T>
std::vector<double> Converted(const matvar_t& value) {
  const T* data = static_cast<const T*>(value.data);
  return std::vector<double>(data, data + Count(value));
}

// matio opens only files, by their name.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& content)
      : path_((caffe::TemporaryFolder() / "convert_dataset.XXXXXX").string()) {
    const int descriptor = mkstemp(&path_[0]);
    ENFORCE(descriptor >= 0) << path_ << ": cannot be written: " << std::strerror(errno);
    size_t done = 0;
    while (done < content.size()) {
      const ssize_t wrote = write(descriptor, content.data() + done, content.size() - done);
      if (wrote < 0) break;
      done += static_cast<size_t>(wrote);
    }
    const std::string reason = std::strerror(errno);
    close(descriptor);
    if (done < content.size()) {
      unlink(path_.c_str());
      THROW_ERROR << path_ << ": cannot be written: " << reason;
    }
  }
  ~TemporaryFile() { unlink(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace

MatFile::MatFile(const std::string& name, const std::string& content)
    : name_(name), file_(nullptr, Mat_Close) {
  const TemporaryFile file(content);
  file_.reset(Mat_Open(file.path().c_str(), MAT_ACC_RDONLY));
  ENFORCE(file_) << name << ": is damaged, or no MATLAB file";
}

MatFile::~MatFile() = default;

MatFile::Variable MatFile::Read(const std::string& variable) const {
  Variable value(Mat_VarRead(file_.get(), variable.c_str()), Mat_VarFree);
  ENFORCE(value && (value->data || Count(*value) == 0))
      << name_ << ": has no variable '" << variable << "', or it is truncated or damaged";
  return value;
}

std::string MatFile::Bytes(const std::string& variable, std::vector<int>* extent) const {
  const Variable value = Read(variable);
  ENFORCE(value->class_type == MAT_C_UINT8)
      << name_ << ": variable '" << variable << "' is no array of bytes";
  extent->assign(value->dims, value->dims + value->rank);
  return std::string(static_cast<const char*>(value->data), Count(*value));
}

std::vector<double> MatFile::ToNumbers(const matvar_t* value, const std::string& name) const {
  // Sparse matrices have another `data`.
  ENFORCE(value && value->data && !value->isComplex && value->class_type >= MAT_C_DOUBLE &&
          value->class_type <= MAT_C_UINT64)
      << name_ << ": '" << name << "' holds no numbers";
  switch (value->data_type) {
    case MAT_T_DOUBLE:
      return Converted<double>(*value);
    case MAT_T_SINGLE:
      return Converted<float>(*value);
    case MAT_T_INT8:
      return Converted<int8_t>(*value);
    case MAT_T_UINT8:
      return Converted<uint8_t>(*value);
    case MAT_T_INT16:
      return Converted<int16_t>(*value);
    case MAT_T_UINT16:
      return Converted<uint16_t>(*value);
    case MAT_T_INT32:
      return Converted<int32_t>(*value);
    case MAT_T_UINT32:
      return Converted<uint32_t>(*value);
    default:
      throw caffe::Error(name_ + ": '" + name + "' holds no numbers");
  }
}

std::string MatFile::ToText(const matvar_t* value, const std::string& name) const {
  ENFORCE(value && value->class_type == MAT_C_CHAR) << name_ << ": '" << name << "' is no text";
  // Two bytes per character where the file says UTF-16; the names are ASCII.
  const size_t width = std::max<size_t>(1, value->data_size);
  std::string text;
  for (size_t at = 0; at < value->nbytes; at += width) {
    text.push_back(static_cast<const char*>(value->data)[at]);
  }
  return text;
}

std::vector<double> MatFile::Numbers(const std::string& variable) const {
  return ToNumbers(Read(variable).get(), variable);
}

std::vector<std::string> MatFile::Texts(const std::string& variable) const {
  const Variable value = Read(variable);
  ENFORCE(value->class_type == MAT_C_CELL)
      << name_ << ": variable '" << variable << "' is no cell array";
  std::vector<std::string> texts;
  for (size_t i = 0; i < Count(*value); ++i) {
    texts.push_back(ToText(static_cast<matvar_t**>(value->data)[i], variable));
  }
  return texts;
}

std::vector<const matvar_t*> MatFile::Fields(const matvar_t& value, const std::string& name,
                                             const std::string& field) const {
  ENFORCE(value.class_type == MAT_C_STRUCT)
      << name_ << ": variable '" << name << "' is no struct array";
  std::vector<const matvar_t*> fields;
  for (size_t i = 0; i < Count(value); ++i) {
    fields.push_back(Mat_VarGetStructFieldByName(const_cast<matvar_t*>(&value), field.c_str(), i));
    ENFORCE(fields.back()) << name_ << ": element " << i << " of '" << name << "' has no field '"
                           << field << "'";
  }
  return fields;
}

std::vector<double> MatFile::FieldNumbers(const std::string& variable,
                                          const std::string& field) const {
  const Variable value = Read(variable);
  std::vector<double> numbers;
  for (const matvar_t* element : Fields(*value, variable, field)) {
    const std::vector<double> one = ToNumbers(element, field);
    ENFORCE(one.size() == 1) << name_ << ": field '" << field << "' has " << one.size()
                             << " numbers where 1 is expected";
    numbers.push_back(one[0]);
  }
  return numbers;
}

std::vector<std::string> MatFile::FieldTexts(const std::string& variable,
                                             const std::string& field) const {
  const Variable value = Read(variable);
  std::vector<std::string> texts;
  for (const matvar_t* element : Fields(*value, variable, field)) {
    texts.push_back(ToText(element, field));
  }
  return texts;
}

}  // namespace metaperturb
