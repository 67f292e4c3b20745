#ifndef METAPERTURB_TOOLS_CONVERT_DATASET_MAT_FILE_HPP_
#define METAPERTURB_TOOLS_CONVERT_DATASET_MAT_FILE_HPP_

#include <memory>
#include <string>
#include <vector>

struct _mat_t;
struct matvar_t;

namespace metaperturb {

/// A MATLAB file (.mat), read by matio. Every function throws caffe::Error "NAME: ..." where the
/// file is damaged or a variable is missing or of another kind.
class MatFile {
 public:
  /// Takes a file's content; `name` is for messages.
  MatFile(const std::string& name, const std::string& content);
  ~MatFile();

  /// An array of bytes as it lies in the file, the first index running fastest, and its extents.
  std::string Bytes(const std::string& variable, std::vector<int>* extent) const;
  /// A numeric array of any type.
  std::vector<double> Numbers(const std::string& variable) const;
  /// A cell array of texts.
  std::vector<std::string> Texts(const std::string& variable) const;
  /// One field of every element of a struct array.
  std::vector<double> FieldNumbers(const std::string& variable, const std::string& field) const;
  std::vector<std::string> FieldTexts(const std::string& variable, const std::string& field) const;

 private:
  typedef std::unique_ptr<matvar_t, void (*)(matvar_t*)> Variable;
  Variable Read(const std::string& variable) const;
  std::vector<const matvar_t*> Fields(const matvar_t& variable, const std::string& name,
                                      const std::string& field) const;
  std::vector<double> ToNumbers(const matvar_t* value, const std::string& name) const;
  std::string ToText(const matvar_t* value, const std::string& name) const;

  const std::string name_;
  std::unique_ptr<_mat_t, int (*)(_mat_t*)> file_;
};

}  // namespace metaperturb

#endif  // METAPERTURB_TOOLS_CONVERT_DATASET_MAT_FILE_HPP_
